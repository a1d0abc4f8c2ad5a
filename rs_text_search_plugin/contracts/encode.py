"""The contracts' dataclasses as JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from .messages import Window


def encode(value: Any) -> Any:
    """Dataclasses, arrays, paths and tuples as JSON has them; a window is [x, y, width, height], NaN null."""
    if isinstance(value, Window):
        return [value.x, value.y, value.width, value.height]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "tolist"):  # numpy scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, PathLike):
        return fspath(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
