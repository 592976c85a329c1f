"""Finds people of an account by a part of their name or address."""

import re

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.email_addresses import SURROUNDING
from accounts.models import Membership
from accounts.tenancy.forms import name_of
from accounts.text.expressions import in_order
from accounts.validators import parse_id

MOST_FOUND = 10
"""People that are suggested. Who has more to choose from types more."""
_BRACKETS = {")": "(", ">": "<"}
_ID_AT_END = re.compile(r"(?<!\d)(\d+)\s*[)）]$")


def label_of(member: Membership) -> str:
    """The person in one line, which leads back to them: "Maria Okafor (maria@example.com)". A
    service account has no address to be told by."""
    name, email = member.user.name, member.user.email
    if member.is_service_account:
        return _("%(name)s (service account %(id)d)") % {"name": name, "id": member.user_id}
    return f"{name_of(member)} ({email})" if name else email


def named(text: str, members: QuerySet[Membership]) -> QuerySet[Membership]:
    """Those of the members whose name or address has the text in it. (Addresses first: they are
    compared in a tenth of the time.)"""
    return members.filter(Q(user__email__icontains=text) | Q(user__name__icontains=text))


def meant_by(text: str, members: QuerySet[Membership]) -> list[Membership]:
    """The one whom the text names by a whole address, alone or in brackets; else those whose name
    or address has it in it: the first of them, and one more than are suggested if there are."""
    text = text.strip(SURROUNDING)
    known = members.select_related("user")
    exact = list(known.filter(user__email__in=_addresses_in(text))) if "@" in text else []
    if exact:
        return [max(exact, key=lambda member: len(member.user.email))]
    if (user_id := _id_at_end(text)) is not None:
        labelled = known.filter(user=user_id, user__is_service_account=True).first()
        if labelled is not None and text.startswith(labelled.user.name):
            return [labelled]
    # By their keys: PostgreSQL would find all people of the portal whom the words fit.
    each = known.filter(user__pk__among=members.order_by().values("user"))
    found = each.filter(Q(user__email__ihas=text) | Q(user__name__ihas=text))
    return list(found.order_by(*in_order("user__name", "user__email"), "pk")[: MOST_FOUND + 1])


def is_whole(text: str, member: Membership) -> bool:
    """True if the text names the member as a whole, not by a part that others could have too."""
    text, user = text.strip(SURROUNDING), member.user
    if text.casefold() == user.name.casefold() or user.email in _addresses_in(text):
        return True
    return user.pk in {parse_id(text), _id_at_end(text) if user.is_service_account else None}


def _id_at_end(text: str) -> int | None:
    found = _ID_AT_END.search(text)
    return parse_id(found[1]) if found else None


def _addresses_in(text: str) -> list[str]:
    """What may be the whole address: all of the text, or its end in brackets. An address has
    brackets itself between quotes, so the longest one that a person has is meant."""
    opening = _BRACKETS.get(text[-1:])
    starts = [place for place, sign in enumerate(text, 1) if sign == opening]
    return [text.lower(), *(text[start:-1].strip().lower() for start in starts)]
