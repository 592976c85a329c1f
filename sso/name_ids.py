"""Whose a NameID is: compared exactly, but for addresses, whose case says nothing.

Providers change how they write an address, as when a person's entry is edited. That must not lock
the person out, and must not make two people one either. So what is exactly the same comes first;
else an address finds another spelling of itself only if there is one, and only where that was sent
as an address too. A persistent NameID (Core 8.3.7) may differ from another by its case alone: it
takes the member's own address, vouched for beside it, to tell that a spelling is theirs.
"""

import unicodedata

from accounts.email_addresses import known_email
from sso.models import Connection, Subject

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"


def find_subject(connection: Connection, name_id: str, name_format: str) -> Subject | None:
    """The subject of this NameID, with the member and their user; None if there is none."""
    subjects = Subject.objects.filter(connection=connection).select_related(
        "membership__user", "membership__account"
    )
    exact = subjects.filter(name_id=name_id).first()
    address = _address(name_id, name_format)
    if exact is not None or address is None:
        return exact
    spellings = [
        each
        for each in subjects.filter(name_id__iexact=address)
        if known_email(each.name_id) == address
    ]
    return spellings[0] if len(spellings) == 1 and _is_address(spellings[0], address) else None


def is_same(name_id: str, name_format: str, other: str, other_format: str) -> bool:
    """True if both NameIDs are one person's at one provider."""
    address = _address(name_id, name_format)
    return name_id == other or (address is not None and address == _address(other, other_format))


def is_spelling_of(subject: Subject, name_id: str) -> bool:
    """True if the NameID is the subject's but for case, surrounding space and composition, and no
    other subject's at this provider. The caller has found the member by their vouched address."""
    names = Subject.objects.filter(connection=subject.connection_id).values_list("name_id")
    same = [each for (each,) in names.iterator() if _folded(each) == _folded(name_id)]
    return same == [subject.name_id]


def _folded(name_id: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name_id.strip()).lower())


def _address(name_id: str, name_format: str) -> str | None:
    """The address that this NameID is, in the portal's one spelling; None if it is none."""
    return known_email(name_id) if name_format == EMAIL_FORMAT else None


def _is_address(subject: Subject, address: str) -> bool:
    """True if the subject's NameID was sent as an address. Where that is not known (the link is
    older than this question), the member's own address has to be the same."""
    return subject.name_id_format == EMAIL_FORMAT or (
        not subject.name_id_format and subject.membership.user.email == address
    )
