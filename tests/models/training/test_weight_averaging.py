import pytest
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.training.weight_averaging import average_weights

from rs_text_search_plugin.contracts.errors import ModelError

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "roof"]


def saved(path, level, **settings):
    """A small `compact` whose head is all one number."""
    system = checkpoint.build("compact", VOCABULARY, {"text_layers": 1, **settings})
    torch.nn.init.constant_(system.text_head.linear.weight, level)
    checkpoint.save(system, "compact", path)
    return path


def test_the_mean_of_two_lies_half_way(tmp_path):
    files = [saved(tmp_path / "a.safetensors", 1.0), saved(tmp_path / "b.safetensors", 2.0)]
    average_weights(tmp_path / "mean.safetensors", files)
    found = checkpoint.load(tmp_path / "mean.safetensors").text_head.linear.weight
    torch.testing.assert_close(found, torch.full_like(found, 1.5), atol=0.01, rtol=0)


def test_models_of_other_shapes_are_refused(tmp_path):
    files = [saved(tmp_path / "a.safetensors", 1.0), saved(tmp_path / "b.safetensors", 2.0, width=96)]
    with pytest.raises(ModelError, match="not of one kind"):
        average_weights(tmp_path / "mean.safetensors", files)
