"""The operations of the engine: one request and one answer each."""

from dataclasses import dataclass

from . import change, contents, engine, indexing, search, tiles, zoom


@dataclass(frozen=True)
class Operation:
    """An operation's name, the dataclasses of its `args` and its `result`, and the lane it is worked on in."""

    name: str
    request: type
    answer: type
    lane: str


LANES = {
    **dict.fromkeys(("hello", "cancel", "shutdown"), "at once"),
    **dict.fromkeys(("index", "install"), "long"),
    **dict.fromkeys(("plan", "verify", "rerank", "zoom", "change", "contents"), "slow"),
}
"""Operations that wait for none, take minutes, or take seconds; all others are quick. Lanes work side by side."""
QUICK = "quick"


OPERATIONS = {
    name: Operation(name, request, answer, LANES.get(name, QUICK))
    for name, request, answer in (
        ("hello", engine.HelloRequest, engine.HelloAnswer),
        ("models", engine.ModelsRequest, engine.ModelsAnswer),
        ("install", engine.InstallRequest, engine.InstallAnswer),
        ("info", indexing.InfoRequest, indexing.InfoAnswer),
        ("verify", indexing.VerifyRequest, indexing.VerifyAnswer),
        ("plan", indexing.PlanRequest, indexing.PlanAnswer),
        ("index", indexing.IndexRequest, indexing.IndexAnswer),
        ("search", search.SearchRequest, search.SearchAnswer),
        ("rerank", search.RerankRequest, search.SearchAnswer),
        ("zoom", zoom.ZoomRequest, zoom.ZoomAnswer),
        ("change", change.ChangeRequest, change.ChangeAnswer),
        ("contents", contents.ContentsRequest, contents.ContentsAnswer),
        ("describe", tiles.DescribeRequest, tiles.DescribeAnswer),
        ("locate", tiles.LocateRequest, tiles.LocateAnswer),
        ("thumbnails", tiles.ThumbnailsRequest, tiles.ThumbnailsAnswer),
        ("export", search.ExportRequest, search.ExportAnswer),
        ("cancel", engine.CancelRequest, engine.CancelAnswer),
        ("shutdown", engine.ShutdownRequest, engine.ShutdownAnswer),
    )
}
OPERATION_OF = {operation.request: name for name, operation in OPERATIONS.items()}
"""Request -> the name of its operation."""
