"""Where a request came from, and whom to believe about it."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts.http.client_ip import (
    client_address,
    network_of,
    normalize_forwarded_proto,
    parse_address,
)
from config.env.networks import parse_networks

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
        ("64:ff9b::203.0.113.5", "203.0.113.5"),
        ("64:ff9b:1::203.0.113.5", "203.0.113.5"),
        ("::ffff:0:203.0.113.5", "203.0.113.5"),
        ("64:ff9b:0:1::cb00:7105", "64:ff9b:0:1::cb00:7105"),
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
        ("203.0.113.5", "203.0.113.5"),
        ("2001:dba::5", "2001:dba::5"),
        ("10.9.9.9, 203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, 192.0.2.77", "203.0.113.5"),
        ("203.0.113.5,192.0.2.77 , 2001:db8::7", "203.0.113.5"),
        ("10.9.9.9, 203.0.113.5, 192.0.2.77", "203.0.113.5"),
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:dba::5]:4711", "2001:dba::5"),
        ("[2001:dba::5]", "2001:dba::5"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::ffff:192.0.2.77", "192.0.2.77"),
        ("\xff" * 9999 + ", 203.0.113.5", "203.0.113.5"),
        ("1," * 9999 + "203.0.113.5", "203.0.113.5"),
    ],
)
def test_trusted_proxy_is_believed_about_its_own_client_only(
    behind_proxies: None, claimed: str, expected: str
) -> None:
    assert seen(PEER, claimed) == expected


@pytest.mark.parametrize(
    "claimed",
    [
        None,
        "",
        " ",
        ",",
        "nonsense",
        "unknown",
        "_hidden",
        "203.0.113.5, nonsense",
        "203.0.113.5,",
        "203.0.113.5, \xff",
        "203.0.113.5%eth0",
        "203.0.113.5:",
        "[2001:dba::5",
        "[nonsense]:80",
        "1" * 9999,
        "0" * 9999 + "1.2.3.4",
        "203.0.113.5, x, 192.0.2.77",
    ],
)
def test_trusted_proxy_that_names_nobody_is_not_its_own_client(
    behind_proxies: None, claimed: str | None
) -> None:
    assert seen(PEER, claimed) is None


def test_number_of_proxies_in_a_row_is_bounded(behind_proxies: None) -> None:
    assert seen(PEER, "203.0.113.5" + ", 192.0.2.77" * 100) is None


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        (" Https ", "https"),
        ("wss", "https"),
        ("WSS", "https"),
        ("https,http", "https"),
        ("wss, ws", "https"),
        ("http", "http"),
        ("ws", "ws"),
        ("http,https", "http"),
        ("", ""),
        ("httpss", "httpss"),
    ],
)
def test_scheme_is_what_the_trusted_proxy_says_in_any_spelling(
    behind_proxies: None, sent: str, read: str
) -> None:
    meta = {"REMOTE_ADDR": PEER, "HTTP_X_FORWARDED_PROTO": sent}
    normalize_forwarded_proto(meta)
    assert meta["HTTP_X_FORWARDED_PROTO"] == read


@pytest.mark.parametrize("peer", ["203.0.113.66", "", "unix:"])
def test_stranger_says_nothing_about_the_scheme(behind_proxies: None, peer: str) -> None:
    meta = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_PROTO": "https"}
    normalize_forwarded_proto(meta)
    assert meta == {"REMOTE_ADDR": peer}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::ffff:2"),
        (None, None),
    ],
)
def test_addresses_of_one_client_are_one_place(one: str | None, other: str | None) -> None:
    assert network_of(one) == network_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), (None, "192.0.2.1")],
)
def test_addresses_of_two_clients_are_two_places(one: str | None, other: str | None) -> None:
    assert network_of(one) != network_of(other)


@pytest.mark.parametrize("before", ["", "::ffff:", "64:ff9b::", "::ffff:0:"])
@pytest.mark.parametrize("written", ["::ffff:", "64:ff9b::", "::ffff:0:"])
def test_networks_may_be_written_as_translated_ones(
    settings: Settings, written: str, before: str
) -> None:
    settings.TRUSTED_PROXIES = parse_networks([f"{written}192.0.2.0/120"])
    assert seen(f"{before}{PEER}", "203.0.113.5") == "203.0.113.5"
    assert seen(f"{before}{PEER}", f"203.0.113.5, {before}192.0.2.9") == "203.0.113.5"
    assert seen(f"{before}192.0.3.1", "203.0.113.5") == "192.0.3.1"


@pytest.mark.parametrize("network", ["::/0", "::/64", "::ffff:0:0/90"])
def test_network_around_the_mapped_ones_has_them_all_and_no_plain_one(
    settings: Settings, network: str
) -> None:
    settings.TRUSTED_PROXIES = parse_networks([network])
    assert seen(f"::ffff:{PEER}", "203.0.113.5") == "203.0.113.5"
    assert seen(PEER, "203.0.113.5") == PEER


def test_stranger_beside_the_proxies_is_not_believed(behind_proxies: None) -> None:
    assert seen("203.0.113.66", "10.1.1.1") == "203.0.113.66"


# --- Forms of addresses ---------------------------------------------------------------------------

IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
IPV6 = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda each: each.ipv4_mapped is None)
PORTS = st.integers(0, 65535)


@given(IPV4, PORTS)
def test_ipv4_address_is_one_in_all_its_forms(address: IPv4Address, port: int) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    forms = [f"{address}", f" {address} ", f"{address}:{port}", f"[{address}]:{port}", f"{mapped}"]
    forms += [f"[{mapped}]:{port}", mapped.exploded, mapped.exploded.upper(), f"{mapped}%eth0"]

    assert {parse_address(form) for form in forms} == {str(address)}
    assert network_of(str(address)) == str(address)


@given(IPV6, PORTS, st.text("abc019", min_size=1, max_size=9))
def test_ipv6_address_is_one_in_all_its_forms(address: IPv6Address, port: int, zone: str) -> None:
    forms = [f"{address}", address.exploded, address.exploded.upper(), f"[{address}]"]
    forms += [f"[{address}]:{port}", f"{address}%{zone}", f"[{address}%{zone}]:{port}"]

    assert {parse_address(form) for form in forms} == {str(address)}


@given(IPV6, st.integers(0, 2**64 - 1))
def test_addresses_of_one_host_are_in_one_place(address: IPv6Address, host: int) -> None:
    neighbour = IPv6Address(int(address) >> 64 << 64 | host)
    elsewhere = IPv6Address(int(address) ^ 1 << 64)

    if neighbour.ipv4_mapped is None:
        assert network_of(str(neighbour)) == network_of(str(address))
    assert network_of(str(elsewhere)) != network_of(str(address))
    assert ip_address(str(address)) in ip_network(network_of(str(address)))


@given(st.text(max_size=90) | st.text("0123456789abcdef:.%[]", max_size=50))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = parse_address(text)
    if found is not None:
        assert parse_address(found) == found == str(ip_address(found))
        assert network_of(found)
