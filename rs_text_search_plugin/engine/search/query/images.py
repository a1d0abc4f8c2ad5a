"""Images that a person gives as examples, as the encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.errors import QueryError, RasterError
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.raster.reader import open_raster
from rs_text_search_plugin.engine.raster.sources import is_remote


def image_vectors(encoder: Encoder, files: Sequence[str]) -> F32:
    """Image files -> (n, dim) unit length. Raises QueryError for one that cannot be read."""
    if not files:
        return np.zeros((0, encoder.dim), dtype=np.float32)
    return encoder.images(np.stack([middle_square(file, encoder.size) for file in files]))


def middle_square(file: str, side: int) -> U8:
    """(side, side, 3) RGB of an image's middle. Raises QueryError."""
    if is_remote(file):
        raise QueryError(f"{file} is not a file on this computer.", "Save the image first.")
    try:
        with open_raster(file) as image:
            size = min(image.width, image.height)
            left, top = (image.width - size) // 2, (image.height - size) // 2
            tiles = image.read_tiles([Window(left, top, size, size)], side)
            return np.asarray(tiles[0])
    except RasterError as error:
        raise QueryError(f"The image cannot be used: {error.message}", "Give a PNG, JPEG or TIFF.") from error
