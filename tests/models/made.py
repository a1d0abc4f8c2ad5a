"""What training starts from, with random weights: a backbone, and a sentence model of a few words."""

import torch
from rs_text_search_plugin.models.layers.minilm import (
    MAX_TOKENS,
    SPECIAL,
    TextConfig,
    TextTower,
    WordPiece,
    from_minilm,
)
from rs_text_search_plugin.models.layers.mobilenetv2 import LAST, PLAN, MobileNetV2, from_tf2
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS, UNITS, ResNet50V2, folded_resnet50v2
from rs_text_search_plugin.models.training.distillation import Teacher
from torch.nn import functional as fn


def gluon_tensors(seed=0):
    """Random tensors under GluonCV's names, batch norms included."""
    draw = torch.Generator().manual_seed(seed)
    tensors = {}

    def conv(name, outputs, inputs, side):
        spread = (2 / (inputs * side * side)) ** 0.5
        tensors[f"resnetv24_{name}_weight"] = spread * torch.randn(
            outputs, inputs, side, side, generator=draw
        )

    def norm(name, channels):
        tensors[f"resnetv24_{name}_gamma"] = 0.5 + torch.rand(channels, generator=draw)
        tensors[f"resnetv24_{name}_beta"] = 0.1 * torch.randn(channels, generator=draw)
        tensors[f"resnetv24_{name}_running_mean"] = 0.1 * torch.randn(channels, generator=draw)
        tensors[f"resnetv24_{name}_running_var"] = 0.5 + torch.rand(channels, generator=draw)

    norm("batchnorm0", 3)
    conv("conv0", 64, 3, 7)
    norm("batchnorm1", 64)
    inputs = 64
    for stage, (units, outputs) in enumerate(zip(UNITS, CHANNELS, strict=True), 1):
        number, middle = 0, outputs // 4
        for unit in range(units):
            for place, width in enumerate((inputs, middle, middle)):
                norm(f"stage{stage}_batchnorm{3 * unit + place}", width)
            for shape in ((middle, inputs, 1), (middle, middle, 3), (outputs, middle, 1)):
                conv(f"stage{stage}_conv{number}", *shape)
                number += 1
            if unit == 0:
                conv(f"stage{stage}_conv{number}", outputs, inputs, 1)
                number += 1
            inputs = outputs
    norm("stage4_batchnorm0", CHANNELS[-1])
    return tensors


def tf2_tensors(seed=0):
    """Random tensors of a MobileNetV2 under the names that from_tf2 takes."""
    shapes, inputs, number = {"features.0.0": (32, 3, 3, 3)}, 32, 0
    for expansion, outputs, blocks, _ in PLAN:
        for _ in range(blocks):
            wide, number = inputs * expansion, number + 1
            parts = [(wide, inputs, 1, 1), (wide, 1, 3, 3), (outputs, wide, 1, 1)][expansion == 1 :]
            ends = [f"{place}.0" for place in range(len(parts) - 1)] + [f"{len(parts) - 1}"]
            shapes |= {f"features.{number}.conv.{end}": shape for end, shape in zip(ends, parts, strict=True)}
            inputs = outputs
    shapes[f"features.{number + 1}.0"] = (LAST, inputs, 1, 1)
    draw, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes.items():
        spread = (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
        tensors[f"{name}.weight"] = spread * torch.randn(shape, generator=draw)
        tensors[f"{name}.bias"] = torch.zeros(shape[0])
    return tensors


def fitted_image_encoder(tensors, x):
    """The same with its last convolution fitted to images x (n, 3, h, w), as `fitted_backbone` does it."""
    network, name = MobileNetV2().eval(), next(name for name in tensors if name.endswith("18.0.weight"))
    network.load_state_dict(from_tf2(tensors))
    seen = []
    network.close.register_forward_hook(lambda conv, given, _: seen.append(fn.conv2d(given[0], conv.weight)))
    with torch.inference_mode():
        network(x)
    maps = torch.cat(seen)
    spread, mean = maps.std((0, 2, 3)) + 1e-6, maps.mean((0, 2, 3))
    fitted = {
        name: tensors[name] / spread[:, None, None, None],
        name.replace("weight", "bias"): -mean / spread,
    }
    return {**tensors, **{name: value.clone() for name, value in fitted.items()}}


def fitted_backbone(tensors, x):
    """The same with its last batch norm fitted to images x (n, 3, h, w), else all look alike to random layers."""
    network = ResNet50V2().eval()
    network.load_state_dict(folded_resnet50v2(tensors))
    network.close = torch.nn.Identity()
    with torch.inference_mode():
        maps = network(x)[1]
    fitted = {"running_mean": maps.mean((0, 2, 3)), "running_var": maps.var((0, 2, 3))}
    fitted |= {"gamma": torch.ones(CHANNELS[-1]), "beta": torch.zeros(CHANNELS[-1])}
    return {**tensors, **{f"resnetv24_stage4_batchnorm0_{name}": value for name, value in fitted.items()}}


def teacher(words):
    """A sentence model with random weights that knows these words."""
    torch.manual_seed(1)
    vocabulary = [
        *SPECIAL,
        *"abcdefghijklmnopqrstuvwxyz",
        *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
        *words,
    ]
    tensors = hugging_face(len(vocabulary))
    tower = TextTower(TextConfig(len(vocabulary), layers=6))
    tower.load_state_dict(from_minilm(tensors, range(6), range(len(vocabulary))))
    return Teacher(WordPiece(vocabulary), tensors, tower.eval())


def hugging_face(words):
    """Random tensors under BERT's names."""
    tensors = {
        "embeddings.word_embeddings.weight": torch.randn(words, 384),
        "embeddings.position_embeddings.weight": 0.1 * torch.randn(MAX_TOKENS, 384),
        "embeddings.token_type_embeddings.weight": 0.1 * torch.randn(2, 384),
        "embeddings.LayerNorm.weight": torch.ones(384),
        "embeddings.LayerNorm.bias": torch.zeros(384),
    }
    dense = {
        "attention.self.query": (384, 384),
        "attention.self.key": (384, 384),
        "attention.self.value": (384, 384),
    }
    dense |= {
        "attention.output.dense": (384, 384),
        "intermediate.dense": (1536, 384),
        "output.dense": (384, 1536),
    }
    for layer in range(6):
        for name, shape in dense.items():
            tensors[f"encoder.layer.{layer}.{name}.weight"] = 0.05 * torch.randn(shape)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = torch.zeros(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors[f"encoder.layer.{layer}.{name}.weight"] = torch.ones(384)
            tensors[f"encoder.layer.{layer}.{name}.bias"] = torch.zeros(384)
    return tensors
