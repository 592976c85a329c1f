"""Profile → All users: the filter and the rows."""

from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import django_filters
from allauth.mfa.models import Authenticator
from django import forms
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import QueryDict
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.authorization import sso_hooks, token_hooks
from accounts.authorization.actor import Actor
from accounts.invitations.services import MOST_SENDINGS, snapshot, still_stands
from accounts.members.forms import RoleSelect
from accounts.models import Invitation, Membership
from accounts.people.search import named
from accounts.roles import Role
from accounts.sign_in.mfa import FACTORS
from accounts.text.expressions import in_order
from notifications.bounded_pages import MOST_COUNTED, QuerySetRows, page_of, page_range

PAGE_SIZES = (10, 25, 50, 100)
PAGE_SIZE = 25
MOST_INVITATIONS = 50
"""How many open invitations are listed: the newest."""

SSO, NOT_SSO = "sso", "other"
SIGN_IN_CHOICES = [(SSO, _("Single sign-on")), (NOT_SSO, _("No single sign-on"))]
"""Choices of the filter by single sign-on."""
ON, OFF = "on", "off"


def _has_factor(*types: str) -> Exists:
    return Exists(Authenticator.objects.filter(user=OuterRef("user"), type__in=types))


HAS_TWO_FACTORS = _has_factor(*FACTORS)


class Row(NamedTuple):
    """A row of the list: a member as the reader may see them."""

    member: Membership
    signs_in_by: list[str]
    has_two_factors: bool
    tokens: int
    last_sign_in: datetime | None
    is_reader: bool
    is_linked: bool
    """Whether the member is linked with a name at the account's identity provider."""


class InvitationRow(NamedTuple):
    """A row of an open invitation; `stands` says whether its inviter may still invite."""

    invitation: Invitation
    is_late: bool
    stands: bool
    can_be_sent: bool
    shown: str


def visible_members(actor: Actor) -> QuerySet[Membership]:
    """All members, also inactive ones, for Administrators; for others only themselves."""
    member = actor.membership
    assert member is not None
    present = Membership.objects.filter(account=member.account_id, removed_at=None)
    if not actor.is_administrator_of(member.account_id):
        present = present.filter(pk=member.pk)
    return present.select_related("user", "account")


class PeopleFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Filters by name and e-mail, by role, and by the way of signing in."""

    q = django_filters.CharFilter(
        label=_("Search"),
        method="search",
        max_length=255,
        widget=forms.TextInput(
            {"type": "search", "autocomplete": "off", "placeholder": _("Name or email")}
        ),
    )
    role = django_filters.ChoiceFilter(
        label=_("Role"), choices=Role.choices, empty_label=_("All roles"), widget=RoleSelect
    )
    signs_in_by = django_filters.ChoiceFilter(
        label=_("Sign-in method"),
        choices=SIGN_IN_CHOICES,
        method="filter_signs_in_by",
        empty_label=_("Any"),
    )
    two_factor = django_filters.ChoiceFilter(
        label=_("Two-factor"),
        choices=[(ON, _("On")), (OFF, _("Off"))],
        method="filter_two_factor",
        empty_label=_("Any"),
    )

    def __init__(self, query: QueryDict, *, actor: Actor) -> None:
        name = Coalesce(NullIf("user__name", Value("")), F("user__email"))
        people = visible_members(actor)
        if not query.get("q"):
            # By their keys: PostgreSQL would read the names of all people of the portal, and look
            # through all service accounts for each of them. (An index finds those with the words
            # of a search.)
            people = Membership.everyone.filter(pk__among=people.order_by().values("pk"))
        super().__init__(query, queryset=people.order_by(*in_order(name), "pk"))

    class Meta:
        model = Membership
        fields: list[str] = []

    def search(
        self, queryset: QuerySet[Membership], _name: str, value: str
    ) -> QuerySet[Membership]:
        return named(value, queryset)

    def filter_signs_in_by(
        self, queryset: QuerySet[Membership], _name: str, value: str
    ) -> QuerySet[Membership]:
        by_sso = Q(sso_at__isnull=False) | Q(is_forced=True)
        people = queryset.alias(is_forced=sso_hooks.sso_required_expression())
        return people.filter(by_sso if value == SSO else ~by_sso)

    def filter_two_factor(
        self, queryset: QuerySet[Membership], _name: str, value: str
    ) -> QuerySet[Membership]:
        return queryset.filter(HAS_TWO_FACTORS if value == ON else ~HAS_TWO_FACTORS)


class PeopleRows(QuerySetRows[Membership]):
    """Finds a page by ids alone: how people sign in is looked up for those it shows. The names of
    all are read to sort them, so they are counted by the same query."""

    @cached_property
    def _ids(self) -> list[int]:
        return list(self.found.values_list("pk", flat=True)[: MOST_COUNTED + 1])

    def count_to(self, most: int) -> int:
        return min(len(self._ids), most)

    def __getitem__(self, part: slice) -> list[Membership]:
        return self._read(self._ids[part])

    def read(self, part: QuerySet[Membership]) -> list[Membership]:
        return self._read(list(part.values_list("pk", flat=True)))

    def _read(self, ids: list[int]) -> list[Membership]:
        found = _with_sign_in(self.among.order_by()).in_bulk(ids)
        return [found[each] for each in ids if each in found]


def listing(query: QueryDict, *, actor: Actor, at: datetime) -> dict[str, Any]:
    """The context of the page, in the same number of queries for any number of people."""
    filterset = PeopleFilter(query, actor=actor)
    is_valid = filterset.is_valid()
    people = filterset.qs if is_valid else Membership.objects.none()
    size = _page_size(query)
    page = page_of(PeopleRows(people, among=visible_members(actor)), query, size=size)
    assert actor.membership is not None
    is_administrator = actor.is_administrator_of(actor.membership.account_id)
    shown = [member.pk for member in page]
    tokens = token_hooks.counts(actor.membership.account_id, at, shown)
    return {
        "rows": [_row(member, actor, tokens.get(member.pk, 0)) for member in page],
        "page": page,
        "page_range": page_range(page),
        "page_sizes": PAGE_SIZES,
        "page_size": size,
        "filterset": filterset,
        "number_set": sum(bool(query.get(name)) for name in ("role", "signs_in_by", "two_factor")),
        "is_administrator": is_administrator,
        "invitations": _invitations(actor, at) if is_administrator else [],
    }


def invitations_of(actor: Actor) -> QuerySet[Invitation]:
    """The open invitations of the account, for its Administrators."""
    member = actor.membership
    if member is None or not actor.is_administrator_of(member.account_id):
        return Invitation.objects.none()
    return (
        Invitation.objects.open()
        .filter(account=member.account_id)
        .select_related("account", "invited_by__user", "invited_by__account")
    )


def _with_sign_in(members: QuerySet[Membership]) -> QuerySet[Membership]:
    """Annotate how each member signs in."""
    return members.annotate(
        has_two_factors=HAS_TWO_FACTORS,
        has_passkeys=_has_factor(Authenticator.Type.WEBAUTHN),
        is_forced=sso_hooks.sso_required_expression(),
        is_linked=sso_hooks.linked_expression(),
    )


def _row(member: Membership, actor: Actor, tokens: int) -> Row:
    has_passkeys, has_two_factors, is_forced, is_linked = (
        getattr(member, name)
        for name in ("has_passkeys", "has_two_factors", "is_forced", "is_linked")
    )
    ways = {
        _t("Password"): member.user.has_usable_password() and not is_forced,
        _t("Passkey"): has_passkeys and not is_forced,
        _t("Single sign-on"): member.uses_sso or is_forced,
    }
    at = member.user.last_login
    return Row(
        member=member,
        signs_in_by=[way for way, is_there in ways.items() if is_there],
        has_two_factors=has_two_factors,
        tokens=tokens,
        # Sign-ins before the membership are not the account's business.
        last_sign_in=at if at is not None and at >= member.created_at else None,
        is_reader=actor.is_member(member),
        is_linked=is_linked,
    )


def _invitations(actor: Actor, at: datetime) -> list[InvitationRow]:
    newest = invitations_of(actor).order_by("-sent_at", "-pk")[:MOST_INVITATIONS]
    return [
        InvitationRow(
            invitation=each,
            is_late=each.is_late(at),
            stands=still_stands(each),
            can_be_sent=each.times_sent < MOST_SENDINGS,
            shown=snapshot(each),
        )
        for each in newest
    ]


def _page_size(query: QueryDict) -> int:
    wanted = query.get("page_size", "")
    return next((size for size in PAGE_SIZES if str(size) == wanted), PAGE_SIZE)
