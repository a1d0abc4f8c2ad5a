"""The command line with an encoder that sees colours: `python -m tests.engine.serve_fake COMMAND ...`.

Its encoder prints on every call, once from Python and once from C, to show that neither gets into an answer.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rs_text_search_plugin.models import registry

from rs_text_search_plugin.engine.__main__ import main
from tests.engine.fakes import ColourEncoder


class Loud(ColourEncoder):
    """Says something through file descriptor 1 before it works."""

    def texts(self, texts: list[str]) -> Any:
        os.write(1, b"C speaks too\n")
        return super().texts(texts)


def load(name: str = "compact", device: str = "auto") -> ColourEncoder:
    return Loud(noise="a library prints", slow=float(os.environ.get("FAKE_SLOW_S", "0")))


registry.load = load  # type: ignore[assignment]
sys.exit(main())
