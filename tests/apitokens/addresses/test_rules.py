"""What may stand in a list of addresses, in which form it is kept, and what it covers."""

from ipaddress import ip_address, ip_network

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.http.client_ip import parse_address
from apitokens.addresses.networks import AddressList
from apitokens.addresses.rules import MOST, in_parts, read, stored, wider_error

KEPT = {
    "203.0.113.7": ["203.0.113.7"],
    "203.0.113.7/32": ["203.0.113.7"],
    "203.0.113.0/24": ["203.0.113.0/24"],
    "203.0.113.0/255.255.255.0": ["203.0.113.0/24"],
    "2001:DB8:0:0::7": ["2001:db8::7"],
    "2001:db8::7/128": ["2001:db8::7"],
    "2001:db8::/48": ["2001:db8::/48"],
    "::ffff:203.0.113.7": ["203.0.113.7"],
    "::ffff:203.0.113.0/120": ["203.0.113.0/24"],
    "64:ff9b::203.0.113.7": ["203.0.113.7"],
    "::ffff:0:0/96": ["0.0.0.0/0"],
    "0.0.0.0/0, ::/0": ["0.0.0.0/0", "::/0"],
    "203.0.113.7\r\n\r\n 203.0.113.7 ;203.0.113.7": ["203.0.113.7"],
    "10.1.2.3 10.0.0.0/8 10.1.0.0/16": ["10.0.0.0/8"],
    "": [],
    " \n ": [],
}


@pytest.mark.parametrize("typed", KEPT)
def test_entries_are_kept_in_the_usual_form(typed: str) -> None:
    assert read(in_parts(typed)).entries == KEPT[typed]


WRONG = {
    "x": "“x” is not an IP address or network",
    "203.0.113": "is not an IP address",
    "203.0.113.256": "is not an IP address",
    "203.0.113.07": "is not an IP address",
    "203.0.113.0/33": "is not an IP address",
    "203.0.113.0/-1": "is not an IP address",
    "203.0.113.1-203.0.113.9": "is not an IP address",
    "203.0.113.*": "is not an IP address",
    "example.com": "is not an IP address",
    "2130706433": "is not an IP address",
    "::1::2": "is not an IP address",
    "203.0.113.7/24": "Write 203.0.113.0/24 for the network, or 203.0.113.7 for the one address",
    "2001:db8::7/48": "Write 2001:db8::/48 for the network, or 2001:db8::7 for the one address",
    "203.0.113.7:443": "without brackets and port: 203.0.113.7",
    "[2001:db8::7]": "without brackets and port: 2001:db8::7",
    "[2001:db8::7]:443": "without brackets and port: 2001:db8::7",
    "fe80::1%eth0": "without the zone: fe80::1",
    "fe80::1%25eth0/64": "without the zone: fe80::1",
    "0.0.0.0": "No one comes from",
    "::": "No one comes from",
    "1" * 81: "is too long",
    "\ud800": "is not an IP address",
    "": "is not an IP address",
    " ": "is not an IP address",
}


