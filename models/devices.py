"""Where a model can run on this computer."""

from __future__ import annotations

import os
import platform
from functools import cache

from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.operations.engine import Device

# Read when torch comes. Its threads would go on spinning after each piece of work, on cores that OpenVINO and
# the reader need: 11 % of an index run on 2 cores, and far more where other programs run.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def choose_device(wanted: str = "auto") -> Device:
    """`auto`, `cpu` or `cuda:N` -> Device. Raises ModelError when that GPU is not there."""
    found = {device.name: device for device in devices()}
    if wanted == "auto":
        return next(iter(found.values()))
    name = "cuda:0" if wanted == "cuda" else wanted
    if name not in found:
        raise ModelError(f"There is no device {wanted!r}.", f"Choose one of: auto, {', '.join(found)}.")
    return Device(name, found[name].label, "chosen by you")


@cache
def devices() -> tuple[Device, ...]:
    """Every device torch can use here, the fastest first."""
    import torch  # noqa: PLC0415

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = tuple(
        Device(f"cuda:{i}", torch.cuda.get_device_name(i), "a CUDA GPU is the fastest here")
        for i in range(count)
    )
    why = "a CUDA GPU is there, but you may spare it" if gpus else _why_no_gpu(torch.version.cuda)
    return (*gpus, Device("cpu", f"{platform.machine()} CPU, {os.cpu_count()} cores", why))


def _why_no_gpu(cuda: str | None) -> str:
    return "no CUDA GPU was found" if cuda else "this torch was built without CUDA"
