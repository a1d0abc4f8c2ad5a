"""Array types by element, for annotations only: nothing here needs numpy at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    U8 = npt.NDArray[np.uint8]
    F16 = npt.NDArray[np.float16]
    F32 = npt.NDArray[np.float32]
    F64 = npt.NDArray[np.float64]
    I32 = npt.NDArray[np.int32]
    I64 = npt.NDArray[np.int64]
    Bool = npt.NDArray[np.bool_]
else:
    U8 = F16 = F32 = F64 = I32 = I64 = Bool = Any
