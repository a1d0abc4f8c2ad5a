"""Draws the demo scene: a synthetic aerial picture of a coast, georeferenced, with its truth as a GeoPackage.

    python -m tests.demo.scene OUT_DIR [--size 4096] [--seed 7]

Nothing in it is a photograph: every pixel comes from `themes` and `sites`, the same for the same seed. A size
below 4096 px draws a part of it: houses, a car park, a sports ground.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import rasterio
import shapely
from pyogrio.raw import write
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from shapely.geometry.base import BaseGeometry

from tests.demo import sites, themes
from tests.demo.paint import GSD, Canvas

FULL = 4096
CRS = "EPSG:32631"
ORIGIN = (431_000.0, 4_583_000.0)
"""Easting and northing of the whole scene's upper left corner, m. A place in open sea: nobody lives there."""
FOCUS = (1160.0, 700.0)
"""Upper left corner of a smaller scene, m, unless it must be shifted to fit."""
PHRASES = {
    "houses": "houses along streets",
    "farmland": "farmland",
    "forest": "forest",
    "bridge": "bridge over a river",
    "storage tanks": "storage tanks",
    "car park": "cars in a parking lot",
    "sports ground": "football field with running track",
    "harbour": "boats in a harbour",
    "airport": "airport runway with planes",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--size", type=int, default=FULL, help="side in px of 0.5 m (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    began = time.perf_counter()
    raster, truth = make_scene(args.out, args.size, args.seed)
    print(f"Drew {raster} and {truth} in {time.perf_counter() - began:.1f} s (synthetic, seed {args.seed}).")


def make_scene(out: Path, size: int = FULL, seed: int = 7) -> tuple[Path, Path]:
    """Draws scene.tif and truth.gpkg into a folder and returns both paths."""
    out.mkdir(parents=True, exist_ok=True)
    x, y = (min(start, (FULL - size) * GSD) for start in FOCUS)
    canvas, truth = draw(x, y, size, seed)
    write_raster(out / "scene.tif", canvas, seed)
    write_truth(out / "truth.gpkg", canvas, truth)
    return out / "scene.tif", out / "truth.gpkg"


def draw(x: float, y: float, size: int, seed: int) -> tuple[Canvas, dict[str, BaseGeometry]]:
    """The view of `size` px from (x, y) m, and the truth of the whole scene in scene metres."""
    canvas, rng = Canvas(x, y, size, seed), np.random.default_rng(seed)
    themes.ground(canvas, rng)
    themes.water(canvas, rng)
    truth = themes.farmland(canvas, rng)
    themes.roads(canvas)
    for theme in (
        themes.forest,
        themes.town,
        sites.tank_farm,
        sites.car_park,
        sites.sports_ground,
        sites.harbour,
        sites.airport,
        sites.bridges,
    ):
        truth |= theme(canvas, rng)
    return canvas, truth


def write_raster(path: Path, canvas: Canvas, seed: int) -> None:
    """A tiled, compressed GeoTIFF with overviews that says of itself that it is synthetic."""
    transform = from_origin(ORIGIN[0] + canvas.x, ORIGIN[1] - canvas.y, GSD, GSD)
    profile = {
        "driver": "GTiff",
        "count": 3,
        "dtype": "uint8",
        "crs": CRS,
        "transform": transform,
        "tiled": True,
    }
    layout = {
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 2,
        "photometric": "rgb",
    }
    with rasterio.open(
        path, "w", width=canvas.size, height=canvas.size, **profile, **layout, zlevel=1
    ) as raster:
        raster.write(canvas.photograph(seed))
        raster.update_tags(
            TIFFTAG_IMAGEDESCRIPTION=f"Synthetic aerial scene, seed {seed}; not a photograph", SYNTHETIC="yes"
        )
        raster.build_overviews([2, 4, 8, 16], Resampling.average)


def write_truth(path: Path, canvas: Canvas, truth: dict[str, BaseGeometry]) -> None:
    """One row a class, cut to the view: its name, the phrase a person would type, where it is right."""
    view = shapely.box(canvas.x, canvas.y, canvas.x + canvas.size * GSD, canvas.y + canvas.size * GSD)
    seen = {name: shape.intersection(view) for name, shape in truth.items() if shape.intersects(view)}
    shapes = [shapely.MultiPolygon(shapely.get_parts(on_map(shape)).tolist()) for shape in seen.values()]
    columns = [np.array(values, object) for values in (list(seen), [PHRASES[name] for name in seen])]
    path.unlink(missing_ok=True)
    write(
        path,
        shapely.to_wkb(shapes),
        columns,
        ["class", "phrase"],
        layer="synthetic_truth",
        driver="GPKG",
        dataset_options={"VERSION": "1.2"},  # the newest that GDAL 3.6 reads without a word
        geometry_type="MultiPolygon",
        crs=CRS,
    )


def on_map(shape: BaseGeometry) -> BaseGeometry:
    """Scene metres -> the scene's CRS."""
    return shapely.transform(shape, lambda points: np.array([1, -1]) * points + ORIGIN)


if __name__ == "__main__":
    main()
