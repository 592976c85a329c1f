"""Tells whether an address is in a token's list. Pure, and quick: verification asks each time."""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_IPV4 = 1 << 128
"""Added to the number of an IPv4 address, so that none is that of an IPv6 address."""


MOST_COVERED = 16
"""Addresses that a list remembers to allow. It is read anew each second."""


class AddressList:
    """The addresses and networks of a token, as its row has them: one a line, in the usual form.

    They are read when the first is asked about, and not before: who does not have the secret must
    not be able to tell from the time whether there is a list.
    """

    __slots__ = ("_covered", "_firsts", "_lasts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._covered: set[str] = set()
        self._firsts: list[int] | None = None
        self._lasts: list[int] = []

    def covers(self, address: str | None) -> bool:
        """True if the address is in the list; one that is not known never is."""
        if address is None:
            return False
        if address in self._covered:  # a token is mostly used by a few servers
            return True
        firsts = self._firsts
        if firsts is None:
            firsts = self._read()
        number = _number(address)
        place = bisect_right(firsts, number)
        if place == 0 or number > self._lasts[place - 1]:
            return False
        if len(self._covered) < MOST_COVERED:
            self._covered.add(address)
        return True

    def _read(self) -> list[int]:
        ranges = sorted(map(_range, without_contained(map(ip_network, self.text.split()))))
        # In this order: another thread that sees the first of both must find the second, too.
        self._lasts = [last for _first, last in ranges]
        self._firsts = [first for first, _last in ranges]
        return self._firsts


def without_contained(networks: Iterable[Network]) -> list[Network]:
    """The networks in their order, without those that lie in another one, or stood before."""
    found = list(dict.fromkeys(networks))
    return [each for each in found if not any(_contains(other, each) for other in found)]


def covers_all(wide: Iterable[Network], narrow: Iterable[Network]) -> bool:
    """True if each of the `narrow` networks lies in, or is, one of the `wide` ones."""
    known = list(wide)
    return all(any(each == other or _contains(other, each) for other in known) for each in narrow)


def container_of(network: Network, networks: Iterable[Network]) -> Network | None:
    """The widest of the networks in which this one lies."""
    found = (each for each in networks if _contains(each, network))
    return min(found, key=lambda each: each.prefixlen, default=None)


def _contains(wide: Network, narrow: Network) -> bool:
    """True if it lies in the other one, and is less."""
    if isinstance(wide, IPv4Network):
        return isinstance(narrow, IPv4Network) and wide != narrow and narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and wide != narrow and narrow.subnet_of(wide)


@lru_cache(maxsize=4096)
def _number(address: str) -> int:
    """The number of an address in the form that `accounts.http.client_ip` gives it."""
    read = ip_address(address)
    return int(read) + _IPV4 if read.version == 4 else int(read)


def _range(network: Network) -> tuple[int, int]:
    base = _IPV4 if network.version == 4 else 0
    return int(network.network_address) + base, int(network.broadcast_address) + base
