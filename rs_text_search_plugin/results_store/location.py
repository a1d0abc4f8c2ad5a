"""Where a project's GeoPackage lies: beside the project's file, or in the profile while it has none."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from qgis.core import QgsApplication, QgsProject

ENDING = "_text_search.gpkg"
PROFILE_FOLDER = "rs_text_search"


def project_file(project: QgsProject) -> Path | None:
    """The project's file; None for one never saved, or saved in a database."""
    name = project.absoluteFilePath()
    return Path(name) if name and project.projectStorage() is None else None


def usual_path(project: QgsProject) -> Path:
    """Beside the project where that can be written, else a new file in the profile."""
    file = project_file(project)
    if file is None or not os.access(file.parent, os.W_OK):
        return profile_folder() / f"{uuid.uuid4().hex}{ENDING}"
    return file.with_name(f"{file.stem}{ENDING}")


def free_path(path: Path) -> Path:
    """The path, or where a file has it the first numbered one that is free."""
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
        number += 1
    return free


def profile_folder() -> Path:
    """Folder of the person's profile for results of projects that were never saved."""
    return Path(QgsApplication.qgisSettingsDirPath()) / PROFILE_FOLDER


def in_profile(path: Path) -> bool:
    """Whether a GeoPackage lies in the profile."""
    return path.parent == profile_folder()
