"""docs/results.md from the records in docs/results/ (see systems.py): python -m tests.bench.results"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomllib

DOCS = Path(__file__).parents[2] / "docs"
KEPT = DOCS / "results"
MODELS = ("compact", "galr", "dove", "mgrm_el", "mtgfe")
CELLS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10")
MORE = {"fused": ("behind compact", "{:.2f}"), "words": ("people's words", "{:.3f}")}
"""Figures that some runs have: their column's head and how they are written."""
Record = Mapping[str, Any]

HEAD = """# Results

Made by `python -m tests.bench.results` from the records in `docs/results/`, each written by a run of
`python -m tests.bench.systems`; do not edit by hand. RSICD by the standard protocol (every image against
every caption, best own caption for image to text, ties against the model), **val** split: 1,094 images,
5,470 captions. Published figures are of the test split, which reads about 4 points higher (a linear probe
on frozen features: 16.6 on val, 20.7 on test). One seed unless a table says otherwise: no GPU was at hand,
two CPU cores were.
"""
SYSTEMS = """
## The five models as committed

All share one image backbone: ResNet50-V2 stages 1-3 from ImageNet, its last stage tuned by `compact`'s
recipe on the training captions. mR is by the cosine, as a search uses it; I2T and T2I, recall at 1 / 5 / 10 in
percent, are with hub correction (docs/decisions/0012-hub-correction.md); "MR" is mR after hub correction and GaLR's
multivariate rerank, which needs all queries of the split at once. In MTGFE-style `compact`'s towers propose 32
candidates for each query and its fusion encoder orders them: mR and "MR" are the towers', the rest is reranked.
Speeds of all were taken in turns in one run on 2 cores, best of three: read them against each other. Text: one query
through the text tower.
"""
PUBLISHED = """
## Beside the published figures

Ours on val, theirs on test.
"""
FILTER = """
## Retrieval filtering: a first stage proposes, MTGFE-style's fusion encoder decides

`evaluate FIRST --rerank mtgfe --candidates K`: each query's K best are ordered by the fusion encoder's
logit plus a weight times the first stage's similarity. Milliseconds a query on 2 cores that also trained a
model, images' keys at hand, texts not.
"""
SAMPLE = """
Up to all images as candidates, text to image, on 40 captions:
"""
ABLATIONS = """
## Ablations

Each line switches one module of the system off, or replaces it; everything else, the seed and the number of
epochs are equal within a table. Epochs are fewer than for the committed weights, and differences below
about half a point are within what another seed changes; seconds include whatever else the machine did. All
are by the cosine alone, MTGFE-style by alignment alone and ("behind compact") as the reranker of `compact`'s
16 best: 51 steps, in which its fusion encoder learns next to nothing. Compact's are of its heads and text
tower alone, on cached maps of ImageNet's backbone, from all three datasets; what tuning, sizes and means of
weights add stands in its card. "People's words" is precision at 10 of 392 short queries (`python -m
tests.bench.words`).
"""


def main() -> None:
    """Write docs/results.md."""
    published = tomllib.loads(Path(__file__).with_name("published.toml").read_text("utf-8"))
    models = {name: _read(KEPT / f"model-{name}.json") for name in MODELS}
    runs = [_read(path) for path in sorted(KEPT.glob("run-*.json"))]
    parts = [
        HEAD, SYSTEMS, _systems(models, published), PUBLISHED, _published(models, published),
        FILTER, *(_filter(_read(path)) for path in sorted(KEPT.glob("filter-*.json"))),
        ABLATIONS, *(_ablations(name, published, runs) for name in MODELS),
    ]  # fmt: skip
    (DOCS / "results.md").write_text("".join(part.rstrip("\n") + "\n" for part in parts if part), "utf-8")


def _systems(models: Mapping[str, Record], titles: Record) -> str:
    heads = [
        "model",
        "mR",
        "with hub correction",
        "I2T",
        "T2I",
        "MR",
        "parameters",
        "on disk",
        "tiles/s",
        "ms a text",
    ]
    lines = (
        (titles[name]["title"], f"**{r['cosine_mr']:.2f}**", f"{_corrected(r)['mr']:.2f}",
         _way(_corrected(r), "i2t"), _way(_corrected(r), "t2i"), f"{r['reranked']:.2f}",
         f"{r['parameters'] / 1e6:.1f} M", f"{r['bytes'] / 1e6:.1f} MB",
         f"{r['tiles_per_s']:.0f}",
         f"{r['ms_per_text']:.1f}")
        for name, r in models.items()
    )  # fmt: skip
    return table(heads, lines)


