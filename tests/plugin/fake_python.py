#!/usr/bin/python3
"""A Python that only pretends to make environments and install packages; as an engine it is the fake one.

FAKE_PYTHON_FAILS names what goes wrong: "venv", "index", "torch", "rest", "doctor"; "slow": installing takes 10 s.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path

fails = os.environ.get("FAKE_PYTHON_FAILS", "")
line = " ".join(sys.argv[1:])

if "-m venv" in line:
    if fails == "venv":
        sys.exit("no ensurepip")
    (Path(sys.argv[-1]) / "bin").mkdir(parents=True)
    (Path(sys.argv[-1]) / "bin" / "python").symlink_to(Path(__file__).resolve())
elif "config list" in line:
    print("global.index-url='https://me:secret@mirror.example/simple'")
elif "index versions" in line:
    print("torch (2.13.0+cpu)")
    sys.exit(fails == "index")
elif "runpy.run_module('pip'" in line:
    what = "torch" if "torch" in sys.argv[-1] else "rest" if "engine-" in sys.argv[-1] else "pip"
    print(f"Collecting {what}\nProgress 25 of 100\nProgress 100 of 100", flush=True)
    if fails == "slow":
        time.sleep(10)
    sys.exit(f"ERROR: no matching distribution for {what}" if fails == what else 0)
elif "doctor" in line:
    check = {
        "name": "torch",
        "ok": fails != "doctor",
        "version": "2",
        "detail": "wrong answer",
        "hint": "Repair it.",
    }
    print(json.dumps({"ok": check["ok"], "checks": [check]}))
    sys.exit(0 if check["ok"] else 1)
elif "serve" in line:
    runpy.run_path(str(Path(__file__).resolve().with_name("fake_engine.py")), run_name="__main__")
else:
    print(json.dumps([[3, 12], 64, [], "x86_64"]))
