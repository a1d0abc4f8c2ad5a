"""Any open_clip checkpoint as a pair of towers: RemoteCLIP, GeoRSCLIP and their kin.

Checkpoints that descend from OpenAI's weights need QuickGELU; open_clip only warns when it is missing and
then returns slightly wrong vectors, so the flag comes from the registry entry and weights are loaded strictly."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.errors import ModelError


class ClipModel(nn.Module):
    """open_clip's model and tokenizer behind `embed_images` and `embed_texts`."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, tokenizer: Any, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def embed_images(self, tiles: Tensor) -> Tensor:
        """(B, S, S, 3) RGB uint8 -> (B, dim) unit length."""
        x = tiles.permute(0, 3, 1, 2) / 255  # (B, 3, S, S)
        return fn.normalize(self.model.encode_image((x - self.mean) / self.std).float(), dim=1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit length."""
        ids = self.tokenizer(list(texts)).to(self.mean.device)
        return fn.normalize(self.model.encode_text(ids).float(), dim=1)


def load(path: Path, entry: Mapping[str, Any]) -> ClipModel:
    """A checkpoint file and its registry entry (`arch`, `quick_gelu`, `mean`, `std`) -> the model.

    Raises ModelError when open_clip is not installed or the checkpoint does not fit the architecture.
    """
    try:
        open_clip = importlib.import_module("open_clip")
    except ImportError as error:
        hint = "Install it into the engine's environment: pip install open_clip_torch"
        raise ModelError(f"{entry['title']} needs the package open_clip.", hint) from error
    model = open_clip.create_model(entry["arch"], pretrained=None, force_quick_gelu=entry["quick_gelu"])
    try:
        model.load_state_dict(read_state(path), strict=True)
    except RuntimeError as error:
        message = f"{path.name} does not fit {entry['arch']}: {error}"
        raise ModelError(message, "Correct `arch` in registry.toml.") from error
    return ClipModel(model.eval(), open_clip.get_tokenizer(entry["arch"]), entry["mean"], entry["std"])


def read_state(path: Path) -> dict[str, Tensor]:
    """Weights of a .safetensors or .pt file, without the wrappers that training scripts leave around them."""
    if path.suffix == ".safetensors":
        return importlib.import_module("safetensors.torch").load_file(path)  # type: ignore[no-any-return]
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name.removeprefix("module."): value for name, value in state.items()}
