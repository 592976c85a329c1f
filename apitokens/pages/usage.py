"""The page "Usage": one chart over all tokens that the reader may see, and those used most."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet, Sum
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.authorization.actor import Actor
from accounts.tenancy.decorators import MemberRequest, member_required
from apitokens.models import AccountUseDay, APIToken, TokenUseDay, TokenUseSum
from apitokens.pages.chart import DayCounts, chart, first_day
from apitokens.pages.listing import Row, row

MOST_USED = 5
CANDIDATES = 200
"""Tokens of an account whose days are added up to find those."""


class Used(NamedTuple):
    """A token among those used most."""

    row: Row
    uses: int
    refused: int


@require_safe
@never_cache
@member_required
def usage(request: MemberRequest) -> HttpResponse:
    """Usage of all tokens that the member may see."""
    context = usage_of(request.actor, at=timezone.now())
    return render(request, "apitokens/usage.html", context)


def usage_of(actor: Actor, *, at: datetime) -> dict[str, Any]:
    """The context of the page; it costs the same number of queries for any number of tokens."""
    today = at.astimezone(UTC).date()
    days = TokenUseDay.objects.filter(day__gte=first_day(today))
    by_day: Iterable[DayCounts]
    member = actor.membership
    if member is not None and actor.is_administrator_of(member.account_id):
        of_account = AccountUseDay.objects.filter(account=member.account_id)
        counts = of_account.filter(day__gte=first_day(today))
        days = days.filter(token__in=_candidates(member.account_id))
        by_day = counts.values_list("day", "count", "refused")
    else:
        days = days.filter(token__in=APIToken.objects.visible_to(actor))
        summed = days.values("day").annotate(uses=Sum("count"), refusals=Sum("refused"))
        by_day = summed.order_by().values_list("day", "uses", "refusals")
    return {"chart": chart(by_day, today=today), "most_used": _most_used(days, at=at)}


def _candidates(account_id: int) -> QuerySet[TokenUseSum, Any]:
    """The tokens of the account that were used most on all days that are kept, which is a day or
    two more than are shown."""
    most = TokenUseSum.objects.filter(account=account_id).order_by("-count", "token")
    return most.values("token")[:CANDIDATES]


def _most_used(days: QuerySet[TokenUseDay], *, at: datetime) -> list[Used]:
    by_token = days.values("token").annotate(uses=Sum("count"), refusals=Sum("refused"))
    most = by_token.filter(uses__gt=0).order_by("-uses", "token")[:MOST_USED]
    found = list(most.values_list("token", "uses", "refusals"))
    tokens = APIToken.objects.for_display().in_bulk([token_id for token_id, *_counts in found])
    return [Used(row(tokens[token_id], at=at), *counts) for token_id, *counts in found]
