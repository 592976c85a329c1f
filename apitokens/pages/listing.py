"""The table of the API tokens page: rows, columns, chips of filters, pages."""

from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens.expiry.time_left import time_left
from apitokens.filters import NEWEST_FIRST, PageFilter, issuers_in_order, issuers_visible_to
from apitokens.models import APIToken, Status
from apitokens.pages.relative_times import time_ago
from apitokens.preferences import services as preferences
from apitokens.scopes.rules import summary
from apitokens.tokens import services as token_services
from apitokens.tokens.rules import MOST_AT_ONCE
from notifications.bounded_pages import MOST_COUNTED, QuerySetRows, page_of, page_range
from sso.inactivity.services import policy_of

PAGE_SIZES = (10, 25, 50, 100)
PAGE_SIZE = 25
SORTABLE = {"id", "name", "issued_by", "role", "expiration", "created", "last_usage"}
SELECTS = ("issued_by", "role", "status", "last_used", "expires", "signs_in_by")
"""The filters that have a chip; a search shows in its field."""
RARE = {"last_used", "expires", "signs_in_by"}


class Column(NamedTuple):
    """A heading: `sort_value` is what `?sort=` has to say for the next click."""

    key: str
    label: str
    sortable: bool
    sort_value: str
    aria_sort: str


class Chip(NamedTuple):
    """A filter that is set, in words; `without` is the query that takes it away."""

    parameter: str
    label: str
    value: str
    without: str


class TokenRows(QuerySetRows[APIToken]):
    """Finds a page by ids alone, and reads its rows then: sorting a hundred thousand whole rows to
    show the last of them would take several times as long."""

    def read(self, part: QuerySet[APIToken]) -> list[APIToken]:
        ids = list(part.values_list("pk", flat=True))
        found = APIToken.objects.for_display().in_bulk(ids)
        return [found[each] for each in ids if each in found]


class RowsByIssuer(TokenRows):
    """Tokens in the order of their issuers, who are few: they are sorted by themselves. Sorting the
    tokens would have the database fold the name of an issuer for each of them."""

    def __init__(self, *facts: Any, descending: bool, **named: Any) -> None:
        super().__init__(*facts, **named)
        self.descending = descending

    def count_to(self, most: int) -> int:
        return min(sum(number for _issuer, number in self._groups), most)

    def __getitem__(self, part: slice) -> list[APIToken]:
        start, size, chosen = part.start or 0, part.stop - (part.start or 0), list[int]()
        passed, reached = 0, 0
        for issuer, number in self._groups:
            if reached + number <= start:
                passed += number
            elif reached < part.stop:
                chosen.append(issuer)
            reached += number
        skipped = start - passed
        return self.read(self._of(chosen, Q())[skipped : skipped + size]) if chosen else []

    def beyond(self, key: int, size: int, *, backwards: bool) -> list[APIToken] | None:
        there = self.among.filter(pk=key).values_list("issuer", flat=True).first()
        groups = self._groups[::-1] if backwards else self._groups
        issuers = [issuer for issuer, _number in groups]
        if there not in issuers:  # no tokens of this issuer are left in the list
            return super().beyond(key, size, backwards=backwards)
        first = issuers.index(there)
        rest, found = list[int](), 0
        for issuer, number in groups[first + 1 :]:
            if found >= size:
                break
            rest.append(issuer)
            found += number
        goes_up = self.descending == backwards
        own = Q(issuer=there, pk__gt=key) if goes_up else Q(issuer=there, pk__lt=key)
        part = self._of([there, *rest], own | Q(issuer__in=rest), goes_up=goes_up)[:size]
        rows = self.read(part)
        return rows[::-1] if backwards else rows

    @cached_property
    def _groups(self) -> list[tuple[int, int]]:
        """The issuers in their order, each with the number of their tokens in the list."""
        counted = self.found.order_by().values_list("issuer").annotate(number=Count("*"))
        numbers = dict(counted)
        issuers = Membership.everyone.filter(pk__in=numbers).order_by(*issuers_in_order())
        ids = list(issuers.values_list("pk", flat=True))
        return [(each, numbers[each]) for each in (ids[::-1] if self.descending else ids)]

    def _of(
        self, issuers: list[int], condition: Q, *, goes_up: bool | None = None
    ) -> QuerySet[APIToken]:
        """The tokens of these issuers, in the order of the list of issuers."""
        if goes_up is None:
            goes_up = not self.descending
        places = Case(*(When(issuer=each, then=Value(at)) for at, each in enumerate(issuers)))
        found = self.found.filter(condition, issuer__in=issuers)
        return found.order_by(places, "pk" if goes_up else "-pk")


class Row(NamedTuple):
    """A token as one reader sees it at one moment. `expires_in` is "3 days", while it has them, and
    `last_used` "2 hours ago", if it was used; `scopes` "Read only", if it is limited to some."""

    token: APIToken
    status: Status
    scopes: str
    is_suspended: bool
    is_stopped: bool
    expires_soon: bool
    expires_in: str
    last_used: str
    issuer_removed: bool
    deleted_by: User | None
    may_delete: bool
    may_rotate: bool
    may_hand_over: bool


