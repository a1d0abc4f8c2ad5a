"""Installing the engine's packages: which build of torch, from where, how large, and checked by which hashes.

All packages are locked by hash (`make lock`). Two builds of torch are not on PyPI and come from PyTorch's own
index, at the locked version, checked against the hashes of that index: the CPU build for Linux, CUDA for Windows.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .setup_command import Command, Question, SetupError, Steps, require

ALONE = (
    "import os, runpy\n"
    "for name in [name for name in os.environ if name.startswith('PIP_')]: del os.environ[name]\n"
    "os.environ['PIP_CONFIG_FILE'] = os.devnull\n"
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
"""pip without the person's settings, which may install elsewhere or other versions; what is kept is said aloud."""
PIP = ("-I", "-c", ALONE)
INSTALL = (*PIP, "install", "--no-input", "--only-binary", ":all:", "--retries", "2", "--no-deps")
LOCKED = ("--require-hashes", "-r")
CONNECTION = ("proxy", "cert", "client-cert")
MIRROR = ("index-url", "extra-index-url", "find-links")
HINT = "Check the network and, in Settings > Options > Network, the proxy; the log has the details."
FOLDER_HINT = "Fill the folder with `make wheels`, on a computer with the same system and Python."


@dataclass(frozen=True)
class TorchBuild:
    """A way to get torch. Sizes are of the whole environment, in bytes."""

    title: str
    index: str
    """PyTorch's index that has it; "" for the locked one from PyPI."""
    download: int
    disk: int


CPU = TorchBuild("for processors", "https://download.pytorch.org/whl/cpu", 460_000_000, 1_750_000_000)
LINUX_CUDA = TorchBuild("with CUDA", "", 3_000_000_000, 6_300_000_000)
PYPI = TorchBuild("for processors", "", 370_000_000, 1_750_000_000)
# An estimate: PyTorch's index could not be reached where this was written.
WINDOWS_CUDA = TorchBuild("with CUDA", "https://download.pytorch.org/whl/cu130", 2_500_000_000, 6_000_000_000)
ASK_FROM_BYTES = 2_000_000_000
"""A download that large is not begun without asking."""


@dataclass(frozen=True)
class Lock:
    """The three files of locked packages."""

    folder: Path

    def file(self, name: str) -> str:
        """Path of one: "pip", "engine", "engine-torch"."""
        return str(
            self.folder / f"{name}-requirements.txt".replace("-torch-requirements", "-requirements-torch")
        )

    def torch(self) -> str:
        """Such as "torch==2.13.0"."""
        text = Path(self.file("torch")).read_text(encoding="utf-8")
        found = re.search(r"^torch==[\d.]+", text, re.MULTILINE)
        return found[0] if found else "torch"


def choose_torch(python: str, lock: Lock) -> Steps[TorchBuild]:
    """The build that fits this computer and can be had; asks before a large download. Raises: SetupError."""
    gpu = yield Command("", "nvidia-smi", ("--query-gpu=name,driver_version", "--format=csv,noheader"))
    build = fitting_build(gpu.ok and bool(gpu.output.strip()))
    if build.index:
        build = yield from _reachable(build, python, lock)
    elif build.download > ASK_FROM_BYTES:
        agreed = yield Question(
            f"An NVIDIA card was found. Its build of torch is large: {sizes(build)}. Use it?"
        )
        build = build if agreed.ok else (yield from _reachable(CPU, python, lock))
    return build


def fitting_build(gpu: bool, platform: str = sys.platform) -> TorchBuild:
    """What this system should have."""
    if platform.startswith("linux"):
        return LINUX_CUDA if gpu else CPU
    return WINDOWS_CUDA if platform == "win32" and gpu else PYPI


