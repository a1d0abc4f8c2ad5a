"""The mean of several trained models.

    python -m rs_text_search_plugin.models.training.weight_averaging OUT.safetensors A B ...

Runs that start from the same weights with other seeds end near each other, and the mean of their weights mostly
does better than each (Wortsman et al. 2022, "Model soups"), at the cost of one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rs_text_search_plugin.models import checkpoint

from rs_text_search_plugin.contracts.errors import ModelError


def average_weights(out: Path, files: Sequence[Path]) -> None:
    """Write the mean of models of one kind. Raises ModelError when they are not."""
    systems = [checkpoint.load(file) for file in files]
    first = systems[0]
    kinds = {(type(s), str(s.settings), s.tokenizer.vocabulary) for s in systems}
    if len(kinds) > 1:
        hint = "Average runs that started from the same weights."
        raise ModelError("These models are not of one kind.", hint)
    states = [system.state_dict() for system in systems]
    first.load_state_dict({name: torch.stack([s[name] for s in states]).mean(0) for name in states[0]})
    checkpoint.save(first, checkpoint.name_of(first), out)


if __name__ == "__main__":
    average_weights(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
