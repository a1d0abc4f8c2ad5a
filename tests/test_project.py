"""Facts that several files state must agree."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import tomllib

from rs_text_search_plugin.version import VERSION

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def metadata() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser["general"]


def test_version_is_the_same_everywhere(metadata: configparser.SectionProxy) -> None:
    assert metadata["version"] == VERSION
    assert f"## {VERSION}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)  # the plugin feed compares strictly


def test_metadata_has_what_the_plugin_site_requires(metadata: configparser.SectionProxy) -> None:
    required = "name description version qgisMinimumVersion author email about tracker repository homepage"
    assert [key for key in [*required.split(), "icon"] if not metadata.get(key)] == []
    assert "supportsqt6" not in metadata  # deprecated: qgisMaximumVersion says it
    assert metadata["hasProcessingProvider"] == "yes"
    assert "/" not in metadata["author"]


def test_metadata_icon_exists(metadata: configparser.SectionProxy) -> None:
    assert (ROOT / metadata["icon"]).is_file()


def test_no_committed_file_is_over_30_megabytes() -> None:
    weights = [file for file in (ROOT / "models" / "weights").rglob("*") if file.is_file()]
    assert [file.name for file in weights if file.stat().st_size > 30_000_000] == []


def test_only_the_default_model_is_packaged() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["rs_text_search_plugin.models"]
    packed = [name for pattern in patterns for name in (ROOT / "models").glob(pattern) if name.is_file()]
    weights = {file.name for file in packed if file.parent.name == "weights"}
    assert weights == {"compact.safetensors", "compact-languages.safetensors"}
    assert {file.stem for file in packed if file.parent.name == "cards"} >= {"compact"}


def test_locked_requirements_satisfy_the_project() -> None:
    files = (ROOT / "resources" / f"{name}-requirements.txt" for name in ("engine", "torch"))
    pins = "".join(file.read_text(encoding="utf-8") for file in files)
    pinned = set(re.findall(r"^([a-z0-9_-]+)==", pins, re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = re.search(r"^dependencies = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    assert needed is not None
    assert set(re.findall(r'"([a-z0-9-]+)', needed[1])) <= pinned


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models" / "cards").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_link_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_contributing_names_files_that_exist() -> None:
    named = re.findall(r"`((?:rs_text_search_plugin|models|resources|tests)/[\w/.]+)`", CONTRIBUTING)
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).exists()] == []


HEADINGS = re.findall(
    r"^### (.*[.:)]|.*\\.\\.\\..*)$",
    (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("heading", HEADINGS)
def test_troubleshooting_quotes_messages_that_exist(heading: str) -> None:
    fixed = [part.strip() for part in heading.split("...") if len(part.strip()) > 4]
    code = [*(ROOT / "rs_text_search_plugin").rglob("*.py"), *(ROOT / "models").rglob("*.py")]
    texts = [file.read_text(encoding="utf-8") for file in code]
    assert [part for part in fixed if not any(part in text for text in texts)] == []


def test_readme_fits_90_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90
