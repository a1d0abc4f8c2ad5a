"""How this plugin starts other programs, and how it reads the way they ended."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QObject, QProcess, QProcessEnvironment, QStandardPaths
from qgis.PyQt.QtNetwork import QNetworkProxy

BOOT = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module('rs_text_search_plugin.engine', run_name='__main__', alter_sys=True)"
)
"""Appended, not prepended: a plugin beside this one may be called like a package that the engine needs."""

LEAKS = ("PYTHON", "CONDA", "GDAL_", "OGR_", "PROJ_", "GEOTIFF_CSV", "QGIS_", "LD_", "DYLD_", "QT_")
"""QGIS, OSGeo4W, Anaconda and ArcGIS set these for their own libraries; ours fail with a foreign PROJ_LIB."""
SINGLE_LEAKS = frozenset(
    {"VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}
)
"""Of pip's variables only those that install elsewhere: a company's mirror and certificates stay."""
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

SIGNALS = {
    4: "its processor lacks an instruction that a library needs",
    6: "a library gave up (abort)",
    7: "a file it was reading became shorter (bus error)",
    9: "it was killed, often because the memory ran out",
    11: "a library crashed (segmentation fault)",
    15: "it was asked to end",
}
NT_STATUS = {
    0xC0000005: "a library crashed (access violation)",
    0xC0000017: "the memory ran out",
    0xC000001D: "its processor lacks an instruction that a library needs",
    0xC00000FD: "a library crashed (stack overflow)",
    0xC0000135: "a DLL is missing: install the Microsoft Visual C++ redistributable",
    0xC0000142: "a DLL could not be initialised: install the Microsoft Visual C++ redistributable",
    0xC0000409: "a library crashed (stack overrun)",
}


def plugin_parent() -> Path:
    """The folder that holds the plugin's; links kept, because models and resources are linked in there."""
    return Path(__file__).parents[2]


def engine_arguments(*command: str) -> list[str]:
    """Arguments for the engine's Python that run `rs-text-search COMMAND`; -I keeps foreign paths out."""
    return ["-I", "-X", "utf8", "-u", "-c", BOOT, str(plugin_parent()), *command]


def child_environment() -> QProcessEnvironment:
    """The system's environment without what QGIS and other Pythons set for themselves, with QGIS's proxy."""
    environment = QProcessEnvironment.systemEnvironment()
    for name in environment.keys():  # noqa: SIM118 - a Qt object, not a dict
        if leaks(name, environment.value(name)):
            environment.remove(name)
    environment.insert("PYTHONSAFEPATH", "1")
    environment.insert("PYTHONNOUSERSITE", "1")
    environment.insert("PYTHONIOENCODING", "utf-8")
    proxy = proxy_url()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy") if proxy else ():
        environment.insert(name, proxy)
    return environment


def leaks(name: str, value: str) -> bool:
    """True for a variable no child may see; a certificate path is one when nothing is there."""
    if name in CERTIFICATES:
        return not os.path.exists(value)
    name = name.upper()
    return name in SINGLE_LEAKS or name.startswith(LEAKS)


def proxy_url() -> str:
    """QGIS's proxy as pip wants it, or "" without one; of SOCKS proxies pip knows nothing."""
    proxy = QgsNetworkAccessManager.instance().fallbackProxy()
    if proxy.type() != QNetworkProxy.ProxyType.HttpProxy or not proxy.hostName():
        return ""
    login = f"{quote(proxy.user(), safe='')}:{quote(proxy.password(), safe='')}@"
    user = login if proxy.user() else ""
    return f"http://{user}{proxy.hostName()}:{proxy.port() or 8080}"


def new_process(parent: QObject | None = None) -> QProcess:
    """A QProcess with a clean environment, in a folder that holds no Python files."""
    process = QProcess(parent)
    process.setProcessEnvironment(child_environment())
    process.setWorkingDirectory(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.HomeLocation))
    return process


def end(process: QProcess, patience_ms: int = 1000) -> None:
    """Waits for a process that was told to end; terminates, then kills one that does not."""
    for step in (process.closeWriteChannel, process.terminate, process.kill):
        if process.state() == QProcess.ProcessState.NotRunning:
            return
        step()
        process.waitForFinished(patience_ms)


def exit_reason(process: QProcess) -> str:
    """Why a process is no longer there, as a clause: "the engine stopped because ..."."""
    error = process.error()  # type: ignore[operator]  # Qt 5 has a signal of the same name
    if error == QProcess.ProcessError.FailedToStart:
        return f"it could not be started ({process.errorString()})"
    code = process.exitCode() & 0xFFFFFFFF
    if code in NT_STATUS:
        return NT_STATUS[code]
    if process.exitStatus() == QProcess.ExitStatus.CrashExit:
        return SIGNALS.get(code, f"it crashed (signal {code})")
    return f"it ended with code {code}"
