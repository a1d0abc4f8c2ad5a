"""What is installed, from where and checked by what; no package is really installed here."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rs_text_search_plugin.assets import resource
from rs_text_search_plugin.engine_process import package_steps
from rs_text_search_plugin.engine_process.package_steps import (
    CPU,
    LINUX_CUDA,
    PYPI,
    WINDOWS_CUDA,
    Lock,
    choose_torch,
    fitting_build,
    folder_build,
    install,
    install_from_folder,
    kept_settings,
)
from rs_text_search_plugin.engine_process.setup_command import Command, Outcome, Question, SetupError

LOCK = Lock(resource("engine-requirements.txt").parent)
YES = Outcome(True, "")
NO = Outcome(False, "")
CARD = Outcome(True, "NVIDIA A2, 580.1")
INDEX = Outcome(True, "torch (2.13.0+cpu)\nAvailable versions: 2.13.0+cpu, 2.12.1+cpu")


@pytest.fixture
def linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(package_steps.fitting_build, "__defaults__", ("linux",))


def drive(steps, *outcomes):
    """Feeds outcomes to steps: the tasks asked for, and what the steps returned (None while they go on)."""
    tasks = [next(steps)]
    for outcome in outcomes:
        try:
            tasks.append(steps.send(outcome))
        except StopIteration as end:
            return tasks, end.value
    return tasks, None


def installing(build, config=YES):
    """The pip commands that install that build."""
    tasks, _ = drive(install("python", LOCK, build), config, YES, YES, YES)
    return tasks[1:]


def test_builds_by_system_and_card():
    assert fitting_build(False, "linux") == CPU
    assert fitting_build(True, "linux") == LINUX_CUDA
    assert fitting_build(True, "win32") == WINDOWS_CUDA
    assert fitting_build(False, "win32") == fitting_build(False, "darwin") == PYPI


def test_without_a_card_the_small_build_is_taken_without_asking(linux):
    tasks, build = drive(choose_torch("python", LOCK), NO, INDEX)
    assert build == CPU
    assert not [task for task in tasks if isinstance(task, Question)]


def test_an_index_out_of_reach_is_said_with_both_sizes(linux):
    tasks, build = drive(choose_torch("python", LOCK), NO, NO)
    question = tasks[-1]
    assert isinstance(question, Question)
    assert "0.5 GB to download" in question.text
    assert "3.0 GB to download, 6.3 GB on disk" in question.text
    assert build is None


def test_an_index_without_the_locked_version_counts_as_out_of_reach(linux):
    tasks, _ = drive(choose_torch("python", LOCK), NO, Outcome(True, "torch (2.9.0+cpu)"))
    assert isinstance(tasks[-1], Question)


def test_the_large_build_is_taken_when_the_person_agrees(linux):
    assert drive(choose_torch("python", LOCK), NO, NO, YES)[1] == LINUX_CUDA


def test_no_build_is_forced_on_anybody(linux):
    with pytest.raises(SetupError, match="cannot be reached"):
        drive(choose_torch("python", LOCK), NO, NO, NO)


def test_a_card_gets_its_build_after_asking_or_else_the_small_one(linux):
    assert drive(choose_torch("python", LOCK), CARD, YES)[1] == LINUX_CUDA
    assert drive(choose_torch("python", LOCK), CARD, NO, INDEX)[1] == CPU


def test_pytorchs_index_offers_nothing_but_torch():
    pip, torch, rest = installing(CPU)
    assert torch.arguments[-3:] == ("--index-url", CPU.index, LOCK.torch())
    assert not [a for a in (*pip.arguments, *rest.arguments) if "pytorch.org" in a]


def test_everything_from_pypi_is_checked_by_its_hash():
    for command in installing(LINUX_CUDA):
        assert command.arguments[-3:-1] == ("--require-hashes", "-r")
        assert "--no-deps" in command.arguments


def test_pip_is_updated_to_the_locked_version_alone():
    pip = installing(CPU)[0]
    assert "--upgrade" not in pip.arguments
    assert pip.arguments[-1] == LOCK.file("pip")


def test_an_old_pip_that_stays_is_not_asked_for_raw_progress():
    tasks, _ = drive(install("python", LOCK, CPU), YES, NO, YES)
    assert "raw" not in tasks[-1].arguments


def test_a_mirror_and_a_proxy_are_kept_and_other_settings_are_not():
    listing = (
        "global.index-url='https://pypi.example/simple'\n"
        "global.target='/elsewhere'\n"
        "install.proxy='http://proxy:3128'\n"
        ":env:.constraint='old.txt'\n"
        ":env:.index-url='https://mirror.example/simple'\n"
    )
    assert kept_settings(listing) == {
        "index-url": "https://mirror.example/simple",
        "proxy": "http://proxy:3128",
    }


def test_the_mirror_is_named_without_its_password():
    config = Outcome(True, "global.index-url='https://me:secret@mirror.example/simple'\n")
    pip, torch, rest = installing(LINUX_CUDA, config)
    assert "mirror.example" in pip.title
    assert not [command for command in (pip, torch, rest) if "secret" in command.title]
    assert "https://me:secret@mirror.example/simple" in rest.arguments  # pragma: allowlist secret


def test_pip_sees_no_other_setting_of_the_person(tmp_path, monkeypatch):
    """The real pip, started as the setup starts it."""
    monkeypatch.setenv("PIP_TARGET", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    (tmp_path / "pip.conf").write_text("[global]\nno-deps = true\n")
    command = [sys.executable, *package_steps.PIP, "config", "list"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() in (
        "",
        ":env:.config-file='/dev/null'",
    )


# ---- a folder of wheels ----


def wheels_in(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"12345")
    return folder


def test_a_folder_of_wheels_needs_no_network(tmp_path):
    wheels_in(tmp_path, "torch-2.13.0-cp312-cp312-win_amd64.whl")
    tasks, _ = drive(install_from_folder("python", LOCK, tmp_path), YES, YES)
    assert len(tasks) == 2
    for command in tasks:
        assert isinstance(command, Command)
        assert "--no-index" in command.arguments
        assert command.arguments[command.arguments.index("--find-links") + 1] == str(tmp_path)
        assert "--require-hashes" in command.arguments


def test_a_build_of_pytorchs_index_in_the_folder_is_taken_at_the_locked_version(tmp_path):
    wheels_in(tmp_path, "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl")
    torch = next(install_from_folder("python", LOCK, tmp_path))
    assert torch.arguments[-1] == LOCK.torch()


def test_a_folder_without_torch_is_refused_at_once(tmp_path):
    with pytest.raises(SetupError, match="no wheel of torch"):
        folder_build(wheels_in(tmp_path, "numpy-2.4.6-cp312-cp312-win_amd64.whl"))


def test_missing_wheels_are_told_with_the_way_to_fill_the_folder(tmp_path):
    wheels_in(tmp_path, "torch-2.13.0-cp312-cp312-win_amd64.whl")
    with pytest.raises(SetupError) as raised:
        drive(install_from_folder("python", LOCK, tmp_path), YES, NO)
    assert "the other packages" in raised.value.message
    assert "make wheels" in raised.value.hint


# ---- the lock ----


@pytest.mark.parametrize("name", ["pip", "torch", "engine"])
def test_every_line_is_pinned_and_hashed(name):
    text = resource(f"{name}-requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    assert [
        line for line in lines if not re.match(r"[a-z0-9.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []


def test_torch_and_cuda_are_in_their_own_file():
    engine = resource("engine-requirements.txt").read_text(encoding="utf-8")
    torch = resource("torch-requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^(torch|triton|nvidia|cuda)", engine, re.MULTILINE)
    assert re.search(r"^torch==", torch, re.MULTILINE)
    for line in re.findall(r"^(?:nvidia|cuda|triton).*", torch, re.MULTILINE):
        assert "sys_platform == 'linux'" in line


def test_what_reports_to_its_makers_is_left_out():
    engine = resource("engine-requirements.txt").read_text(encoding="utf-8")
    assert "openvino==" in engine
    assert "telemetry" not in engine
