"""What may be typed after `rs-text-search`, and how it is read. Nothing heavy is imported."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any

from rs_text_search_plugin.version import VERSION

from .argument_types import area, at_least, bands, between, device, levels, marks, point, setting

MAY_BE_NEGATIVE = frozenset({"--area", "--at"})
"""Options whose value may begin with a minus, which argparse takes for another option."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; exits with 2 on a bad call."""
    parser = build_parser()
    args, rest = parser.parse_known_args(join_rerank(join_negatives(argv)))
    # argparse ends a list of words at the first option; what follows it belongs to the list all the same.
    unknown = [word for word in rest if word.startswith("-") or not hasattr(args, "words")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if rest:
        args.words += rest
    if args.command == "search" and not (len(args.words) > 1 or args.like):
        parser.error("search needs an INDEX and a TEXT (or --like)")
    return args


def join_negatives(argv: Sequence[str]) -> list[str]:
    """`--at -3,51` -> `--at=-3,51`."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in MAY_BE_NEGATIVE and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def join_rerank(words: list[str]) -> list[str]:
    """`--rerank mtgfe` -> `--rerank=mtgfe`; before any other word it stands alone, lest the text be taken for a
    model."""
    if words[:1] != ["search"] or "--rerank" not in words:
        return words
    place = words.index("--rerank")
    rest = words[place + 1 :]
    model = rest.pop(0) if rest and names_reranker(rest[0]) else ""
    return [*words[:place], f"--rerank={model}", *rest]


def names_reranker(word: str) -> bool:
    """Whether a word is a model that reranks: one of the list, or a file with an entry like the list's."""
    from rs_text_search_plugin.models import registry  # noqa: PLC0415 - few searches need the list

    return word in registry.rerankers() or word.endswith(".toml")


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(prog="rs-text-search", description="Search your own imagery with words.")
    parser.add_argument("--version", action="version", version=f"rs-text-search {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (
        _add_index,
        _add_search,
        _add_change,
        _add_contents,
        _add_describe,
        _add_export,
        _add_others,
        _add_train,
        _add_evaluate,
    ):
        add(commands)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_index(commands: Any) -> None:
    command = _command(commands, "index", "embed every tile of one or more rasters")
    add = command.add_argument
    add("words", nargs="+", metavar="RASTER", help="a file or URL that GDAL reads")
    add("--model", default="compact", help="see `rs-text-search models` (default: compact)")
    _add_tiling(command)
    add("--bands", type=bands, metavar="4,3,2", help="bands shown as red, green, blue; one is shown grey")
    _add_area(add, "index")
    add("--out", metavar="DIR", help="index folder, or with several rasters the folder to put them in")
    _add_device(add)
    mode = command.add_mutually_exclusive_group()
    resume = "finish a begun index"
    mode.add_argument("--resume", dest="mode", action="store_const", const="resume", help=resume)
    mode.add_argument("--restart", dest="mode", action="store_const", const="restart", help="begin anew")
    allowed = "let a file that describes a web service or remote files contact them"
    add("--allow-network", action="store_true", help=allowed)
    command.set_defaults(mode="auto")


def _add_tiling(command: argparse.ArgumentParser) -> None:
    size = command.add_mutually_exclusive_group()
    size.add_argument("--tile-px", type=at_least(1, int), metavar="N", help="side of a tile in pixels")
    size.add_argument("--tile-m", type=at_least(0.001, float), metavar="M", help="side of a tile in metres")
    share = "share of a tile (default: 0)"
    command.add_argument("--overlap", type=between(0, 0.9), default=0.0, metavar="0..0.9", help=share)
    each = "levels of tiles, each of twice the side of the one before; auto: as many as the model understands"
    command.add_argument("--levels", type=levels, default=1, metavar="auto|N", help=each)


def _add_search(commands: Any) -> None:
    add = _command(commands, "search", "rank the tiles of one or more indexes by a text").add_argument
    add(
        "words",
        nargs="+",
        metavar="INDEX... TEXT",
        help="index folders, or rasters that have one; then the text",
    )
    _add_query(add)
    add("--top", type=at_least(1, int), default=200, metavar="K", help="at most K matches (default: 200)")
    add("--min-score", type=between(0, 100), default=0.0, metavar="S", help="from 0 to 100 (default: 0)")
    _add_area(add, "search")
    add(
        "--rerank",
        nargs="?",
        type=lambda text: text or True,
        default=False,
        metavar="MODEL",
        help="let a second, slower model reorder the best matches (default: mtgfe)",
    )
    _add_search_files(add)


def _add_query(add: Callable[..., Any]) -> None:
    add("--without", default="", metavar="TEXT", help="what must not be there")
    add(
        "--language", default="", metavar="CODE", help="of the text, such as de (default: told from the text)"
    )
    add("--like", type=marks, default=[], metavar="ID,..", help="tiles to resemble; N:ID in the Nth index")
    add("--unlike", type=marks, default=[], metavar="ID,..", help="tiles not to resemble")
    add(
        "--like-image",
        action="append",
        default=[],
        metavar="FILE",
        help="an image to resemble; may be repeated",
    )
    add("--unlike-image", action="append", default=[], metavar="FILE", help="an image not to resemble")


def _add_search_files(add: Callable[..., Any]) -> None:
    add("--out", metavar="FILE", help="write the matches: .shp .gpkg .geojson .fgb .parquet")
    add("--heat", metavar="FILE.tif", help="write the scores of all tiles as a GeoTIFF")
    add("--zoom", type=at_least(1, int), metavar="K", help="point at the thing inside the best K tiles")
    add(
        "--zoom-seconds",
        type=at_least(0, float),
        default=60.0,
        metavar="S",
        help="at most so long (default: 60)",
    )
    add(
        "--zoom-out",
        metavar="FILE",
        help="write boxes around what --zoom finds: .shp .gpkg .geojson .fgb .parquet",
    )


def _add_change(commands: Any) -> None:
    add = _command(commands, "change", "find where a phrase gained or lost between two rasters").add_argument
    add("before", metavar="BEFORE", help="index folder of the earlier raster, or the raster")
    add("after", metavar="AFTER", help="the same of the later one")
    add("text", metavar="TEXT", help="what may have come or gone, such as “new houses”")
    add("--top", type=at_least(1, int), default=50, metavar="K", help="at most K places (default: 50)")
    add("--least", type=between(0, 100), default=20.0, metavar="S", help="points of score (default: 20)")


def _add_contents(commands: Any) -> None:
    add = _command(commands, "contents", "list what is in indexed rasters").add_argument
    add("words", nargs="+", metavar="INDEX", help="index folders, or rasters that have one")


def _add_describe(commands: Any) -> None:
    add = _command(commands, "describe", "say what stands at a place").add_argument
    add("index", metavar="INDEX")
    add("--at", type=point, required=True, metavar="X,Y", help="the place")
    add("--crs", help="CRS of X,Y such as EPSG:4326 (default: the raster's own)")


def _add_export(commands: Any) -> None:
    add = _command(commands, "export", "write the footprints of all tiles of an index").add_argument
    add("index", metavar="INDEX")
    add("file", metavar="FILE", help=".shp .gpkg .geojson .fgb .parquet")


def _add_others(commands: Any) -> None:
    info = _command(commands, "info", "tell the state of an index")
    info.add_argument("words", nargs="+", metavar="INDEX", help="an index folder, or a raster")
    verify = _command(commands, "verify", "read all of an index and tell what is damaged")
    verify.add_argument("index", metavar="INDEX", help="an index folder, or a raster")
    models = _command(commands, "models", "list the models")
    models.add_argument("--install", metavar="MODEL", help="put its weights where they are found first")
    models.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="its weights (default: download, if there is an address)",
    )
    _command(commands, "doctor", "try every package the engine stands on")
    _command(commands, "serve", "answer JSON lines on standard input (docs/protocol.md)")


