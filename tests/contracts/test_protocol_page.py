"""docs/protocol.md is made from the contracts and is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from rs_text_search_plugin.contracts.fields import Range
from rs_text_search_plugin.contracts.operations import OPERATIONS
from rs_text_search_plugin.contracts.protocol_page import page, words

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    """Otherwise: python -m rs_text_search_plugin.contracts.protocol_page."""
    assert (ROOT / "docs" / "protocol.md").read_text("utf-8") == page()


def test_every_operation_and_its_limits_are_on_it() -> None:
    text = page()
    assert [name for name in OPERATIONS if f"\n## {name}\n" not in text] == []
    assert "| `top` | whole number 1-1,000,000; 200 when missing | At most so many matches. |" in text
    assert "| `index` | text | The index's folder, or the raster that it lies beside. |" in text


def test_types_are_said_in_words() -> None:
    assert words(Optional[Annotated[int, Range(1, 9)]]) == "whole number 1-9 or null"
    assert words(tuple[tuple[float, float], ...]) == "list of [number, number]"
