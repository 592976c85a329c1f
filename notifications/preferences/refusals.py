"""Refusals of mails by addresses that are no person's, which stand for as long as the account.

The settings of who reads for a service account end when it gets another contact. A refusal does
not: the address may become the contact again, or that of another service account.
"""

from hashlib import sha256

from notifications.kinds import KINDS, Channel, Kind
from notifications.models import Refusal
from notifications.preferences.services import turn_off
from notifications.recipients import Person, readers_at


def refuse(person: Person, kind: Kind, *, address: str) -> None:
    """Turn off mails of this kind to this address, for all in the account who read there. What is
    kept is a digest of the address. Idempotent."""
    turn_off(person, kind, Channel.EMAIL)
    contacts = readers_at(person.account_id, address)
    if not contacts:
        return
    keep(person.account_id, kind, address=address)
    for contact in contacts:
        turn_off(contact, kind, Channel.EMAIL)


def keep(account_id: int, kind: Kind, *, address: str) -> None:
    """Keep that this address wants no mails of this kind from the account. Idempotent."""
    Refusal.objects.get_or_create(
        account_id=account_id, kind=kind.code, address_digest=_digest(address)
    )


def has_refused(account_id: int, kind: Kind, *, address: str) -> bool:
    """True if this address wants no mails of this kind from the account."""
    found = Refusal.objects.filter(account=account_id, kind=kind.code)
    return found.filter(address_digest=_digest(address)).exists()


def apply(person: Person, *, address: str) -> None:
    """Turn off for this reader what their new address has refused."""
    found = Refusal.objects.filter(account=person.account_id, address_digest=_digest(address))
    for code in found.values_list("kind", flat=True):
        if code in KINDS:
            turn_off(person, KINDS[code], Channel.EMAIL)


def _digest(address: str) -> str:
    """Without a key: refusals outlive SECRET_KEY."""
    return sha256(f"notifications.refusals:{address}".encode()).hexdigest()
