"""Parses the networks of trusted proxies."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from django.core.exceptions import ImproperlyConfigured

Network = IPv4Network | IPv6Network


def parse_networks(texts: list[str]) -> list[Network]:
    """Read addresses ("10.0.0.7") and networks ("10.0.0.0/8", "fd00::/8")."""
    try:
        return [_ipv4_if_mapped(ip_network(text.strip(), strict=False)) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(
            "TRUSTED_PROXIES must be addresses or networks such as 127.0.0.1,10.0.0.0/8, "
            f"separated by commas ({error})."
        ) from None


def _ipv4_if_mapped(network: Network) -> Network:
    """IPv4 networks that are mapped into IPv6: addresses are compared as IPv4."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ip_network(f"{mapped}/{network.prefixlen - 96}")
