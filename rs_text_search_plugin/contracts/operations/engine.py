"""Requests and answers about the engine itself: hello, models, install, cancel, shutdown."""

from dataclasses import dataclass
from typing import Optional, Union

from rs_text_search_plugin.contracts.fields import Count


@dataclass(frozen=True)
class HelloRequest:
    """Who answers, and on which device it computes."""


@dataclass(frozen=True)
class Device:
    """Where a model can run."""

    name: str
    """`cpu` or `cuda:N`."""
    label: str
    """Its name for people."""
    reason: str
    """Why it was chosen, or why there is no better one."""


@dataclass(frozen=True)
class HelloAnswer:
    """The engine, as it is installed here."""

    version: str
    protocol: Count
    """1; raised when an old client could no longer read what a new engine sends."""
    python: str
    device: Device
    """The one that `auto` stands for."""
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class ModelsRequest:
    """Every model of the registry, then the person's own."""


@dataclass(frozen=True)
class ModelInfo:
    """One line of the list of models."""

    name: str
    title: str
    summary: str
    dim: Count
    """Length of an embedding; 0 for a model that only reranks."""
    size_px: Count
    """Side of the network's input, px."""
    bytes: Count
    """Of the weights, on disk."""
    tiles_per_s: Optional[float]
    """How fast it embeds, on the machine its card names."""
    licence: str
    installed: bool
    """Whether the weights are on this computer."""
    reranker: bool
    """Whether it can rerank the best matches; it may be an encoder as well."""
    file: str
    """What its weights are called."""
    url: Optional[str]
    """Where they can be had; null when there is no public address."""
    card: Optional[str]
    """Path of the model card."""


@dataclass(frozen=True)
class ModelsAnswer:
    """All models."""

    models: tuple[ModelInfo, ...]


@dataclass(frozen=True)
class InstallRequest:
    """Puts a model's weights where they are found. Progress counts bytes."""

    model: str
    file: Optional[str] = None
    """Its weights; without it they are downloaded, to which the person must have agreed."""


@dataclass(frozen=True)
class InstallAnswer:
    """What was installed."""

    path: str
    """Where the weights are."""


@dataclass(frozen=True)
class CancelRequest:
    """Stops another operation, which then ends with the error `Cancelled`."""

    target: Union[int, str]
    """The id of its request."""


@dataclass(frozen=True)
class CancelAnswer:
    """Whether there was something to stop."""

    cancelled: bool


@dataclass(frozen=True)
class ShutdownRequest:
    """Ends the process."""


@dataclass(frozen=True)
class ShutdownAnswer:
    """Nothing more follows."""
