"""Everything that is done with local rasters works where there is no network at all, and tries none."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND

ISOLATED = ["unshare", "--map-root-user", "--net"]
"""A network namespace of its own: not even the loopback interface is up."""


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if not shutil.which("unshare") or subprocess.run([*ISOLATED, "true"], check=False).returncode:
        pytest.skip("network namespaces are not allowed here (unshare --map-root-user --net)")


def commands(raster: Path, folder: Path) -> Iterator[list[object]]:
    yield ["index", raster]
    yield ["search", raster, "storage tanks", "--heat", folder / "heat.tif", "--out", folder / "matches.gpkg"]
    yield ["search", raster, "houses along a road", "--rerank"]
    yield ["describe", raster, "--at", "432400,4582000"]
    yield ["export", raster, folder / "tiles.geojson"]
    yield ["info", raster]
    yield ["verify", raster]


def traced(log: Path) -> list[str]:
    """strace's words before a command, which write its connections into `log`; none where there is no strace."""
    return (
        ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto", "-o", str(log)]
        if shutil.which("strace")
        else []
    )


@pytest.mark.slow
def test_local_rasters_need_no_network_and_try_none(
    own_scene: Path, tmp_path: Path, quiet_home: dict[str, str]
) -> None:
    log = tmp_path / "connections"
    for command in commands(own_scene, tmp_path):
        line = [*ISOLATED, *traced(log), str(COMMAND), *map(str, command)]
        done = subprocess.run(line, capture_output=True, text=True, env=quiet_home, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"
        assert re.findall("AF_INET.*", log.read_text() if log.exists() else "") == [], command[0]


def test_the_namespace_has_no_network() -> None:
    """Without this the test above could not fail."""
    attempt = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    done = subprocess.run([*ISOLATED, "python3", "-c", attempt], capture_output=True, text=True, check=False)
    assert "unreachable" in done.stderr
