"""Captioned and labelled images: JSONL rows beside a folder or tar files of images.

A row is `{"image", "split", "label", "captions": [...]}`, with optional further texts of the same image
under `paraphrases` and `rsitmd_captions`. Image names are compared without their extension, so a row may say
`.jpg` where the tar holds `.webp`."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from rs_text_search_plugin.contracts.arrays import U8
from rs_text_search_plugin.contracts.errors import ModelError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Row:
    """One image and what is said about it."""

    image: str
    split: str
    label: str
    captions: tuple[str, ...]
    more_captions: tuple[str, ...] = ()
    """Paraphrases and second captions: for training, never for evaluation."""
    boxes: tuple[tuple[str, float, float, float, float], ...] = ()
    """Thing, x0, y0, x1, y1 in pixels; those of the labelled things of its set only."""
    gsd: float | None = None
    """m/px, where it is known."""
    set: str = ""
    """The set of things that the picture comes from; "" for pictures of scenes."""


class ImageStore:
    """Reads images by name out of folders and tar files. A name's extension does not count."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._where: dict[str, tuple[Path, int, int]] = {}
        for place in places:
            self._where.update(_members(place))

    def __contains__(self, name: str) -> bool:
        return _stem(name) in self._where

    def __len__(self) -> int:
        return len(self._where)

    def take(self, other: ImageStore) -> None:
        """What another store has as well."""
        self._where.update(other._where)

    def read(self, name: str) -> Image:
        """The image as RGB. Raises ModelError when there is none of that name."""
        from PIL import Image  # noqa: PLC0415 - needed to train and evaluate, not to search

        try:
            path, offset, size = self._where[_stem(name)]
        except KeyError:
            raise ModelError(
                f"No image named {name}.", "Check the folder or tar files after the colon in --data."
            ) from None
        with path.open("rb") as file:
            data = (
                os.pread(file.fileno(), size, offset)
                if hasattr(os, "pread")
                else _seek_read(file, offset, size)
            )
        return Image.open(io.BytesIO(data)).convert("RGB")


@dataclass(frozen=True)
class Dataset:
    """Rows and where their images are; `name` is the JSONL's stem."""

    name: str
    rows: tuple[Row, ...]
    images: ImageStore

    def split(self, split: str) -> list[Row]:
        """Rows of one split, in file order. Raises ModelError when there are none."""
        chosen = [row for row in self.rows if row.split == split]
        if not chosen:
            found = ", ".join(sorted({row.split for row in self.rows})) or "no rows"
            raise ModelError(f"{self.name} has no split {split!r}.", f"It has: {found}.")
        return chosen


def open_dataset(spec: str) -> Dataset:
    """`JSONL[:IMAGES[,IMAGES...]]` -> Dataset. IMAGES is a folder or a tar file.

    Without IMAGES, the tars (`NAME.tar`, `NAME-0.tar`, ...) or the folder `NAME` beside `NAME.jsonl` are
    taken. Raises ModelError when a file is missing or a row is not as described in this module's header."""
    table, _, images = spec.partition(":")
    path = Path(table)
    if not path.is_file():
        raise ModelError(f"{table} does not exist.", "Give --data as JSONL:IMAGES[,IMAGES...].")
    places = [Path(place) for place in images.split(",")] if images else _beside(path)
    return Dataset(path.stem, tuple(_rows(path)), ImageStore(places))


def pixels(image: Image) -> U8:
    """PIL image -> (h, w, 3) uint8."""
    return np.asarray(image, dtype=np.uint8)


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                more = (*row.get("paraphrases", ()), *row.get("rsitmd_captions", ()))
                boxes = tuple((name, *map(float, corners)) for name, *corners in row.get("boxes", ()))
                yield Row(
                    row["image"], row["split"], row["label"], tuple(row["captions"]), more,
                    boxes, row.get("gsd"), row.get("set", ""),
                )  # fmt: skip
            except (ValueError, KeyError, TypeError) as error:
                hint = 'A row is {"image", "split", "label", "captions": [...]}.'
                raise ModelError(f"{path}, line {number} is not a row: {error!r}", hint) from error


def _members(place: Path) -> dict[str, tuple[Path, int, int]]:
    """Stem -> (file, offset, bytes)."""
    if place.is_dir():
        return {_stem(f.name): (f, 0, f.stat().st_size) for f in sorted(place.iterdir()) if f.is_file()}
    if not place.is_file():
        raise ModelError(f"{place} does not exist.", "IMAGES is a folder or one or more tar files.")
    with tarfile.open(place, "r:") as tar:
        return {_stem(m.name): (place, m.offset_data, m.size) for m in tar if m.isfile()}


def _beside(table: Path) -> list[Path]:
    tars = sorted({*table.parent.glob(f"{table.stem}.tar"), *table.parent.glob(f"{table.stem}-*.tar")})
    return tars or [table.with_suffix("")]


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem


def _seek_read(file: io.BufferedReader, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
