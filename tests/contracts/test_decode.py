"""What comes over the wire is checked before it is used, and an error names the field."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import ProtocolError
from rs_text_search_plugin.contracts.messages import Match, Tile, Window
from rs_text_search_plugin.contracts.operations import OPERATIONS
from rs_text_search_plugin.contracts.operations.indexing import IndexState
from rs_text_search_plugin.contracts.operations.search import Region, SearchRequest, export_row

MATCH = {
    "index": "/a.tif.rsidx",
    "id": 3,
    "row": 0,
    "col": 3,
    "score": 81,
    "rank": 1,
    "region": 0,
    "window": [96, 0, 32, 32],
    "corners": [[0, 0], [1, 0], [1.5, -1], [0, -1]],
}


def refusal(kind: type, value: Any) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(kind, value, "search")
    assert "docs/protocol.md" in caught.value.hint
    return caught.value.message


def test_a_request_becomes_a_dataclass_with_defaults_filled_in() -> None:
    asked = decode(SearchRequest, {"indexes": ["a"], "like": [{"index": "a", "id": 7}], "top": 5}, "search")
    assert asked == SearchRequest(indexes=("a",), like=(Tile("a", 7),), top=5)
    assert (asked.rerank, asked.min_score, asked.area) == (False, 0.0, None)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "search: `indexes` is missing."),
        ({"indexes": "a"}, "search: `indexes` must be a list, not a text."),
        ({"indexes": [1]}, "search: `indexes[0]` must be a text, not a whole number."),
        ({"indexes": None}, "search: `indexes` must be a list, not null."),
        ({"indexes": [], "top": "9"}, "search: `top` must be a whole number, not a text."),
        ({"indexes": [], "top": True}, "search: `top` must be a whole number, not true or false."),
        ({"indexes": [], "top": 9.0}, "search: `top` must be a whole number, not a number."),
        ({"indexes": [], "top": 0}, "search: `top` must be 1 to 1,000,000, not 0."),
        ({"indexes": [], "top": 10**400}, "search: `top` is too large a number."),
        ({"indexes": [], "min_score": "x"}, "search: `min_score` must be a number, not a text."),
        ({"indexes": [], "min_score": float("nan")}, "search: `min_score` must be a finite number."),
        ({"indexes": [], "min_score": 101}, "search: `min_score` must be 0 to 100, not 101."),
        ({"indexes": [], "like": [{"index": "a"}]}, "search: `like[0].id` is missing."),
        ({"indexes": [], "like": [[1]]}, "search: `like[0]` must be an object, not a list."),
        ({"indexes": [], "area": "x"}, "search: `area` must be an object, not a text."),
        (
            {"indexes": [], "rerank": 2},
            "search: `rerank` must be true or false or a text, not a whole number.",
        ),
        ({"indexes": [], "colour": 1}, "search: `colour` is not a field of it."),
        ({"indexes": [], "text": "a\0b"}, "search: `text` must not hold a null character."),
        (
            {"indexes": [], "text": "\ud800"},
            "search: `text` is not Unicode text: rename the file if it is a file's name.",
        ),
        (
            {"indexes": [], "text": "a" * 40_000},
            "search: `text` must have at most 32,767 characters, not 40,000.",
        ),
        ([], "search: must be an object, not a list."),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_refused_by_its_name(args: Any, message: str) -> None:
    assert refusal(SearchRequest, args) == message


def test_one_of_a_few_words_is_told_with_all_of_them() -> None:
    message = refusal(IndexState, {"source": "a", "index": None, "state": "perfect", "detail": ""})
    assert message.startswith("search: `state` must be one of none, complete,")
    assert message.endswith("not “perfect”.")


def test_a_window_and_corners_are_read_from_lists() -> None:
    match = decode(Match, MATCH, "match")
    assert match.window == Window(96, 0, 32, 32)
    assert match.corners[2] == (1.5, -1.0)
    assert match.score == 81.0
    assert "`window` must be a list of 4, not of 3" in refusal(Match, {**MATCH, "window": [1, 2, 3]})
    assert "`corners[0]` must be a list of 2" in refusal(Match, {**MATCH, "corners": [[1]]})


def test_what_is_encoded_is_decoded_to_the_same() -> None:
    match = decode(Match, MATCH, "match")
    assert decode(Match, json.loads(json.dumps(encode(match))), "match") == match


def test_arrays_paths_and_missing_numbers_become_plain_json() -> None:
    plain = encode({"n": np.float32(2), "a": np.array([1, 2]), "p": Path("x"), "x": float("nan")})
    assert plain == {"n": 2.0, "a": [1, 2], "p": "x", "x": None}
    assert type(plain["n"]) is float


def test_a_file_name_that_is_not_utf_8_is_refused_with_what_to_do() -> None:
    message = refusal(SearchRequest, {"indexes": ["a\udcff.tif"]})
    assert message == "search: `indexes[0]` is not Unicode text: rename the file if it is a file's name."


def test_of_a_match_an_export_needs_no_geometry() -> None:
    assert export_row(MATCH) == {"index": "/a.tif.rsidx", "id": 3, "rank": 1, "score": 81, "region": 0}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_request_and_answer_can_be_read(operation: Any) -> None:
    for kind in (operation.request, operation.answer):
        with pytest.raises(ProtocolError, match="not_a_field"):
            decode(kind, {"not_a_field": 1}, operation.name)


def test_a_region_keeps_its_geometry_as_it_is() -> None:
    geometry = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    region = {"region": 1, "index": "a", "score": 80.5, "tiles": 2, "geometry": geometry}
    assert decode(Region, region, "region").geometry == geometry


CONTRACTS = Path(__file__).parents[2] / "rs_text_search_plugin" / "contracts"


@pytest.mark.parametrize(
    "file", [*CONTRACTS.glob("operations/*.py"), CONTRACTS / "messages.py", CONTRACTS / "fields.py"], ids=str
)
def test_annotations_can_be_read_on_python_3_9(file: Path) -> None:
    fields = [
        node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.AnnAssign)
    ]
    assert [ast.unparse(field) for field in fields if "|" in ast.unparse(field.annotation)] == []
