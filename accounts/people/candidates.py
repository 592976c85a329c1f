"""Among whom a field chooses: the same people on the page, when it is sent, and in suggestions."""

from collections.abc import Mapping

from django.db.models import QuerySet

from accounts.models import Membership
from accounts.roles import Role
from accounts.text.expressions import in_order
from accounts.validators import parse_id

MEMBERS = {"among": "members"}
"""In the address that suggests: the people who are present."""


def receivers_of(role: Role, *, account_id: int) -> QuerySet[Membership]:
    """The members and service accounts that can have a token of this role; service accounts
    first."""
    strong = [each for each in Role if each.covers(role)]
    found = Membership.everyone.present().filter(
        account=account_id, role__in=strong, tokens_suspended_at=None
    )
    names = in_order("user__name", "user__email")
    return found.select_related("user").order_by("-user__is_service_account", *names, "pk")


def among_receivers(role: Role, *, without: int | None = None) -> dict[str, str]:
    """In the address that suggests: who can have a token of this role, but not this user."""
    left_out = {} if without is None else {"without": str(without)}
    return {"among": "receivers", "role": str(role.value), **left_out}


def asked_among(query: Mapping[str, str], *, account_id: int) -> QuerySet[Membership]:
    """Those among whom the address says to look: without a word of it, all who ever belonged to the
    account."""
    match query.get("among", ""):
        case "":
            return Membership.everyone.filter(account=account_id)
        case "members":
            return Membership.objects.present().filter(account=account_id)
        case "receivers" if (role := _role(query.get("role", ""))) is not None:
            found = receivers_of(role, account_id=account_id)
            return found.exclude(user=parse_id(query.get("without", "")) or 0)
    return Membership.everyone.none()


def _role(text: str) -> Role | None:
    number = parse_id(text)
    return Role(number) if number in Role.values else None
