"""hello, models, install."""

from __future__ import annotations

import platform

from rs_text_search_plugin.contracts.errors import Cancelled
from rs_text_search_plugin.contracts.operations.engine import (
    HelloAnswer,
    HelloRequest,
    InstallAnswer,
    InstallRequest,
    ModelsAnswer,
    ModelsRequest,
)
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.service.session import Session
from rs_text_search_plugin.models import devices, registry
from rs_text_search_plugin.version import VERSION

PROTOCOL = 1


def hello(session: Session, request: HelloRequest, job: Job) -> HelloAnswer:
    """Who answers, and on which device it computes."""
    return HelloAnswer(
        version=VERSION,
        protocol=PROTOCOL,
        python=platform.python_version(),
        device=devices.choose_device("auto"),
        devices=devices.devices(),
    )


def models(session: Session, request: ModelsRequest, job: Job) -> ModelsAnswer:
    """Every model of the registry."""
    return ModelsAnswer(tuple(registry.available()))


def install(session: Session, request: InstallRequest, job: Job) -> InstallAnswer:
    """Puts a model's weights where they are found: those in `file`, or else a download."""

    def watch(done: int, total: int) -> None:
        if job.cancelled():
            raise Cancelled("The download was stopped.", "The next one goes on from there.")
        job.progress(done, total)

    return InstallAnswer(str(registry.install(request.model, request.file, watch)))
