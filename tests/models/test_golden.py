import numpy as np
import pytest

from . import golden


@pytest.mark.parametrize("name", golden.MODELS)
def test_shipped_weights_give_the_vectors_they_gave(name):
    kept = np.load(golden.FILE)
    for kind, now in zip(golden.KINDS, golden.vectors(name), strict=True):
        cosines = (now * kept[f"{name}.{kind}"]).sum(1)
        assert cosines.shape == (golden.COUNT,)
        assert cosines.min() >= 0.99999