def _reachable(build: TorchBuild, python: str, lock: Lock) -> Steps[TorchBuild]:
    """`build`, or PyPI's where PyTorch's index does not answer and the person agrees. Raises: SetupError."""
    name, version = lock.torch().split("==")
    query = ("index", "versions", name, "--index-url", build.index, "--retries", "0", "--timeout", "15")
    found = yield Command("Asking PyTorch's index", python, (*PIP, *query))
    if found.ok and version in found.output:
        return build
    other = LINUX_CUDA if sys.platform.startswith("linux") else PYPI
    agreed = yield Question(
        f"{build.index} cannot be reached, which has torch {build.title} ({sizes(build)}). "
        f"PyPI's build {other.title} can be used instead: {sizes(other)}. Use it?"
    )
    require(agreed, f"{build.index} cannot be reached.", HINT)
    return other


def sizes(build: TorchBuild) -> str:
    """For the person."""
    return f"{build.download / 1e9:.1f} GB to download, {build.disk / 1e9:.1f} GB on disk"


def install(python: str, lock: Lock, build: TorchBuild) -> Steps[None]:
    """All packages from an index: pip itself, torch, the others. Raises: SetupError."""
    config = yield Command("", python, ("-I", "-m", "pip", "config", "list"))
    settings = kept_settings(config.output if config.ok else "")
    line, mirror = options(settings, CONNECTION), options(settings, MIRROR)
    pip = yield Command(
        f"Updating pip from {shown(settings)}", python, (*INSTALL, *line, *mirror, *LOCKED, lock.file("pip"))
    )
    bar = (*line, "--progress-bar", "raw") if pip.ok else line
    torch = lock.torch()
    wanted = ("--index-url", build.index, torch) if build.index else (*mirror, *LOCKED, lock.file("torch"))
    outcome = yield Command(f"Installing {torch} {build.title}", python, (*INSTALL, *bar, *wanted))
    require(outcome, f"{torch} could not be installed.", HINT)
    outcome = yield Command(
        "Installing the other packages", python, (*INSTALL, *bar, *mirror, *LOCKED, lock.file("engine"))
    )
    require(outcome, "The engine's packages could not be installed.", HINT)


def install_from_folder(python: str, lock: Lock, wheels: Path) -> Steps[None]:
    """All packages from a folder of wheels, without any network. Raises: SetupError."""
    offline = (*INSTALL, "--no-index", "--find-links", str(wheels))
    own_build = any(wheels.glob("torch-*+*.whl"))  # from PyTorch's index, so that no hash of it is locked
    wanted = (lock.torch(),) if own_build else (*LOCKED, lock.file("torch"))
    for title, what in ((lock.torch(), wanted), ("the other packages", (*LOCKED, lock.file("engine")))):
        outcome = yield Command(f"Installing {title} from {wheels}", python, (*offline, *what))
        require(
            outcome, f"{wheels} lacks wheels for {title}, or has others than the locked ones.", FOLDER_HINT
        )


def folder_build(wheels: Path) -> TorchBuild:
    """What a folder of wheels will take: unpacked, wheels grow to at most four times their size. Raises: SetupError."""
    total = sum(file.stat().st_size for file in wheels.glob("*.whl"))
    if not any(wheels.glob("torch-*.whl")):
        raise SetupError(f"{wheels} holds no wheel of torch.", FOLDER_HINT)
    return TorchBuild("from a folder", "", 0, 4 * total)


def kept_settings(listing: str) -> dict[str, str]:
    """Proxy, certificates and index mirror out of `pip config list`; all other settings are left."""
    found: dict[str, str] = {}
    for scope in ("global", "install", ":env:"):  # the later ones win, as in pip
        for key, value in re.findall(rf"^{scope}\.([a-z-]+)=(.*)$", listing, re.MULTILINE):
            if key in (*CONNECTION, *MIRROR):
                found[key] = str(ast.literal_eval(value))
    return found


def options(settings: dict[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    """Settings as pip's arguments; one that lists several values is repeated."""
    return tuple(
        word for name in names for value in settings.get(name, "").split() for word in (f"--{name}", value)
    )


def shown(settings: dict[str, str]) -> str:
    """The indexes in use, without user names and passwords."""
    return ", ".join(_hosts(settings)) or "PyPI"


def _hosts(settings: dict[str, str]) -> Iterator[str]:
    for name in MIRROR:
        for url in settings.get(name, "").split():
            yield urlsplit(url).hostname or url
