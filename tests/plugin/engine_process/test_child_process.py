"""The environment that other programs are started in."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkProxy

from rs_text_search_plugin.engine_process.child_process import proxy_url


@pytest.fixture
def set_proxy(qgis_app):
    """Sets QGIS's proxy, and takes it back afterwards."""
    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy()

    def to(*values) -> None:
        manager.setFallbackProxyAndExcludes(QNetworkProxy(*values), [], [])

    yield to
    manager.setFallbackProxyAndExcludes(before, [], [])


def test_a_password_of_any_letters_keeps_the_host(set_proxy):
    set_proxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 3128, "zoë", "p@ss/w#1:%")
    url = urlsplit(proxy_url())
    assert (url.hostname, url.port) == ("proxy.example", 3128)
    assert (unquote(url.username), unquote(url.password)) == ("zoë", "p@ss/w#1:%")


def test_no_login_no_at_sign(set_proxy):
    set_proxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 3128)
    assert proxy_url() == "http://proxy.example:3128"


def test_of_socks_pip_knows_nothing(set_proxy):
    set_proxy(QNetworkProxy.ProxyType.Socks5Proxy, "proxy.example", 1080)
    assert proxy_url() == ""