def _corrected(record: Record) -> Record:
    """Figures with hub correction; records from before 0.2 hold no others but `cosine_mr`."""
    return record.get("with_hub_correction", record)  # type: ignore[no-any-return]


def _published(models: Mapping[str, Record], titles: Record) -> str:
    lines = []
    for name, entry in titles.items():
        figures = entry["published"]
        theirs = f"{figures[-1]:.2f}" if figures else "-"
        if name != "compact":
            lines.append((entry["title"], f"{models[name]['mr']:.2f}", theirs, entry["source"], entry["gap"]))
    return table(["system", "mR, ours", "mR, published", "source", "why they differ"], lines)


def _named_weights(measured: Record) -> str:
    """A model, and which of its weights where they are not those of its own line."""
    kept = json.loads((KEPT / f"model-{measured['model']}.json").read_text("utf-8"))
    same = kept["fingerprint"] == measured["fingerprint"]
    return str(measured["model"]) + ("" if same else f" (earlier weights, {measured['fingerprint'][:8]})")


def _filter(record: Record) -> str:
    lines = record["all"]
    heads = ["candidates", "I2T", "T2I", "mR", "ms a query"]
    first = lines[0]
    name, about = _named_weights(first), f"weight of its similarity {first['mix']:g}"
    title = f"\nFirst stage {name}, {first['first_mr']:.2f} alone, {about}:\n"
    rows = (
        (str(r["candidates"]), _way(r, "i2t"), _way(r, "t2i"), f"{r['mr']:.2f}", f"{r['ms_per_query']:.1f}")
        for r in lines
    )
    whole = (
        (str(r["candidates"]), f"{r['r1']:.1f} / {r['r5']:.1f} / {r['r10']:.1f}", f"{r['ms_per_query']:.0f}")
        for r in record["sample"]
    )
    sampled = SAMPLE + table(["candidates", "T2I", "ms a query"], whole) if record["sample"] else ""
    return title + table(heads, rows) + sampled


def _ablations(name: str, titles: Record, runs: Sequence[Record]) -> str:
    """One table for each recipe that has more than the system itself."""
    mine = [run for run in runs if run["model"] == name]
    found = []
    for epochs, share in sorted({_length(run) for run in mine}):
        same = [run for run in mine if _length(run) == (epochs, share)]
        whole = [run for run in same if not run["variant"]]
        if len(same) < 2 or not whole:
            continue
        base = sum(run["mr"] for run in whole) / len(whole)
        lines = [
            (run["variant"].replace("_", " ") or _whole(run), _way(run, "i2t"), _way(run, "t2i"),
             f"{run['mr']:.2f}", f"{run['mr'] - base:+.2f}",
             *(form.format(run[key]) for key, (_, form) in MORE.items() if key in run), f"{run['seconds']}")
            for run in sorted(same, key=lambda run: (run["variant"] != "", -run["mr"]))
        ]  # fmt: skip
        seen = "" if share == 1 else f" over {100 * share:.0f} % of the images"
        seen += (
            ", over images"
            if "fused" in same[0]
            else f", {whole[0]['recipe']['augmentations']} augmentations"
        )
        title = f"\n### {titles[name]['title']}, {epochs} epochs{seen}\n"
        more = [head for key, (head, _) in MORE.items() if key in same[0]]
        found.append(title + table(["variant", "I2T", "T2I", "mR", "against whole", *more, "seconds"], lines))
    return "".join(found)


def _whole(run: Record) -> str:
    text = {"vectors": ", word vectors", "sentence": ", sentence model"}.get(run["settings"].get("text"), "")
    return f"whole{text}, seed {run['seed']}"


def _length(run: Record) -> tuple[int, float]:
    return run["recipe"]["epochs"], run["recipe"]["first_dataset"]


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A markdown table."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _way(record: Record, way: str) -> str:
    return " / ".join(f"{record[cell]:.1f}" for cell in CELLS if cell.startswith(way))


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
