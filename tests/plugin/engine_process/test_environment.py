"""Finding, building, repairing and removing the engine's environment; no package is really installed here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QLockFile

from rs_text_search_plugin.engine_process import base_python, environment, setup_steps
from rs_text_search_plugin.engine_process.environment import Environment, diagnostics, find_python, scrubbed
from rs_text_search_plugin.engine_process.setup_steps import READY
from rs_text_search_plugin.version import VERSION

FAKE = str(Path(__file__).parents[1] / "fake_python.py")


@pytest.fixture
def folder(qgis_app, tmp_path, monkeypatch):
    """A private folder of this test's own; its path has a space and an accent, as people's names do."""
    settings = QgsSettings()
    settings.setValue(environment.FOLDER_SETTING, str(tmp_path / "Zoë M" / "engine"))
    settings.remove(environment.PYTHON_SETTING)
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setattr(base_python, "candidates", lambda: iter([FAKE]))
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


def test_a_question_waits_for_its_answer(folder, elsewhere, qtbot, monkeypatch):
    monkeypatch.setenv("FAKE_PYTHON_FAILS", "index")
    env = Environment()
    with qtbot.waitSignal(env.asked, timeout=5000) as asked:
        env.build()
    assert "GB to download" in asked.args[0]
    with qtbot.waitSignal(env.built, timeout=5000):
        env.answer(True)


def test_no_to_a_large_download_ends_the_setup(folder, elsewhere, qtbot, monkeypatch):
    monkeypatch.setenv("FAKE_PYTHON_FAILS", "index")
    env = Environment()
    env.asked.connect(lambda _: env.answer(False))
    message, hint = build(env, qtbot)
    assert "cannot be reached" in message
    assert "proxy" in hint


def test_a_folder_of_wheels_is_enough(folder, elsewhere, qtbot, tmp_path):
    (tmp_path / "torch-2.13.0-cp312-cp312-win_amd64.whl").write_bytes(b"")
    env = Environment()
    lines = []
    env.said.connect(lines.append)
    with qtbot.waitSignal(env.built, timeout=5000):
        env.build(tmp_path)
    assert not [line for line in lines if "index" in line]


def test_no_space_is_told_before_anything_is_downloaded(folder, elsewhere, qtbot, monkeypatch):
    monkeypatch.setattr(setup_steps.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    lines = []
    env = Environment()
    env.said.connect(lines.append)
    message, _ = build(env, qtbot)
    assert "2.2 GB are needed, 1.0 GB are free" in message
    assert not [line for line in lines if "Installing" in line]


# ---- reporting ----


def test_diagnostics_tell_versions_but_no_home(folder, monkeypatch):
    home = str(Path.home())
    report = diagnostics({"version": "0.1.0"}, f"lost {home}/data/x.tif", ["Collecting torch"])
    assert f"- Plugin: {VERSION}" in report
    assert "lost ~/data/x.tif" in report
    assert "Collecting torch" in report
    assert f"{home}/" not in report


def test_scrubbing_hides_the_name_in_other_folders(monkeypatch):
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: Path("/home/zoe")))
    assert scrubbed("/home/zoe/a /media/zoe/disk") == "~/a /media/USER/disk"
