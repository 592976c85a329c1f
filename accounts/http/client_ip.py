"""The IP address of the client, behind proxies too."""

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

_parsed = lru_cache(maxsize=4096)(ip_address)
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


def client_address(request: HttpRequest) -> str | None:
    """The IP address of the client: of the peer, or the one that a trusted proxy forwards.

    X-Forwarded-For is read from the right, and only as long as the sender is in
    `settings.TRUSTED_PROXIES`: anybody can write what stands further left.
    """
    claimed = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    address = _parse(request.META.get("REMOTE_ADDR", ""))
    while address and claimed and _is_trusted(address):
        further = _parse(claimed.pop())
        if further is None:
            break
        address = further
    return address


def is_trusted_peer(request: HttpRequest) -> bool:
    """True if the peer itself, whatever it forwards, is one of `settings.TRUSTED_PROXIES`."""
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    return peer is not None and _is_trusted(peer)


def network_of(address: str | None) -> str:
    """The network that rate limits take for one client: an IPv4 address, or the /64 of an IPv6
    address, in which a client has as many as it likes. Empty if the address is not known."""
    if address is None or ":" not in address:
        return address or ""
    return str(ip_network(f"{address}/64", strict=False))


@lru_cache(maxsize=4096)
def _parse(text: str) -> str | None:
    """The address in `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`."""
    text = text.strip()
    ported = _WITH_PORT.fullmatch(text)
    bare = (ported[1] or ported[2]) if ported else text
    try:
        address = ip_address(bare.partition("%")[0])  # without an IPv6 zone
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _is_trusted(address: str) -> bool:
    networks = settings.TRUSTED_PROXIES
    return bool(networks) and any(_parsed(address) in network for network in networks)
