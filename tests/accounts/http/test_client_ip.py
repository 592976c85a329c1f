"""Where a request came from, and whom to believe about it."""

from ipaddress import ip_network

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from accounts.http.client_ip import client_address

PEER = "192.0.2.10"


def seen(peer: str, claimed: str | None = None) -> str | None:
    headers = {} if claimed is None else {"X-Forwarded-For": claimed}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


@pytest.fixture
def behind_proxies(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unix:", None),
        ("203.0.113.5.6", None),
    ],
)
def test_peer_is_the_client(peer: str, expected: str | None) -> None:
    assert seen(peer) == expected


@pytest.mark.parametrize(
    "claimed", ["203.0.113.5", "127.0.0.1, 203.0.113.5", "x", "", "\0", "," * 9999]
)
def test_stranger_is_not_believed(claimed: str) -> None:
    assert seen(PEER, claimed) == PEER


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        (None, PEER),
        ("203.0.113.5", "203.0.113.5"),
        ("2001:dba::5", "2001:dba::5"),
        ("10.9.9.9, 203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, 192.0.2.77", "203.0.113.5"),
        ("203.0.113.5,192.0.2.77 , 2001:db8::7", "203.0.113.5"),
        ("10.9.9.9, 203.0.113.5, 192.0.2.77", "203.0.113.5"),
        ("nonsense", PEER),
        ("203.0.113.5, nonsense", PEER),
        ("", PEER),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_trusted_proxy_is_believed_about_its_own_client_only(
    behind_proxies: None, claimed: str | None, expected: str
) -> None:
    assert seen(PEER, claimed) == expected


def test_stranger_beside_the_proxies_is_not_believed(behind_proxies: None) -> None:
    assert seen("203.0.113.66", "10.1.1.1") == "203.0.113.66"
