"""Finding, building, repairing and removing the engine's environment; no package is really installed here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QLockFile

from rs_text_search_plugin.assets import resource
from rs_text_search_plugin.engine_process import environment, setup_steps
from rs_text_search_plugin.engine_process.environment import Environment, diagnostics, find_python, scrubbed
from rs_text_search_plugin.engine_process.setup_steps import (
    READY,
    Outcome,
    SetupError,
    shortcoming,
    steps,
    wheel_index,
)

FAKE = str(Path(__file__).parents[1] / "fake_python.py")
OK = Outcome(True, "")
BAD = Outcome(False, "")
GOOD_PROBE = Outcome(True, json.dumps([[3, 12], 64, []]))
GOOD_DOCTOR = Outcome(True, json.dumps({"ok": True, "checks": [{"name": "torch", "ok": True}]}))


@pytest.fixture
def folder(qgis_app, tmp_path, monkeypatch):
    """A private folder of this test's own; its path has a space and an accent, as people's names do."""
    settings = QgsSettings()
    settings.setValue(environment.FOLDER_SETTING, str(tmp_path / "Zoë M" / "engine"))
    settings.remove(environment.PYTHON_SETTING)
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setattr(setup_steps, "candidates", lambda: iter([FAKE]))
    yield tmp_path / "Zoë M" / "engine"
    settings.remove(environment.FOLDER_SETTING)
    settings.remove(environment.PYTHON_SETTING)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """As if the plugin were installed from a zip: no checkout around it."""
    monkeypatch.setattr(
        environment,
        "__file__",
        str(tmp_path / "plugins" / "rs_text_search_plugin" / "engine_process" / "environment.py"),
    )


def ready(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(FAKE)
    (folder / READY).write_text("{}")
    return folder / "bin" / "python"


def build(environment, qtbot):
    """Runs a build to its end: (python,) or (message, hint)."""
    ends = []
    environment.built.connect(lambda python: ends.append((python,)))
    environment.failed.connect(lambda *why: ends.append(why))
    environment.build()
    qtbot.waitUntil(lambda: bool(ends), timeout=10_000)
    return ends[0]


def drive(generator, outcomes):
    """Feeds outcomes to steps and returns the commands asked for."""
    commands = [next(generator)]
    for outcome in outcomes:
        commands.append(generator.send(outcome))
    return commands


# ---- finding ----


def test_nothing_is_found_where_nothing_is(folder, elsewhere):
    assert find_python() is None


def test_order_is_setting_variable_checkout_private(folder, elsewhere, tmp_path, monkeypatch):
    private = ready(folder)
    assert find_python() == (str(private), "the environment built by this plugin")
    checkout = tmp_path / "plugins"
    ready(checkout / ".venv")
    assert find_python().path == str(private)  # a .venv alone does not make a checkout
    (checkout / "pyproject.toml").touch()
    assert find_python().path == str(checkout / ".venv" / "bin" / "python")
    monkeypatch.setenv(environment.VARIABLE, "/var/python")
    assert find_python().path == "/var/python"
    QgsSettings().setValue(environment.PYTHON_SETTING, str(checkout / ".venv"))
    assert find_python().path == str(checkout / ".venv" / "bin" / "python")
    assert "setting" in find_python().origin


def test_checkout_is_found_through_the_profile_link(folder, tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    python = ready(checkout / ".venv")
    (checkout / "pyproject.toml").touch()
    real = checkout / "rs_text_search_plugin" / "engine_process" / "environment.py"
    real.parent.mkdir(parents=True)
    real.touch()
    link = tmp_path / "profile" / "environment.py"
    link.parent.mkdir()
    link.symlink_to(real)
    monkeypatch.setattr(environment, "__file__", str(link))
    assert find_python().path == str(python)


def test_half_an_environment_does_not_count(folder, elsewhere):
    ready(folder)
    (folder / READY).unlink()
    assert find_python() is None


# ---- building ----


def test_builds_verifies_and_is_found(folder, elsewhere, qtbot):
    lines, parts = [], []
    env = Environment()
    env.said.connect(lines.append)
    env.progress.connect(parts.append)
    (python,) = build(env, qtbot)
    assert find_python().path == python == str(folder / "bin" / "python")
    assert "Trying every package ..." in lines
    assert "Collecting torch" in lines
    assert 0.25 in parts
    assert not env.building()
    assert not folder.with_name("engine.new").exists()


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("venv", "could not be made"),
        ("torch", "torch==2.13.0"),
        ("rest", "packages"),
        ("doctor", "torch: wrong answer"),
    ],
)
def test_a_failed_repair_keeps_the_old_environment(folder, elsewhere, qtbot, monkeypatch, fault, word):
    python = ready(folder)
    monkeypatch.setenv("FAKE_PYTHON_FAILS", fault)
    message, hint = build(Environment(), qtbot)
    assert word in message
    assert hint
    assert find_python().path == str(python)


def test_repair_replaces(folder, elsewhere, qtbot):
    ready(folder)
    (folder / "stale").touch()
    build(Environment(), qtbot)
    assert not (folder / "stale").exists()
    assert find_python() is not None


def test_cancel_is_quick_and_leaves_the_lock_free(folder, elsewhere, qtbot, monkeypatch):
    monkeypatch.setenv("FAKE_PYTHON_FAILS", "slow")
    env = Environment()
    with qtbot.waitSignal(env.progress, timeout=5000):
        env.build()
    with qtbot.waitSignal(env.failed, timeout=1000) as failed:
        env.cancel()
    assert "cancelled" in failed.args[0]
    assert not env.building()
    monkeypatch.setenv("FAKE_PYTHON_FAILS", "")
    assert len(build(Environment(), qtbot)) == 1


def test_two_at_once_are_told_apart(folder, elsewhere, qtbot):
    folder.parent.mkdir(parents=True)
    lock = QLockFile(f"{folder}.lock")
    assert lock.tryLock(0)
    message, _ = build(Environment(), qtbot)
    assert "Another QGIS" in message
    lock.unlock()


def test_removed_is_gone(folder, elsewhere, qtbot):
    ready(folder)
    Environment().remove()
    assert find_python() is None
    qtbot.waitUntil(lambda: not list(folder.parent.glob("engine*")), timeout=5000)


def test_without_a_python_says_what_each_lacks(folder, monkeypatch):
    monkeypatch.setattr(setup_steps, "candidates", lambda: iter(["/usr/bin/python3", "/opt/python3"]))
    generator = steps(folder, resource("engine-requirements.txt"), "1")
    next(generator)
    generator.send(Outcome(True, json.dumps([[3, 12], 64, ["ensurepip"]])))
    with pytest.raises(SetupError) as raised:
        generator.send(Outcome(True, json.dumps([[3, 9], 64, []])))
    assert "/usr/bin/python3: lacks ensurepip" in raised.value.message
    assert "is Python 3.9" in raised.value.message
    assert "python3-venv" in raised.value.hint


@pytest.mark.parametrize(
    ("probe", "word"),
    [
        (BAD, "start"),
        (Outcome(True, "[[3, 10], 64, []]"), "3.10"),
        (Outcome(True, "[[3, 14], 64, []]"), "3.14"),
        (Outcome(True, "[[3, 12], 32, []]"), "32 bit"),
        (GOOD_PROBE, ""),
    ],
)
def test_shortcomings(probe, word):
    assert (word in shortcoming(probe)) if word else shortcoming(probe) == ""


def test_this_system_has_a_python_worth_asking():
    assert "/usr/bin/python3" in list(setup_steps.candidates())


def test_torch_is_installed_alone_from_its_own_index(folder):
    """An index of torch's must not be able to offer anything but torch."""
    generator = steps(folder, resource("engine-requirements.txt"), "1")
    commands = drive(generator, [GOOD_PROBE, OK, OK, BAD, OK])
    torch, rest = commands[4:6]
    assert torch.arguments[-1] == "torch==2.13.0"
    assert "--no-deps" in torch.arguments
    assert setup_steps.CPU_WHEELS in torch.arguments
    assert not [a for a in rest.arguments if "pytorch.org" in a]
    assert all(c.program == torch.program for c in (commands[2], rest))


