"""A QGIS profile of its own with the plugin in it.

    python -m tests.e2e.profile DIR [--name test]

The plugin's files are links into this checkout, so that a change takes effect at QGIS's next start, or copies
laid out as in the zip, which know nothing of the checkout and its environment.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "rs_text_search_plugin"
SETTINGS = """[PythonPlugins]
rs_text_search_plugin=true
processing=true
[qgis]
checkVersion=false
newsFeed=false
showTips=false
askToSaveProjectChanges=false
[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true
"""


def parts() -> list[Path]:
    """What the plugin is made of, as QGIS sees it: the package's files, models, resources, papers."""
    own = [
        path for path in (ROOT / PLUGIN).iterdir() if path.name not in {"__pycache__", "models", "resources"}
    ]
    return [*own, *(ROOT / name for name in ("models", "resources", "metadata.txt", "LICENSE"))]


def make_profile(folder: Path, name: str = "test", linked: bool = True) -> Path:
    """Makes FOLDER/profiles/NAME, or refreshes the plugin in it, and returns it. Settings stay."""
    profile = folder / "profiles" / name
    plugin = profile / "python" / "plugins" / PLUGIN
    shutil.rmtree(plugin, ignore_errors=True)
    plugin.mkdir(parents=True)
    for part in parts():
        if linked:
            (plugin / part.name).symlink_to(part)
        elif part.is_dir():
            shutil.copytree(part, plugin / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(part, plugin)
    settings = profile / "QGIS" / "QGIS3.ini"
    if not settings.exists():
        settings.parent.mkdir()
        settings.write_text(SETTINGS, encoding="utf-8")
    return profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--name", default="test")
    args = parser.parse_args()
    print(f"The plugin is linked into {make_profile(args.folder.absolute(), args.name)}")


if __name__ == "__main__":
    main()
