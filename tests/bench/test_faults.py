"""A short set of seeds of the fault bench; `python -m tests.bench.faults` runs many more."""

from __future__ import annotations

import sys

import pytest

from rs_text_search_plugin.contracts.errors import RasterError
from tests.bench.faults import KINDS, cases, judged


@pytest.mark.skipif(sys.platform != "linux", reason="alarms and memory limits are Linux's")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_damaged_is_silently_wrong(kind):
    found = list(cases(kind, 0, 40))
    assert len(found) == 40
    assert [case for _, case in found if case.verdict == "wrong"] == []
    assert any(case.verdict == "refused" for _, case in found)


def test_the_verdicts_can_fail():
    assert judged("a", lambda: False).verdict == "wrong"
    assert judged("a", lambda: 1 / 0).verdict == "wrong"

    def refuse(hint):
        raise RasterError("no", hint)

    assert judged("a", lambda: refuse("do")).verdict == "refused"
    assert judged("a", lambda: refuse("")).verdict == "wrong"
