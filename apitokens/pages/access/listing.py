"""Who and what has access to an account, and why: its members and service accounts, with what lets
them in, and the active tokens that act for them."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import F, Prefetch, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import QueryDict

from accounts.authorization import token_hooks
from accounts.models import AuditEvent, Invitation, Membership, ServiceAccount
from accounts.roles import Role
from accounts.text.expressions import in_alphabet, in_order
from apitokens.filters import RANK_OF_ROLE
from apitokens.models import APIToken
from apitokens.scopes.rules import summary

PAGE_SIZE = 25
TOKENS_SHOWN = 5
"""Of one issuer: those that were used last. A link leads to all."""

HANDED_OVER = "token.handed_over"
ROLE_GIVEN = (*("member.added", "member.role_changed", "service_account.created"),)


class Why(NamedTuple):
    """How a holder came to something: the event, by whom ("" for nobody who is known), when."""

    kind: str
    who: str
    at: datetime


class Token(NamedTuple):
    """An active token. `role` is what it may do now, and `scopes` what of that, in few words;
    `handed_over` says how its issuer got it, if the issuer did not make it."""

    token: APIToken
    role: Role
    scopes: str
    handed_over: Why | None


class Holder(NamedTuple):
    """A member or a service account, and all that gives access through it."""

    member: Membership
    since: Why
    role_given: Why | None
    service_account: ServiceAccount | None
    issues_for: list[str]
    """The names of the service accounts for which a person may issue tokens."""
    tokens: list[Token]
    number: int
    """Of the active tokens: more than are shown, perhaps."""

    @property
    def more(self) -> int:
        return self.number - len(self.tokens)


def listing(query: QueryDict, *, account_id: int, at: datetime) -> dict[str, Any]:
    """The context of the page, in the same number of queries for any number of rows. For
    Administrators: it tells of everybody."""
    present = Membership.everyone.filter(account=account_id, removed_at=None)
    everyone = (
        # By their keys: PostgreSQL would read the names of all people of the portal.
        present.filter(user__pk__among=present.values("user"))
        .select_related("user", "service_account")
        .prefetch_related("service_account__issuers__user", "service_account__contact__user")
        .prefetch_related(Prefetch("may_issue_for", ServiceAccount.objects.of(account_id)))
        .order_by(RANK_OF_ROLE.asc(), *in_order("user__name", "user__email"), "pk")
    )
    page: Page[Membership] = Paginator(everyone, PAGE_SIZE).get_page(query.get("page"))
    return {
        "holders": _holders(list(page), account_id, at),
        "page": page,
        "page_range": list(page.paginator.get_elided_page_range(page.number)),
    }


def _holders(members: list[Membership], account_id: int, at: datetime) -> list[Holder]:
    numbers = token_hooks.counts(account_id, at, [each.pk for each in members])
    given = _roles_given(members, account_id)
    invited = _invited(members, account_id)
    tokens = _tokens(members, at)
    return [
        Holder(
            member=each,
            since=invited.get(each.user_id) or Why("since", "", each.created_at),
            role_given=given.get(each.pk),
            service_account=each.service_account if each.is_service_account else None,
            issues_for=in_alphabet(service.name for service in each.may_issue_for.all()),
            tokens=tokens[each.pk],
            number=numbers.get(each.pk, 0),
        )
        for each in members
    ]


def _roles_given(members: Iterable[Membership], account_id: int) -> dict[int, Why]:
    """The latest event that gave each of them a role, by the membership: none from before they
    came back."""
    began = {each.pk: each.created_at for each in members}
    events = AuditEvent.objects.filter(
        account=account_id,
        kind__in=ROLE_GIVEN,
        subject_type="membership",
        subject_id__in=began,
    )
    ordered = events.select_related("user").order_by("at", "pk")
    given = ((event.subject_id or 0, event) for event in ordered)
    return {pk: _why(event) for pk, event in given if event.at >= began[pk]}


def _invited(members: Iterable[Membership], account_id: int) -> dict[int, Why]:
    """Who invited each of them last, by the user: not to a membership that has ended."""
    began = {each.user_id: each.created_at for each in members}
    accepted = Invitation.objects.filter(
        account=account_id,
        user__in=began,
        accepted_at__isnull=False,
    )
    return {
        invitation.user_id: Why(
            "invited",
            invitation.invited_by.user.get_full_name() if invitation.invited_by else "",
            invitation.accepted_at,
        )
        for invitation in accepted.select_related("invited_by__user").order_by("accepted_at")
        if invitation.accepted_at and invitation.accepted_at >= began[invitation.user_id]
    }


def _tokens(members: list[Membership], at: datetime) -> dict[int, list[Token]]:
    """The active tokens of each, a few of those used last."""
    by_key = {each.pk: each for each in members}
    found = list(_used_last(by_key, at))
    handed = _handed_over([token.pk for token in found])
    tokens: dict[int, list[Token]] = defaultdict(list)
    for token in found:
        role = Role.weaker(token.held_role, by_key[token.issuer_id].held_role)
        scopes = summary(token.held_scopes)
        tokens[token.issuer_id].append(Token(token, role, scopes, handed.get(token.pk)))
    return tokens


def _used_last(issuers: Iterable[int], at: datetime) -> QuerySet[APIToken]:
    last = F("last_used_at").desc(nulls_last=True)
    number = Window(RowNumber(), partition_by="issuer", order_by=[last, F("pk").asc()])
    numbered = APIToken.objects.active(at).filter(issuer__in=list(issuers)).annotate(number=number)
    return numbered.filter(number__lte=TOKENS_SHOWN).defer("digest").order_by("number")


def _handed_over(token_ids: list[int]) -> dict[int, Why]:
    events = AuditEvent.objects.filter(
        Q(subject_type="apitoken", subject_id__in=token_ids), kind=HANDED_OVER
    )
    ordered = events.select_related("user").order_by("at", "pk")
    return {event.subject_id or 0: _why(event) for event in ordered}


def _why(event: AuditEvent) -> Why:
    return Why(event.kind, event.user.get_full_name() if event.user else "", event.at)
