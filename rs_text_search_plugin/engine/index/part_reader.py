"""Part files back into memory. Nothing of a part is used before it was checked: a disk may have lost bits of it, and
an index may come from a stranger."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.errors import IndexStoreError, ProtocolError
from rs_text_search_plugin.engine.vectors import unit_length

from .meta import Meta, unsealed
from .parts import Part, PartNote, part_name, parts_of

NAME = re.compile(r"part-(\d{5,8})\.parquet")
UNIT_TOLERANCE = 0.02
"""Half precision changes the length of a unit vector by less than 0.001."""
VALUE_BYTES = 64
"""More than an id, or a number of an embedding, takes in memory while it is read."""


def read_note(file: Path) -> PartNote:
    """What a part says of itself. Raises IndexStoreError."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        if not file.is_file():
            raise ValueError("it is no regular file")
        return _note(pq.read_schema(file).metadata)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _damaged(file, error) from error


def read_part(file: Path, meta: Meta, *, whole: bool = False) -> tuple[I64, F32]:
    """Ids (n,), ascending, and vectors (n, dim) of unit length of one part of an index.

    `whole`: also check the columns that other programs use. Raises IndexStoreError when the file is damaged, or
    is not this part of this index.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        expected = part_of(file, meta)
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            note = _note(opened.schema_arrow.metadata)
            _check_shape(opened, expected, meta)
            table = opened.read(columns=None if whole else ["id", "embedding"], use_threads=False)
        ids, vectors = _arrays(table, meta.dim)
        _check_rows(ids, vectors, expected.ids(meta.tiling))
        _check_note(note, len(ids), meta)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _damaged(file, error) from error
    return ids, unit_length(vectors)


def part_of(file: Path, meta: Meta) -> Part:
    """Which part of an index a file is by its name. Raises ValueError when it is none, or no file but a pipe."""
    if not file.is_file():
        raise ValueError("it is no regular file")
    found, parts = NAME.fullmatch(file.name), parts_of(meta.tiling, meta.factor)
    if not found or int(found[1]) >= len(parts) or file.name != part_name(int(found[1])):
        raise ValueError("the index has no part of this name")
    return parts[int(found[1])]


def _note(metadata: dict[bytes, bytes] | None) -> PartNote:
    try:
        values = json.loads((metadata or {})[b"emb"])["part"]
        return decode(PartNote, unsealed(dict(values)), "Its note")
    except (KeyError, TypeError, RecursionError, ProtocolError) as error:
        raise ValueError(f"its note cannot be read: {error}") from error


def _check_shape(opened: Any, expected: Part, meta: Meta) -> None:
    """Before anything is read: as many rows as the part has tiles at most, and vectors of the index's length."""
    import pyarrow as pa  # noqa: PLC0415

    most = len(expected.ids(meta.tiling))
    if opened.metadata.num_rows > most:
        raise ValueError(f"it has {opened.metadata.num_rows:,} rows, and the part {most:,} tiles")
    schema = opened.schema_arrow.empty_table().schema
    kind = schema.field("embedding").type if "embedding" in schema.names else None
    if kind is None or not pa.types.is_fixed_size_list(kind) or kind.list_size != meta.dim:
        raise ValueError(f"its vectors do not have {meta.dim} numbers")
    if kind.value_type != pa.float16() or "id" not in schema.names or schema.field("id").type != pa.int64():
        raise ValueError("its columns have other types")
    claimed = sum(opened.metadata.row_group(i).total_byte_size for i in range(opened.metadata.num_row_groups))
    if claimed > (most + 1) * (meta.dim + 16) * VALUE_BYTES:
        raise ValueError(f"it would take {claimed:,} bytes")


def _arrays(table: Any, dim: int) -> tuple[I64, F32]:
    if table["id"].null_count or table["embedding"].null_count:
        raise ValueError("it has rows without values")
    ids = table["id"].to_numpy().astype(np.int64)
    halves = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return ids, halves.astype(np.float32).reshape(len(ids), dim)


def _check_rows(ids: I64, vectors: F32, expected: I64) -> None:
    """Raises ValueError for tiles that are not the part's, and for vectors that no encoder made."""
    if (np.diff(ids) <= 0).any() or not np.isin(ids, expected, assume_unique=True).all():
        raise ValueError("its tiles are those of another part")
    if (np.abs(np.linalg.norm(vectors, axis=1) - 1) > UNIT_TOLERANCE).any() or not np.isfinite(vectors).all():
        raise ValueError("some of its vectors do not have unit length")


def _check_note(note: PartNote, tiles: int, meta: Meta) -> None:
    if note.tiles != tiles:
        raise ValueError(f"it holds {tiles:,} tiles and says {note.tiles:,}")
    if note.key != meta.key:
        raise ValueError("it was made for another index")


def _damaged(file: Path, error: Exception) -> IndexStoreError:
    hint = "Index the raster again with --resume: it is remade."
    return IndexStoreError(f"{file} is damaged: {error}", hint)
