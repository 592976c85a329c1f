"""The table of the API tokens page: rows, columns, pages."""

from datetime import datetime
from typing import Any, NamedTuple

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils.timesince import timeuntil
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import Actor
from accounts.models import Account, User
from accounts.roles import Role
from apitokens.filters import NEWEST_FIRST, PageFilter
from apitokens.models import APIToken, APITokenQuerySet, Status
from apitokens.tokens import services as token_services
from sso.inactivity.services import policy_of

PAGE_SIZES = (10, 25, 50, 100)
PAGE_SIZE = 25

COLUMNS = [
    ("id", _("ID")),
    ("name", _("Token name")),
    ("issued_by", _("Issued by")),
    ("role", _("Role")),
    ("status", _("Status")),
    ("expiration", _("Expiration")),
    ("description", _("Description")),
    ("created", _("Created")),
    ("last_usage", _("Last usage")),
    ("actions", _("Actions")),
]
UNSORTABLE = {"status", "description", "actions"}


class Column(NamedTuple):
    """A heading: `sort_value` is what `?sort=` has to say for the next click."""

    key: str
    label: str
    sortable: bool
    sort_value: str
    aria_sort: str


class TokenPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Finds a page by ids alone, and reads its rows then: sorting a hundred thousand whole rows to
    show the last of them would take several times as long."""

    def _get_page(
        self, found: APITokenQuerySet, number: int, paginator: "TokenPaginator"
    ) -> "Page[APIToken]":
        rows = APIToken.objects.filter(pk__in=found.values("pk")).for_display()
        return Page(rows.order_by(*found.query.order_by), number, paginator)


class Row(NamedTuple):
    """A token as one reader sees it at one moment. `expires_in` is "3 days", while it has them."""

    token: APIToken
    status: Status
    is_suspended: bool
    expires_soon: bool
    expires_in: str
    issuer_removed: bool
    deleted_by: User | None
    may_delete: bool
    may_rotate: bool


def listing(query: QueryDict, *, account: Account, actor: Actor, at: datetime) -> dict[str, Any]:
    """The context of the list page; it costs the same number of queries for any number of rows."""
    filterset = PageFilter(query, actor=actor, at=at)
    is_valid = filterset.is_valid()
    tokens = filterset.qs if is_valid else APIToken.objects.none()
    size = _page_size(query)
    page: Page[APIToken] = TokenPaginator(tokens, size).get_page(query.get("page"))
    sort = filterset.form.cleaned_data.get("sort") or NEWEST_FIRST
    return {
        "rows": [row(token, at=at) for token in page],
        "page": page,
        "page_range": list(page.paginator.get_elided_page_range(page.number)),
        "filterset": filterset,
        "is_filtered": not is_valid or _is_filtered(query),
        "is_from_notice": bool(filterset.form.cleaned_data.get("ids")),
        "columns": [_column(key, str(label), sort) for key, label in COLUMNS],
        "page_sizes": PAGE_SIZES,
        "page_size": size,
        "usage": token_services.usage(account, at=at),
        "rule": policy_of(account.pk),
        "has_tokens": bool(page.object_list) or APIToken.objects.visible_to(actor).exists(),
        "is_administrator": actor.role is Role.ADMINISTRATORS,
    }


def row(token: APIToken, *, at: datetime) -> Row:
    """One row of the table: a token that the reader may see, and so may delete."""
    return Row(
        token=token,
        status=token.status(at),
        is_suspended=token.is_suspended(at),
        expires_soon=token.expires_soon(at),
        expires_in=timeuntil(token.expires_at, at, depth=1) if token.expires_at else "",
        issuer_removed=token.issuer.is_removed,
        deleted_by=token.deleted_by,
        may_delete=not token.is_deleted,
        may_rotate=token.status(at) is Status.ACTIVE and not token.is_suspended(at),
    )


def _column(key: str, label: str, sort: str) -> Column:
    current = sort.removeprefix("-") == key
    descending = sort.startswith("-")
    return Column(
        key=key,
        label=label,
        sortable=key not in UNSORTABLE,
        sort_value=f"-{key}" if current and not descending else key,
        aria_sort=("descending" if descending else "ascending") if current else "none",
    )


def _page_size(query: QueryDict) -> int:
    wanted = query.get("page_size", "")
    return next((size for size in PAGE_SIZES if str(size) == wanted), PAGE_SIZE)


def _is_filtered(query: QueryDict) -> bool:
    asks = any(query.get(name) for name in ("issued_by", "signs_in_by", "role", "q", "ids"))
    return asks or (query.get("status") or Status.ACTIVE) != Status.ACTIVE
