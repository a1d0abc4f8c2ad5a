"""What all tests share: a test marked `slow` may take a quarter of an hour, any other the default of pyproject.toml."""

from __future__ import annotations

import pytest

SLOW_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives every slow test its own time limit, unless it names one."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_S))