@pytest.mark.parametrize("entry", WRONG)
def test_wrong_entry_is_refused_with_a_sentence(entry: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read([entry])
    assert WRONG[entry] in refused.value.messages[0]
    refused.value.messages[0].encode()


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(ValidationError) as refused:
        read(["x", "203.0.113.7", "y"])
    assert len(refused.value.messages) == 2


def test_list_has_at_most_twenty_entries() -> None:
    assert len(read([f"203.0.113.{number}" for number in range(MOST)]).entries) == MOST
    with pytest.raises(ValidationError, match="at most 20 addresses and networks, not 21"):
        read([f"203.0.113.{number}" for number in range(MOST + 1)])


def test_what_lies_in_another_entry_is_told() -> None:
    assert read(["10.1.2.3", "10.0.0.0/8", "10.1.0.0/16"]).contained == [
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.0.0/16", "10.0.0.0/8"),
    ]


@pytest.mark.parametrize(
    ("entries", "everywhere"),
    [
        (["0.0.0.0/0"], ["0.0.0.0/0"]),
        (["::/0"], ["::/0"]),
        (["0.0.0.0/1", "128.0.0.0/1"], ["0.0.0.0/0"]),
        (["0.0.0.0/1", "::/1"], []),
        (["10.0.0.0/8"], []),
    ],
)
def test_list_that_allows_everything_is_noticed(entries: list[str], everywhere: list[str]) -> None:
    assert read(entries).everywhere == everywhere


COVERED = {
    "203.0.113.7": True,
    "::ffff:203.0.113.7": True,
    "203.0.113.7:4711": True,
    "64:ff9b::cb00:7107": True,
    "203.0.113.8": False,
    "10.0.0.0": True,
    "10.255.255.255": True,
    "11.0.0.0": False,
    "9.255.255.255": False,
    "2001:db8::7": True,
    "[2001:db8:0:ffff::7]:443": True,
    "2001:db8:1::": False,
    "2001:db8::1%eth0": True,
    "::cb00:7107": False,
}
LIST = AddressList("203.0.113.7\n10.0.0.0/8\n2001:db8::/48")


@pytest.mark.parametrize("address", COVERED)
def test_client_is_found_in_the_list_in_any_form(address: str) -> None:
    assert LIST.covers(parse_address(address)) is COVERED[address]


def test_address_that_was_found_lets_no_other_in() -> None:
    limited = AddressList("203.0.113.0/24\n2001:db8::/48")
    for _time in range(2):
        assert limited.covers("203.0.113.7")
        assert not limited.covers("198.51.100.7")
        assert not limited.covers(None)
        assert limited.covers("2001:db8::7")
        assert not limited.covers("2001:db8:1::7")


def test_unknown_address_is_in_no_list() -> None:
    assert not LIST.covers(None)
    assert not AddressList("0.0.0.0/0\n::/0").covers(None)


def test_all_of_ipv4_is_nothing_of_ipv6_and_the_other_way_round() -> None:
    v4, v6 = AddressList("0.0.0.0/0"), AddressList("::/0")
    assert [v4.covers(each) for each in ("0.0.0.1", "255.255.255.255", "2001:db8::1")] == [1, 1, 0]
    assert [v6.covers(each) for each in ("::1", "203.0.113.7")] == [1, 0]


def test_list_is_not_read_before_it_is_asked() -> None:
    """How long it takes to make one must not tell who lacks the secret that there is one."""
    assert AddressList("no address at all").text == "no address at all"


numbers = st.integers(0, 2**32 - 1) | st.integers(0, 2**128 - 1)


@given(
    st.lists(st.tuples(numbers, st.integers(0, 128)), min_size=1, max_size=20),
    numbers,
    st.booleans(),
)
def test_list_covers_what_any_of_its_networks_has(
    drawn: list[tuple[int, int]], number: int, is_near: bool
) -> None:
    networks = []
    for start, length in drawn:
        address = ip_address(start)
        most = address.max_prefixlen
        networks.append(ip_network(f"{address}/{min(length, most)}", strict=False))
    text = read([str(each) for each in networks if str(each) not in ("0.0.0.0/32", "::/128")]).text
    if is_near:
        number = max(0, int(networks[0].broadcast_address) - (number % 3) + 1)
    client = parse_address(str(ip_address(number % 2**128)))
    assert client is not None
    expected = any(ip_address(client) in network for network in stored(text))
    assert AddressList(text).covers(client) is expected


@pytest.mark.parametrize(
    ("own", "wanted", "is_wider"),
    [
        ("", "", False),
        ("", "10.0.0.1", False),
        ("10.0.0.0/8", "", True),
        ("10.0.0.0/8", "10.0.0.0/8", False),
        ("10.0.0.0/8", "10.1.0.0/16\n10.2.0.0/16", False),
        ("10.0.0.0/8", "10.1.0.0/16\n11.0.0.1", True),
        ("10.0.0.0/8", "::/0", True),
        ("10.0.0.0/8", "0.0.0.0/0", True),
    ],
)
def test_token_that_acts_gives_away_no_more_than_its_own_addresses(
    own: str, wanted: str, is_wider: bool
) -> None:
    assert bool(wider_error(wanted, own=own)) is is_wider
