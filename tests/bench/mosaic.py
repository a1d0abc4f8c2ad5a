"""A mosaic of captioned images, indexed and searched: how often is the right tile among the best ten?

    python -m tests.bench.mosaic JSONL:IMAGES [--split val] [--captions 1000] [--model compact] [--rerank]

IMAGES is a folder, or tar files joined by commas. Every image becomes one tile, so that a tile's id is its
row. Captions are often true of many images (“many buildings are in a residential area”), hence the last
figure: how many of the best ten carry the same scene label.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.training.datasets import Dataset, Row, open_dataset

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.contracts.protocols import Encoder, Reranker
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import Index, open_index
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search.query.prompts import tidy
from rs_text_search_plugin.engine.search.rerank import rerank
from rs_text_search_plugin.engine.search.search import Limits, search
from tests.bench.gallery import FOLDER

SIDE = 224
"""Side of an image in the mosaic, px."""
COLUMNS = 32
BEST = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", metavar="JSONL:IMAGES")
    parser.add_argument("--split", default="val")
    parser.add_argument("--captions", type=int, default=1000, help="how many to search for, drawn at random")
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("--rerank", action="store_true", help="measure the order after reranking as well")
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    dataset = open_dataset(args.data)
    rows = dataset.split(args.split)
    mosaic = write_mosaic(args.out / "mosaic.tif", dataset, rows)
    encoder = registry.load(args.model)
    start = time.perf_counter()
    report = index(str(mosaic), encoder, IndexOptions(tile_px=SIDE, mode="restart"))
    print(f"{report.tiles} tiles indexed in {time.perf_counter() - start:.1f} s, model {encoder.name}")
    made = open_index(Path(report.index))
    measure(made, encoder, rows, args.captions)
    if args.rerank:
        measure(made, encoder, rows, args.captions, registry.load_reranker())


def write_mosaic(path: Path, dataset: Dataset, rows: Sequence[Row]) -> Path:
    """Lays the images side by side, row by row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height = SIDE * ceil(len(rows) / COLUMNS)
    place = {"crs": "EPSG:32631", "transform": from_origin(500_000, 4_600_000, 0.5, 0.5)}
    kind = {"driver": "GTiff", "dtype": "uint8", "count": 3, "tiled": True, "nodata": None}
    with rasterio.open(path, "w", width=SIDE * COLUMNS, height=height, **kind, **place) as raster:
        for number, row in enumerate(rows):
            picture = np.asarray(dataset.images.read(row.image).resize((SIDE, SIDE)))
            y, x = divmod(number, COLUMNS)
            raster.write(picture.transpose(2, 0, 1), window=Window(SIDE * x, SIDE * y, SIDE, SIDE))
    return path


def indexed(encoder: Encoder, dataset: Dataset) -> Index:
    """The index of all val images as one raster; ids are row numbers. Kept under build/bench and used again."""
    raster = FOLDER / f"{dataset.name}-val.tif"
    if not raster.is_file():
        write_mosaic(raster, dataset, dataset.split("val"))
    folder = FOLDER / f"{dataset.name}-val-{encoder.fingerprint[:16]}.rsidx"
    report = index(str(raster), encoder, IndexOptions(tile_px=SIDE, out=folder))
    return open_index(Path(report.index))


def measure(
    mosaic: Index, encoder: Encoder, rows: Sequence[Row], captions: int, reranker: Reranker | None = None
) -> None:
    """Searches for captions and prints where their own image came out."""
    pairs = [(number, text) for number, row in enumerate(rows) for text in row.captions if tidy(text)]
    chosen = np.random.default_rng(0).permutation(len(pairs))[:captions]
    ranks, same, seconds = [], [], []
    for number, caption in (pairs[i] for i in chosen):
        found = search([mosaic], encoder, Query(text=caption), Limits(top=len(rows)))
        if reranker:
            found = rerank(found, [mosaic], Query(caption), reranker, Job())
        seconds.append(found.seconds)
        ranks.append(next((m.rank for m in found.matches if m.id == number), len(rows)))
        labels = [rows[m.id].label for m in found.matches[:BEST] if m.id < len(rows)]
        same.append(labels.count(rows[number].label) / BEST)
    place = np.array(ranks)
    first, best = (100 * np.mean(place <= limit) for limit in (1, BEST))
    again = f", reranked by {reranker.name}" if reranker else ""
    print(
        f"{len(ranks)} captions of {len(rows)} pictures{again}, {1000 * np.median(seconds):.0f} ms a search"
    )
    print(f"right tile first         {first:5.1f} %")
    print(f"right tile in the top 10 {best:5.1f} %  (by chance {100 * BEST / len(rows):.1f} %)")
    print(f"median rank              {np.median(place):5.0f}")
    print(f"same scene label, top 10 {100 * np.mean(same):5.1f} %")


if __name__ == "__main__":
    main()
