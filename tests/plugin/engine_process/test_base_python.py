"""Which Python makes the engine's environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rs_text_search_plugin.engine_process import base_python
from rs_text_search_plugin.engine_process.base_python import candidates, find_base_python, shortcoming
from rs_text_search_plugin.engine_process.setup_command import Outcome, SetupError


def probed(minor: int = 12, bits: int = 64, lacks: tuple[str, ...] = (), machine: str = "x86_64") -> Outcome:
    return Outcome(True, json.dumps([[3, minor], bits, lacks, machine]))


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_every_python_offered_is_taken(minor):
    assert shortcoming(probed(minor)) == ""


@pytest.mark.parametrize(
    ("probe", "word"),
    [
        (Outcome(False, ""), "start"),
        (probed(10), "3.10"),
        (probed(15), "3.15"),
        (probed(bits=32), "32 bit"),
        (probed(lacks=("ensurepip",)), "ensurepip"),
    ],
)
def test_shortcomings(probe, word):
    assert word in shortcoming(probe)


def test_an_intel_mac_is_told_why(monkeypatch):
    monkeypatch.setattr(base_python.sys, "platform", "darwin")
    assert "Intel" in shortcoming(probed())
    assert shortcoming(probed(machine="arm64")) == ""


def test_the_first_that_will_do_is_taken(monkeypatch):
    monkeypatch.setattr(base_python, "candidates", lambda: iter(["/usr/bin/python3", "/opt/python3"]))
    finding = find_base_python()
    assert next(finding).program == "/usr/bin/python3"
    assert finding.send(probed(9)).program == "/opt/python3"
    with pytest.raises(StopIteration) as found:
        finding.send(probed())
    assert found.value.value == "/opt/python3"


def test_without_a_python_says_what_each_lacks(monkeypatch):
    monkeypatch.setattr(base_python, "candidates", lambda: iter(["/usr/bin/python3", "/opt/python3"]))
    monkeypatch.setattr(base_python.sys, "platform", "linux")
    finding = find_base_python()
    next(finding)
    finding.send(probed(lacks=("ensurepip",)))
    with pytest.raises(SetupError) as raised:
        finding.send(probed(9))
    assert "/usr/bin/python3: lacks ensurepip" in raised.value.message
    assert "is Python 3.9" in raised.value.message
    assert "python3-venv" in raised.value.hint


def test_this_system_has_a_python_worth_asking():
    assert "/usr/bin/python3" in list(candidates())


def test_windows_pythons_are_looked_for_where_windows_has_them(monkeypatch, tmp_path):
    monkeypatch.setattr(base_python.sys, "platform", "win32")
    monkeypatch.setattr(base_python.sys, "base_exec_prefix", str(tmp_path / "QGIS"), raising=False)
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: tmp_path))
    monkeypatch.setattr(base_python.shutil, "which", lambda _: None)
    own = tmp_path / "AppData/Local/Programs/Python/Python314/python.exe"
    for file in (tmp_path / "QGIS" / "python3.exe", own):
        file.parent.mkdir(parents=True)
        file.touch()
    assert list(candidates()) == [str(tmp_path / "QGIS" / "python3.exe"), str(own)]
