"""What training starts from, with random weights: a backbone, and a sentence model of a few words."""

import torch
from rs_text_search_plugin.models.backbones import CHANNELS, UNITS, ResNet50V2, folded_resnet50v2
from rs_text_search_plugin.models.distillation import Teacher
from rs_text_search_plugin.models.text import (
    MAX_TOKENS,
    SPECIAL,
    TextConfig,
    TextTower,
    WordPiece,
    from_minilm,
)


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


def settled(tensors, x):
    """The same with its last batch norm fitted to pictures x (n, 3, h, w), else all look alike to random layers."""
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
