"""Finds people of an account by a part of their name or address."""

from django.db.models import Q, QuerySet

from accounts.email_addresses import SURROUNDING
from accounts.models import Membership
from accounts.text.expressions import in_order

MOST_FOUND = 10
"""People that are suggested. Who has more to choose from types more."""
_BRACKETS = {")": "(", ">": "<"}


def label_of(member: Membership) -> str:
    """The person in one line, which leads back to them: "Maria Okafor (maria@example.com)"."""
    name, email = member.user.name, member.user.email
    return f"{name} ({email})" if name else email


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
    # By their keys: PostgreSQL would find all people of the portal whom the words fit.
    each = known.filter(user__pk__among=members.order_by().values("user"))
    found = each.filter(Q(user__email__ihas=text) | Q(user__name__ihas=text))
    return list(found.order_by(*in_order("user__name", "user__email"), "pk")[: MOST_FOUND + 1])


def _addresses_in(text: str) -> list[str]:
    """What may be the whole address: all of the text, or its end in brackets. An address has
    brackets itself between quotes, so the longest one that somebody has is meant."""
    opening = _BRACKETS.get(text[-1:])
    starts = [place for place, sign in enumerate(text, 1) if sign == opening]
    return [text.lower(), *(text[start:-1].strip().lower() for start in starts)]