def _add_train(commands: Any) -> None:
    add = _command(commands, "train", "train a model").add_argument
    add("model", metavar="MODEL", help="or `languages`: the language adapter of the model that --base names")
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="JSONL[:IMAGES]",
        help="IMAGES: a folder, or tar files joined by commas",
    )
    add("--out", required=True, metavar="DIR")
    _add_device(add)
    add("--seed", type=int, default=0, metavar="N")
    add("--resume", action="store_true", help="go on where an earlier run in DIR ended")
    add("--variant", default="", metavar="NAME", help="an ablation or alternative of recipes.toml")
    add("--set", nargs="+", type=setting, default=[], metavar="NAME=VALUE", help="settings of the network")
    add(
        "--recipe",
        nargs="+",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="parts of the recipe; of compact's tuning: tuning.NAME=VALUE",
    )
    add(
        "--base",
        default="",
        metavar="MODEL",
        help="a trained compact to begin with (compact: to go on tuning)",
    )
    add("--maps", metavar="DIR", help="stored maps that several runs share (default: OUT/maps)")


def _add_evaluate(commands: Any) -> None:
    add = _command(commands, "evaluate", "measure a model on captioned or labelled images").add_argument
    add("model", metavar="MODEL|CHECKPOINT")
    add(
        "--data",
        required=True,
        metavar="JSONL:IMAGES",
        help="IMAGES: a folder, or tar files joined by commas",
    )
    add("--split", default="test")
    add("--task", choices=("retrieval", "zeroshot"), default="retrieval")
    add(
        "--rerank",
        metavar="HOW",
        default="own",
        help="what orders the --candidates best: `own`, the model's fusion encoder if it has one (default); `none`; "
        "`multivariate`; or another model with a fusion encoder",
    )
    add("--candidates", type=at_least(1, int), default=32, metavar="K", help="of each query (default: 32)")
    add("--mix", type=float, metavar="W", help="weight of the first stage beside the fusion encoder")
    add("--save-embeddings", metavar="FILE.npz")
    _add_device(add)


def _command(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary.capitalize()}."
    )
    return made


def _add_area(add: Callable[..., Any], verb: str) -> None:
    text = f"{verb} only there: a GeoJSON file, GeoJSON, or west,south,east,north in degrees"
    add("--area", type=area, metavar="AREA", help=text)


def _add_device(add: Callable[..., Any]) -> None:
    add("--device", type=device, default="auto", help="auto, cpu or cuda:N (default: auto)")
