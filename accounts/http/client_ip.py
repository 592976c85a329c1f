"""What is known of the client and of its connection, behind proxies too.

Everything that asks where a request comes from asks here: pages, API, and the fast path in front of
Django.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
MOST_HOPS = 16
"""Proxies in a row. What X-Forwarded-For has further left is not read."""
UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  # nothing listens at it
"""Stands for an unknown address where a row or a limit must have one; nobody comes from it."""
LONGEST_ADDRESS = 80
"""Characters, with brackets, zone and port."""

IPV4_IN_IPV6 = 96
"""The bits in front of an IPv4 address in an IPv6 one."""
TRANSLATED = (
    IPv6Network("::ffff:0:0/96"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/96"),
    IPv6Network("::ffff:0:0:0/96"),
)
"""Where IPv6 has IPv4 addresses: mapped, and by a translator (RFC 4291, 6052, 8215 and 7915)."""
_FORWARDED_PROTO = "HTTP_X_FORWARDED_PROTO"
_ENCRYPTED = ("https", "wss")
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


def client_address(request: HttpRequest) -> str | None:
    """The IP address of the client: of the peer, or the one that a trusted proxy forwards.

    X-Forwarded-For is read from the right, and only as long as the sender is in
    `settings.TRUSTED_PROXIES`: anybody can write what stands further left. A trusted proxy is never
    taken for its own client: if it names nobody, or what is no address, the address is unknown
    (None). Servers drop a header that is not ASCII, so that every client could hide behind the
    proxy's address.
    """
    return address_of(request.META)


def address_of(meta: dict[str, Any]) -> str | None:
    """As `client_address`, of the environment of a request."""
    peer = meta.get("REMOTE_ADDR", "")
    if not _is_trusted(peer):
        return parse_address(peer)
    claimed = meta.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", MOST_HOPS)
    nearest = claimed.pop()
    while claimed and _is_trusted(nearest):
        nearest = claimed.pop()
    return parse_address(nearest)


def is_trusted_peer(meta: dict[str, Any]) -> bool:
    """True if the peer itself, whatever it forwards, is one of `settings.TRUSTED_PROXIES`."""
    return _is_trusted(meta.get("REMOTE_ADDR", ""))


def normalize_forwarded_proto(meta: dict[str, Any]) -> None:
    """Make `X-Forwarded-Proto` what Django compares it with: drop it unless a trusted proxy sent
    it; of a list keep the first, in small letters; a WebSocket's `wss` is `https`."""
    if _FORWARDED_PROTO not in meta:
        return
    if not is_trusted_peer(meta):
        del meta[_FORWARDED_PROTO]
        return
    scheme = meta[_FORWARDED_PROTO].partition(",")[0].strip().lower()
    meta[_FORWARDED_PROTO] = "https" if scheme in _ENCRYPTED else scheme


@lru_cache(maxsize=4096)
def network_of(address: str | None) -> str:
    """The place that one client is taken to be at, by rate limits and by notices of new addresses:
    an IPv4 address, or the /64 of an IPv6 address, in which a client has as many as it likes. Empty
    if the address is not known: all unknown clients are at one place."""
    if address is None or ":" not in address:
        return address or ""
    return str(ip_network(f"{address}/64", strict=False))


def parse_address(text: str) -> str | None:
    """The address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`, without an
    IPv6 zone; IPv4 if it is mapped, or translated, into IPv6. None for anything else."""
    forms = _forms_of(text) if len(text) <= LONGEST_ADDRESS else ()
    return str(forms[-1]) if forms else None


@lru_cache(maxsize=4096)
def _forms_of(text: str) -> tuple[Address, ...]:
    """The address as it is written, and the IPv4 address in it if there is one."""
    text = text.strip()
    ported = _WITH_PORT.fullmatch(text)
    bare = (ported[1] or ported[2]) if ported else text
    try:
        address = ip_address(bare.partition("%")[0] if ":" in bare else bare)
    except ValueError:
        return ()
    # All of them would be one network of IPv6.
    if any(address in network for network in TRANSLATED):
        return address, IPv4Address(address.packed[-4:])
    return (address,)


def ipv4_network_in(network: IPv6Network) -> IPv4Network | None:
    """The IPv4 network that is mapped, or translated, into this one, as of addresses."""
    if not any(network.subnet_of(each) for each in TRANSLATED):
        return None
    address = IPv4Address(network.network_address.packed[-4:])
    return IPv4Network((address, network.prefixlen - IPV4_IN_IPV6))


def _is_trusted(text: str) -> bool:
    """True for an address that is in one of `settings.TRUSTED_PROXIES`: as it is written, such as
    any in ::/0, or as the IPv4 address that it stands for."""
    networks = settings.TRUSTED_PROXIES
    if not networks or len(text) > LONGEST_ADDRESS:
        return False
    return any(form in network for form in _forms_of(text) for network in networks)