def test_what_asks_for_too_much_is_installed_without_it(folder):
    """OpenVINO asks for a package that reports to its makers."""
    generator = steps(folder, resource("engine-requirements.txt"), "1")
    *_, rest, alone = drive(generator, [GOOD_PROBE, OK, OK, BAD, OK, OK])[:7]
    assert alone.arguments[-1].endswith("alone.txt")
    assert "--no-deps" in alone.arguments
    assert "openvino==" in resource("engine-requirements-alone.txt").read_text()
    assert "openvino" not in Path(rest.arguments[-1]).read_text()


def test_no_space_is_told_before_anything_is_downloaded(folder, monkeypatch):
    monkeypatch.setattr(setup_steps, "SPACE_BYTES", 10**18)
    generator = steps(folder, resource("engine-requirements.txt"), "1")
    next(generator)
    with pytest.raises(SetupError, match="are needed"):
        generator.send(GOOD_PROBE)


def test_torch_builds_by_system_and_gpu():
    assert wheel_index(False, "linux") == ("--extra-index-url", setup_steps.CPU_WHEELS)
    assert wheel_index(True, "linux") == ()
    assert wheel_index(True, "win32") == ("--extra-index-url", setup_steps.CUDA_WHEELS)
    assert wheel_index(False, "win32") == wheel_index(False, "darwin") == ()


def test_every_requirement_is_pinned():
    files = ("engine-requirements.txt", "engine-requirements-alone.txt")
    lines = [line for file in files for line in resource(file).read_text().splitlines()]
    assert [line for line in lines if line and not line.startswith("#") and "==" not in line] == []


# ---- reporting ----


def test_diagnostics_tell_versions_but_no_home(folder, monkeypatch):
    home = str(Path.home())
    report = diagnostics({"version": "0.1.0"}, f"lost {home}/data/x.tif", ["Collecting torch"])
    assert "- Plugin: 0.1.0" in report
    assert "lost ~/data/x.tif" in report
    assert "Collecting torch" in report
    assert f"{home}/" not in report


def test_scrubbing_hides_the_name_in_other_folders(monkeypatch):
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: Path("/home/zoe")))
    assert scrubbed("/home/zoe/a /media/zoe/disk") == "~/a /media/USER/disk"
