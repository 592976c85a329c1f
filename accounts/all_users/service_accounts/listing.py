"""The table of the page Service accounts."""

from datetime import datetime
from typing import Any, NamedTuple

from accounts.authorization import token_hooks
from accounts.authorization.actor import Actor
from accounts.models import ServiceAccount
from accounts.service_accounts import contacts
from accounts.service_accounts.issuing import visible_to
from accounts.text.expressions import in_alphabet, in_order


class Row(NamedTuple):
    """A service account, the names of those who look after it, and its active tokens."""

    service_account: ServiceAccount
    contact: str
    issuers: list[str]
    tokens: int
    shown: str


def listing(actor: Actor, *, at: datetime) -> dict[str, Any]:
    """The context of the page, in the same number of queries for any number of rows."""
    assert actor.membership is not None
    found = visible_to(actor).select_related("contact__user").prefetch_related("issuers__user")
    ordered = found.order_by(*in_order("membership__user__name"), "pk")
    # Of these alone: people of the account may have a hundred thousand.
    counts = token_hooks.counts(actor.membership.account_id, at, [each.pk for each in ordered])
    return {"rows": [_row(each, counts.get(each.pk, 0)) for each in ordered]}


def _row(service_account: ServiceAccount, tokens: int) -> Row:
    contact = service_account.contact
    return Row(
        service_account=service_account,
        contact=contact.user.get_full_name() if contact else service_account.contact_email,
        issuers=in_alphabet(each.user.get_full_name() for each in service_account.issuers.all()),
        tokens=tokens,
        shown=contacts.snapshot(service_account),
    )