def listing(query: QueryDict, *, account: Account, actor: Actor, at: datetime) -> dict[str, Any]:
    """The context of the list page; it costs the same number of queries for any number of rows."""
    filterset = PageFilter(query, actor=actor, at=at)
    is_valid = filterset.is_valid()
    tokens = filterset.qs if is_valid else APIToken.objects.none()
    size = _page_size(query)
    visible = APIToken.objects.visible_to(actor)
    sort = filterset.form.cleaned_data.get("sort") or NEWEST_FIRST
    page = page_of(_rows(tokens, visible, sort), query, size=size)
    chosen = preferences.preferences_of(actor.user.pk if actor.user else 0)
    chips = _chips(filterset, query) if is_valid else []
    is_filtered = not is_valid or bool(chips) or any(query.get(name) for name in ("q", "ids"))
    rows = [row(token, at=at) for token in page]
    return {
        "rows": rows,
        "can_select": any(each.may_delete for each in rows),
        "page": page,
        "page_range": page_range(page),
        "filterset": filterset,
        "is_filtered": is_filtered,
        "is_from_notice": bool(filterset.form.cleaned_data.get("ids")),
        "chips": chips,
        "rare_chips": sum(chip.parameter in RARE for chip in chips),
        "columns": [_column(key, label, sort) for key, label in _headings(chosen)],
        "preferences": chosen,
        "column_choices": preferences.CHOICES.items(),
        "page_sizes": PAGE_SIZES,
        "page_size": size,
        "most_at_once": MOST_AT_ONCE,
        "usage": token_services.usage(account, at=at),
        "rule": (rule := policy_of(account.pk)),
        "has_sso": bool(rule.provider) or _has_sso_issuers(actor),
        "suspended": 0 if is_filtered else visible.suspended(at)[:MOST_COUNTED].count(),
        "has_tokens": bool(page.object_list) or visible.exists(),
        "is_administrator": actor.role is Role.ADMINISTRATORS,
        "person": _person(filterset),
    }


def _rows(tokens: QuerySet[APIToken], visible: QuerySet[APIToken], sort: str) -> TokenRows:
    if sort.removeprefix("-") == "issued_by":
        return RowsByIssuer(tokens, among=visible, descending=sort.startswith("-"))
    return TokenRows(tokens, among=visible)


def row(token: APIToken, *, at: datetime) -> Row:
    """One row of the table: a token that the reader may see, and so may delete."""
    status = token.status(at)
    return Row(
        token=token,
        status=status,
        scopes=summary(token.held_scopes),
        is_suspended=status is Status.SUSPENDED,
        is_stopped=token.is_stopped(at),
        expires_soon=token.expires_soon(at),
        expires_in=time_left(token.expires_at, at=at) if token.expires_at else "",
        last_used=time_ago(token.last_used_at, at=at) if token.last_used_at else "",
        issuer_removed=token.issuer.is_removed,
        deleted_by=token.deleted_by,
        may_delete=not token.is_deleted,
        may_rotate=token.status(at) is Status.ACTIVE and not token.is_suspended(at),
        may_hand_over=status in (Status.ACTIVE, Status.SUSPENDED),
    )


def sent_query(sent: QueryDict) -> str:
    """The query of the list that a form on it was sent from, to lead back there. It is whole: with
    a filter less it would stand for more tokens. (How long it can be is bounded with addresses.)"""
    rest = QueryDict(sent.get("query", ""), mutable=True)
    rest.pop("next", None)
    return f"?{rest.urlencode()}" if rest else ""


def _headings(chosen: preferences.Preferences) -> list[tuple[str, str]]:
    labels = [(key, str(preferences.CHOICES[key])) for key in chosen.columns]
    return [("name", str(_("Token name"))), *labels, ("actions", str(_("Actions")))]


def _column(key: str, label: str, sort: str) -> Column:
    current = sort.removeprefix("-") == key
    descending = sort.startswith("-")
    return Column(
        key=key,
        label=label,
        sortable=key in SORTABLE,
        sort_value=f"-{key}" if current and not descending else key,
        aria_sort=("descending" if descending else "ascending") if current else "none",
    )


def _chips(filterset: PageFilter, query: QueryDict) -> list[Chip]:
    """One for each filter that is not as it is at first."""
    cleaned, usual = filterset.form.cleaned_data, filterset.usual_status
    fields = filterset.form.fields
    return [
        Chip(
            parameter=name,
            label=str(fields[name].label),
            value=_words(fields[name], cleaned[name]),
            without=_without(name, query),
        )
        for name in SELECTS
        if cleaned[name] and not (name == "status" and cleaned[name] == usual)
    ]


def _without(name: str, query: QueryDict) -> str:
    rest = query.copy()
    for each in (name, "page", "after", "before", "next"):
        rest.pop(each, None)
    return f"?{rest.urlencode()}" if rest else ""


def _words(field: Any, value: Any) -> str:
    if isinstance(value, Membership):
        return str(field.label_from_instance(value))
    return str({str(key): words for key, words in field.choices}[value])


def _has_sso_issuers(actor: Actor) -> bool:
    return issuers_visible_to(actor).filter(sso_at__isnull=False).exists()


def _person(filterset: PageFilter) -> Membership | None:
    """The member whose tokens alone are shown, unless they have left, or are no person."""
    issuer: Membership | None = filterset.form.cleaned_data.get("issued_by")
    if issuer is None or issuer.is_removed or issuer.is_service_account:
        return None
    return issuer


def _page_size(query: QueryDict) -> int:
    wanted = query.get("page_size", "")
    return next((size for size in PAGE_SIZES if str(size) == wanted), PAGE_SIZE)
