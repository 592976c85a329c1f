"""Parses the networks of trusted proxies, and names of hosts."""

import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.core.exceptions import ImproperlyConfigured

from accounts.http.client_ip import TRANSLATED

Network = IPv4Network | IPv6Network

_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


def parse_networks(texts: list[str]) -> list[Network]:
    """Read addresses ("10.0.0.7") and networks ("10.0.0.0/8", "fd00::/8")."""
    try:
        return [_ipv4_if_translated(_network(text.strip())) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(
            "TRUSTED_PROXIES must be addresses or networks such as 127.0.0.1,10.0.0.0/8, "
            f"separated by commas ({error})."
        ) from None


def _network(text: str) -> Network:
    if "%" in text:
        raise ValueError(f"{text!r} has a zone, which addresses are compared without")
    return ip_network(text, strict=False)


def _ipv4_if_translated(network: Network) -> Network:
    """IPv4 networks that are written in IPv6: addresses are compared as IPv4."""
    if isinstance(network, IPv4Network) or not any(map(network.subnet_of, TRANSLATED)):
        return network
    first = IPv4Address(network.network_address.packed[-4:])
    return IPv4Network(f"{first}/{network.prefixlen - 96}")


def parse_allowed_hosts(texts: list[str]) -> list[str]:
    """Check names that requests may come for: a host, `.example.com` with all below it, or `*`."""
    for text in texts:
        if text != "*" and not is_site(text.removeprefix(".")):
            raise ImproperlyConfigured(
                "ALLOWED_HOSTS must be host names without scheme, port and underscores, such as "
                f"tokens.example.com, separated by commas, not {text!r}."
            )
    return [as_browsers_send(text.removesuffix(".")) for text in texts]  # as Django compares them


def parse_host(name: str, text: str) -> str:
    """Check the name or the address of a machine; `name` is the variable that it comes from."""
    if not is_host(text):
        raise ImproperlyConfigured(f"{name} must be a host name or an IP address, not {text!r}.")
    return text


def is_site(text: str) -> bool:
    """True for a host that browsers ask for and Django answers, IPv6 in brackets: without the
    underscores that DNS may have, and without a zone."""
    return is_host(text, bracketed=True) and not {"_", "%"} & set(text)


def as_browsers_send(host: str) -> str:
    """The host in the one spelling that browsers have for an IPv6 address, if it is one."""
    return f"[{IPv6Address(host[1:-1])}]" if host.startswith("[") else host


def is_host(text: str, *, bracketed: bool = False) -> bool:
    """True for a name that DNS can hold or an IP address; IPv6 in brackets if `bracketed`."""
    if ":" in text:
        inner = text.removeprefix("[").removesuffix("]") if bracketed else text
        try:
            return (not bracketed or text == f"[{inner}]") and bool(ip_address(inner))
        except ValueError:
            return False
    return len(text) <= 253 and _NAME.fullmatch(text.lower()) is not None
