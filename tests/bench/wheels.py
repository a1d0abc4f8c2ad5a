"""For every system and Python offered: which locked packages have no wheel, and how much is downloaded.

make lock        writes build/pylock.toml and runs this
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tomllib
from packaging import tags
from packaging.markers import Marker
from packaging.utils import parse_wheel_filename

LOCK = Path(__file__).resolve().parents[2] / "build" / "pylock.toml"
MINORS = (11, 12, 13, 14)
GLIBC = range(31, 4, -1)
"""manylinux_2_31 is what Debian 11 and Ubuntu 20.04 have."""
SYSTEMS = {
    "Linux x86-64": (
        "linux",
        "x86_64",
        [f"manylinux_2_{minor}_x86_64" for minor in GLIBC] + ["manylinux2014_x86_64"],
    ),
    "Linux arm64": (
        "linux",
        "aarch64",
        [f"manylinux_2_{minor}_aarch64" for minor in GLIBC] + ["manylinux2014_aarch64"],
    ),
    "Windows x86-64": ("win32", "AMD64", ["win_amd64"]),
    "macOS 14 arm64": ("darwin", "arm64", list(tags.mac_platforms((14, 0), "arm64"))),
    "macOS 14 x86-64": ("darwin", "x86_64", list(tags.mac_platforms((14, 0), "x86_64"))),
}
CUDA = ("nvidia-", "cuda-", "triton")


def main() -> None:
    packages = tomllib.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    print("| system | Python | torch, MB | CUDA, MB | other, MB | no wheel for |\n|---|---|---|---|---|---|")
    for system in SYSTEMS:
        for minor in MINORS:
            print(row(packages, system, minor))


def row(packages: list[dict[str, Any]], system: str, minor: int) -> str:
    """One line of the table."""
    sizes = {"torch": 0, "cuda": 0, "other": 0}
    missing = []
    for package in wanted(packages, system, minor):
        wheel = fitting(package, system, minor)
        if wheel is None:
            missing.append(package["name"])
        else:
            sizes[kind(package["name"])] += wheel["size"]
    figures = " | ".join(f"{size / 1e6:.0f}" for size in sizes.values())
    return f"| {system} | 3.{minor} | {figures} | {', '.join(missing)} |"


def kind(name: str) -> str:
    """The column of a package."""
    return "torch" if name == "torch" else "cuda" if name.startswith(CUDA) else "other"


def wanted(packages: list[dict[str, Any]], system: str, minor: int) -> list[dict[str, Any]]:
    """Packages whose marker holds there."""
    platform, machine, _ = SYSTEMS[system]
    there = {
        "sys_platform": platform,
        "platform_machine": machine,
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.1",
    }
    return [p for p in packages if "marker" not in p or Marker(p["marker"]).evaluate(there)]


def fitting(package: dict[str, Any], system: str, minor: int) -> dict[str, Any] | None:
    """A wheel that pip would take there."""
    platforms = SYSTEMS[system][2]
    known = {*tags.cpython_tags((3, minor), platforms=platforms)}
    known |= {*tags.compatible_tags((3, minor), f"cp3{minor}", platforms)}
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[1]
        if parse_wheel_filename(name)[3] & known:
            return dict(wheel)
    return None


if __name__ == "__main__":
    sys.exit(main())
