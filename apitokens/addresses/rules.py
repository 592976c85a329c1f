"""Rules of address lists: what may stand in one, and what a token that acts may write into one."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.http.client_ip import ipv4_network_in
from apitokens.addresses.networks import Network, container_of, covers_all, without_contained

MOST = 20
LONGEST = 80
"""Characters of an address or network, with whatever is wrong about it."""
INVALID, TOO_MANY, WIDER = "invalid_address", "too_many_addresses", "wider_than_creator"

_SEPARATORS = re.compile(r"[\s,;]+")
_BRACKETS = re.compile(r"\[([^\[\]]+)\](?::[0-9]*)?")
_PORT = re.compile(r"([0-9.]+):[0-9]+")
_NOBODYS = ("0.0.0.0", "::")  # noqa: S104  # nothing listens at it


class Contained(NamedTuple):
    """An entry that was left out, and the one that covers it."""

    left_out: str
    by: str


class AddressesRead(NamedTuple):
    """A list that can be kept: its entries in the usual form, each once, none in another."""

    networks: list[Network]
    contained: list[Contained]

    @property
    def entries(self) -> list[str]:
        return list(map(written, self.networks))

    @property
    def text(self) -> str:
        """As the token's row keeps it."""
        return "\n".join(self.entries)

    @property
    def everywhere(self) -> list[str]:
        """The networks of all addresses, IPv4 or IPv6, that the list covers whole."""
        v4 = [each for each in self.networks if isinstance(each, IPv4Network)]
        v6 = [each for each in self.networks if isinstance(each, IPv6Network)]
        collapsed: list[Network] = [*collapse_addresses(v4), *collapse_addresses(v6)]
        return [str(each) for each in collapsed if each.prefixlen == 0]


def in_parts(typed: str) -> list[str]:
    """The entries of what was typed: one a line, or with commas or spaces between them."""
    return [part for part in _SEPARATORS.split(typed) if part]


def read(entries: Sequence[str]) -> AddressesRead:
    """Read the entries of a list. Raises `ValidationError` with a sentence for each mistake, also
    for an empty entry: a list of it must not be one without limits."""
    given = [entry.strip() for entry in entries]
    if len(given) > MOST:
        raise ValidationError(
            _("Enter at most %(most)d addresses and networks, not %(count)d."),
            code=TOO_MANY,
            params={"most": MOST, "count": len(given)},
        )
    found, mistakes = list[Network](), list[ValidationError]()
    for entry in given:
        try:
            found.append(_network(entry))
        except ValidationError as mistake:
            mistakes.append(mistake)
    if mistakes:
        raise ValidationError(mistakes)
    kept = without_contained(found)
    left_out = [(each, container_of(each, kept)) for each in dict.fromkeys(found)]
    contained = [Contained(written(each), written(by)) for each, by in left_out if by is not None]
    return AddressesRead(kept, contained)


def stored(text: str) -> list[Network]:
    """The networks of a list as a row has it."""
    return [ip_network(entry) for entry in text.split()]


def written(network: Network) -> str:
    """The usual form: a single address without its length."""
    is_single = network.prefixlen == network.max_prefixlen
    return str(network.network_address if is_single else network)


def wider_error(wanted: str, *, own: str) -> ValidationError | None:
    """The refusal of a list (`wanted`) beyond the `own` one of the token that acts: what it makes
    must not be good where it is not itself."""
    if not own or (wanted and covers_all(stored(own), stored(wanted))):
        return None
    return ValidationError(
        _(
            "The API token you are using is limited to addresses: %(own)s. Limit this one to them, "
            "or to some of them."
        ),
        code=WIDER,
        params={"own": ", ".join(own.split())},
    )


def _network(entry: str) -> Network:
    if len(entry) > LONGEST:
        raise _mistake(_("“%(entry)s” is too long for an IP address or network."), f"{entry[:40]}…")
    _refuse_zone_and_port(entry)
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        raise _mistake(
            _(
                "“%(entry)s” is not an IP address or network. Write it like 203.0.113.7, "
                "203.0.113.0/24 or 2001:db8::/48."
            ),
            entry,
        ) from None
    _refuse_host_bits(entry, network)
    if isinstance(network, IPv6Network):
        network = ipv4_network_in(network) or network
    if written(network) in _NOBODYS:
        raise _mistake(
            _("No one comes from “%(entry)s”. To allow all addresses, leave the list empty."), entry
        )
    return network


def _refuse_zone_and_port(entry: str) -> None:
    bare = _BRACKETS.fullmatch(entry) or _PORT.fullmatch(entry)
    if bare is not None:
        raise _mistake(
            _("Write “%(entry)s” without brackets and port: %(right)s."), entry, right=bare[1]
        )
    address, zone, _length = entry.partition("%")
    if zone:
        raise _mistake(
            _("Write “%(entry)s” without the zone: %(right)s."),
            entry,
            right=address or "2001:db8::1",
        )


def _refuse_host_bits(entry: str, network: Network) -> None:
    address = entry.partition("/")[0]
    if ip_address(address) != network.network_address:
        raise _mistake(
            _(
                "“%(entry)s” is not the beginning of a network. Write %(right)s for the network, "
                "or %(address)s for the one address."
            ),
            entry,
            right=str(network),
            address=address,
        )


def _mistake(sentence: str, entry: str, **facts: str) -> ValidationError:
    shown = entry.encode(errors="replace").decode()  # half a character fits into no answer
    return ValidationError(sentence, code=INVALID, params={"entry": shown, **facts})


def in_words(text: str) -> str:
    """A list as a row has it, for one line."""
    return ", ".join(text.split())
