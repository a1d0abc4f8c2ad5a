"""How well plain names find things, over val chips with boxes of every set and val images of scenes among them.

    python -m tests.bench.things MODEL OBJECTS.jsonl[:IMAGES] SCENES.jsonl[:IMAGES]... [--sets] [--ground]

Every chip is embedded whole and, where it is large enough, as a window (models/evaluation/things.py); images of scenes
count against a name where their label and captions rule the thing out, and never for it. `precision` is the share of
right ones among the first ten by the singular and by the plural name, embedded as a search does it, `AP` their average
precision; images of which nobody can tell are passed over. --sets tells things of one set from everything else,
--ground gives the means for half and twice the ground.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image
from rs_text_search_plugin.models.evaluation.things import (
    FEWEST,
    Pool,
    average_precision,
    plain_names,
    pooled,
    precision,
)
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import open_dataset, pixels
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, UNKNOWN, things

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.query.embedding import embed_english
from tests.bench.robustness import closer, farther

BATCH = 32
LOW = 0.8
"""Names below this precision are counted."""
Change = Callable[[Image.Image], Image.Image]
GROUND: dict[str, Change] = {
    "2x the ground: mirrored around": farther,
    "0.7x the ground: middle of the image": partial(closer, share=0.7),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("objects", metavar="OBJECTS.jsonl[:IMAGES]")
    parser.add_argument("scenes", nargs="+", metavar="SCENES.jsonl[:IMAGES]")
    parser.add_argument("--sets", action="store_true", help="each set's things against everything else")
    parser.add_argument("--ground", action="store_true", help="half and twice the ground as well")
    args = parser.parse_args()
    pool = pooled([open_dataset(args.objects)], [open_dataset(spec) for spec in args.scenes], things())
    bench = Bench(load(args.model), pool)
    bench.report()
    if args.sets:
        bench.report_sets()
    if args.ground:
        bench.report_ground()


@dataclass(frozen=True)
class Result:
    """One name's figures."""

    thing: int
    precision: float
    ap: float


class Bench:
    """A model and a pool of images, embedded once."""

    def __init__(self, encoder: Encoder, pool: Pool) -> None:
        self.encoder, self.pool = encoder, pool
        self.names = plain_names(things(), pool.things())
        self.texts = embed_english(encoder, [name for _, name in self.names])
        self.images = self._embedded(pool.images)

    def figures(self, images: F32) -> list[Result]:
        """(n, dim) -> figures of every name."""
        return [
            Result(thing, precision(similarity, known), average_precision(similarity, known))
            for (thing, _), similarity in zip(self.names, (images @ self.texts.T).T, strict=True)
            for known in (self.pool.known[:, thing],)
        ]

    def report(self) -> None:
        """A line for each thing, then the means."""
        print("| thing | precision at 10, singular / plural | AP, singular / plural | chips | without |")
        print("|---|---|---|---|---|")
        found = self.figures(self.images)
        for one, many in zip(found[::2], found[1::2], strict=True):
            known = self.pool.known[:, one.thing]
            counts = f"{(known == PRESENT).sum()} | {(known == ABSENT).sum()}"
            both = f"{one.precision:.1f} / {many.precision:.1f} | {one.ap:.2f} / {many.ap:.2f}"
            print(f"| {things().all[one.thing].name} | {both} | {counts} |")
        low = sum(result.precision < LOW for result in found)
        print(f"\n{len(found)} names: precision at 10 {_means(found)}; below {LOW}: {low}")

    def report_sets(self) -> None:
        """The plural name of each thing with its examples from one set alone, against all that do not show it."""
        print("\n| set | thing | AP, plural | chips |\n|---|---|---|---|")
        for name in sorted(set(self.pool.origin) - {""}):
            for (thing, _), text in list(zip(self.names, self.texts, strict=True))[1::2]:
                known = self._of_set(name, thing)
                if (known == PRESENT).sum() >= FEWEST:
                    ap = average_precision(self.images @ text, known)
                    print(f"| {name} | {things().all[thing].name} | {ap:.2f} | {(known == PRESENT).sum()} |")

    def report_ground(self) -> None:
        """Means for other grounds; scenes stay as they are. A smaller part than 0.7 of a chip may lack its things."""
        print("\n| chips | precision at 10, AP |\n|---|---|")
        print(f"| untouched | {_means(self.figures(self.images))} |")
        chips = self.pool.origin != ""
        for title, change in GROUND.items():
            images = self.images.copy()
            images[chips] = self._embedded(_changed(self.pool.images[chips], change))
            print(f"| {title} | {_means(self.figures(images))} |", flush=True)

    def _of_set(self, name: str, thing: int) -> npt.NDArray[np.int8]:
        """What is known of a thing, examples from other sets left out."""
        known = self.pool.known[:, thing]
        return np.where((known == PRESENT) & (self.pool.origin != name), np.int8(UNKNOWN), known)

    def _embedded(self, images: U8) -> F32:
        starts = range(0, len(images), BATCH)
        return np.concatenate([self.encoder.images(images[start : start + BATCH]) for start in starts])


def _changed(images: U8, change: Change) -> U8:
    return np.stack([pixels(change(Image.fromarray(image))) for image in images])


def _means(found: list[Result]) -> str:
    return f"{np.mean([r.precision for r in found]):.3f}, AP {np.mean([r.ap for r in found]):.3f}"


if __name__ == "__main__":
    main()
