"""Fits the language adapter of a model: `python -m rs_text_search_plugin.engine.search.language.fit MODEL [JSONL...]`.

Learns from texts alone: names of things and places, made-up descriptions and (with JSONL) captions of train splits in
English; the word lists in their own languages, and qualities joined with nouns. Takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.query.embedding import embed_english
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.inference import language_adapter
from rs_text_search_plugin.models.label_prompts import label_prompts, synthetic_descriptions

from .dictionary import LANGUAGES, NOUN_FIRST, Dictionary, dictionary
from .sentences import encode, known_phrases

CAPTIONS, MADE_UP, JOINED = 6000, 3000, 500
"""How many captions, made-up descriptions, and qualities with a noun in each language."""
PER_ATTRIBUTE = 6
SHARE_OF_NAMES, SHARE_OF_TERMS = 4.0, 2.0
"""How often an English name and a term of a word list are drawn, against 1 for captions and descriptions."""
CHUNK = 512
Pair = tuple[str, str]
"""A text in any language, and its English."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model's name, or a .safetensors file of compact")
    parser.add_argument(
        "data", nargs="*", metavar="JSONL", help="captioned images whose train captions are read"
    )
    parser.add_argument(
        "--out", type=Path, help="the folder to write to; default: beside the model's weights"
    )
    args = parser.parse_args(argv)
    print(
        *(f"{name}: {value}" for name, value in write_adapter(args.model, args.data, args.out).items()),
        sep="\n",
    )


def write_adapter(model: str, data: Sequence[str], folder: Path | None = None) -> dict[str, str | int]:
    """Fits a model's adapter and writes it into a folder, by default beside the model's weights."""
    encoder = registry.load(model)
    beside = language_adapter.path_of(encoder.name)
    path = folder / beside.name if folder else beside
    path.parent.mkdir(parents=True, exist_ok=True)
    fit_adapter(encoder, captions(data)).save(path, encoder.fingerprint)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "model": encoder.name,
        "fingerprint": encoder.fingerprint,
    }


def fit_adapter(encoder: Encoder, captioned: Sequence[str] = ()) -> language_adapter.LanguageAdapter:
    """An adapter to an encoder's text tower, from our own texts and English captions."""
    from rs_text_search_plugin.models.training.language_adapter import (  # noqa: PLC0415 - brings torch
        Examples,
        FitSettings,
        fit,
    )

    rng = np.random.default_rng(0)
    named = english_names(rng)
    plain = [*synthetic_descriptions(MADE_UP, rng), *captioned]
    listed = [pair for code in LANGUAGES for pair in word_list_pairs(dictionary(code), rng)]
    pairs = [*((text, text) for text in (*named, *plain)), *listed]
    sentences = encode([text for text, _ in pairs])
    weights = [SHARE_OF_NAMES] * len(named) + [1.0] * len(plain) + [SHARE_OF_TERMS] * len(listed)
    examples = Examples(sentences, english_vectors(encoder, pairs), np.array(weights, dtype=np.float32))
    probes = encoder.texts(list(language_adapter.PROBES))
    return fit(examples, sentences[: len(named)], probes, FitSettings())


def english_names(rng: np.random.Generator) -> list[str]:
    """Names of things and places, and qualities with a noun."""
    source = label_prompts()
    drawn = {a: rng.choice(source.nouns, PER_ATTRIBUTE) for a in source.attributes}
    joined = [f"{attribute} {noun}" for attribute, nouns in drawn.items() for noun in nouns]
    return list(dict.fromkeys((*known_phrases(), *source.nouns, *joined)))


def word_list_pairs(source: Dictionary, rng: np.random.Generator) -> Iterator[Pair]:
    """The terms of a language, and some qualities with a noun in its own order."""
    yield from source.terms()
    qualities = [(word, english) for word, english in source.terms() if english in source.qualities]
    nouns = [(word, english) for word, english in source.terms() if english not in source.qualities]
    for _ in range(JOINED):
        (quality, quality_english), (noun, noun_english) = (
            listed[int(rng.integers(len(listed)))] for listed in (qualities, nouns)
        )
        said = (noun, quality) if source.code in NOUN_FIRST else (quality, noun)
        yield ("" if source.code == "zh" else " ").join(said), f"{quality_english} {noun_english}"


def english_vectors(encoder: Encoder, pairs: Sequence[Pair]) -> F32:
    """(n, dim): how a search embeds the English of each pair."""
    texts = list(dict.fromkeys(english for _, english in pairs))
    chunks = [embed_english(encoder, texts[at : at + CHUNK]) for at in range(0, len(texts), CHUNK)]
    rows = {text: row for row, text in enumerate(texts)}
    return np.asarray(np.concatenate(chunks)[[rows[english] for _, english in pairs]])


def captions(specs: Sequence[str]) -> list[str]:
    """Some of the English captions of the train splits."""
    from rs_text_search_plugin.models.training.datasets import open_dataset  # noqa: PLC0415

    rows = [row for spec in specs for row in open_dataset(spec).rows if row.split == "train"]
    found = sorted({caption for row in rows for caption in row.captions})
    order = np.random.default_rng(1).permutation(len(found))
    return [found[int(place)] for place in order[:CAPTIONS]]


if __name__ == "__main__":
    main()
