"""Engine operations in QGIS's task manager."""

from __future__ import annotations

from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QThreadPool

from rs_text_search_plugin.engine_process import tasks
from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.engine_process.tasks import EngineTask

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")


class Ends:
    """What a task's callbacks bring."""

    def __init__(self):
        self.results, self.errors, self.news = [], [], []

    def start(self, task, source):
        task.start(
            "index", {"source": str(source)}, self.results.append, self.errors.append, self.news.append
        )


@pytest.fixture
def client(qgis_app, qtbot):
    client = EngineClient()
    with qtbot.waitSignal(client.ready, timeout=5000):
        client.start(FAKE)
    yield client
    client.stop()
    qtbot.waitUntil(lambda: not tasks._alive, timeout=5000)


def test_shows_progress_and_brings_the_result(client, qtbot, tmp_path):
    ends, task, steps = Ends(), EngineTask(client, "Index scene"), []
    task.progressChanged.connect(steps.append)
    threads = QThreadPool.globalInstance().maxThreadCount()
    with qtbot.waitSignal(task.taskCompleted, timeout=5000):
        ends.start(task, tmp_path / "scene.tif")
        assert [t.description() for t in QgsApplication.taskManager().activeTasks()] == ["Index scene"]
    assert ends.results[0]["complete"]
    assert steps == sorted(steps)
    assert max(steps) == 100
    assert QThreadPool.globalInstance().maxThreadCount() == threads


def test_cancel_from_the_task_manager_reaches_the_engine(client, qtbot, tmp_path):
    ends, task = Ends(), EngineTask(client, "Index scene")
    ends.start(task, tmp_path / "slow.tif")
    qtbot.waitUntil(lambda: bool(ends.news), timeout=5000)
    with qtbot.waitSignal(task.taskTerminated, timeout=1000):
        task.cancel()
    qtbot.waitUntil(lambda: bool(ends.errors), timeout=1000)
    assert ends.errors[0].kind == "Cancelled"


def test_cancel_does_not_wait_for_an_engine_that_hangs(client, qtbot, tmp_path):
    """As when QGIS closes: the main thread waits for the task and cannot hear the engine."""
    ends, task = Ends(), EngineTask(client, "Index scene")
    ends.start(task, tmp_path / "slow.tif")
    qtbot.waitUntil(lambda: task.status() == QgsTask.TaskStatus.Running, timeout=5000)
    task.cancel()
    assert task.waitForFinished(1000)


def test_an_error_ends_the_task(client, qtbot, tmp_path):
    ends, task = Ends(), EngineTask(client, "Index scene")
    with qtbot.waitSignal(task.taskTerminated, timeout=5000):
        ends.start(task, tmp_path / "missing.tif")
    assert ends.errors[0].kind == "RasterError"


def test_a_dying_engine_ends_the_task(client, qtbot, tmp_path):
    ends, task = Ends(), EngineTask(client, "Index scene")
    with qtbot.waitSignal(task.taskTerminated, timeout=5000):
        ends.start(task, tmp_path / "crash.tif")
    assert ends.errors[0].kind == "EngineDied"


def test_stopping_the_engine_ends_the_task(client, qtbot, tmp_path):
    ends, task = Ends(), EngineTask(client, "Index scene")
    ends.start(task, tmp_path / "slow.tif")
    qtbot.waitUntil(lambda: bool(ends.news), timeout=5000)
    with qtbot.waitSignal(task.taskTerminated, timeout=1000):
        client.stop()
    assert ends.results == ends.errors == []
