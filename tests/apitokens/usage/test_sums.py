"""Sums of uses: always what the days of the tokens add up to."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership
from apitokens.models import AccountUseDay, APIToken, TokenUseDay, TokenUseSum
from apitokens.usage import store, sums
from apitokens.usage.store import Use, store_usage
from tests.conftest import Issue
from tests.factories import AccountFactory, MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=40)


@pytest.fixture
def tokens(user: Membership, issue: Issue) -> list[APIToken]:
    """Two tokens of one account, and one of another."""
    stranger = MembershipFactory.create(account=AccountFactory.create())
    return [issue(each, at=LONG_AGO - timedelta(days=1)).token for each in (user, user, stranger)]


def used(token: APIToken, at: datetime, times: int, refused: int = 0) -> Use:
    return Use(token.pk, None, at, at, times, refused)


def assert_sums_are_right() -> None:
    by_day = TokenUseDay.objects.order_by("token__account", "day").values_list(
        "token__account", "day"
    )
    days = by_day.annotate(uses=Sum("count"), refusals=Sum("refused"))
    kept = AccountUseDay.objects.order_by("account", "day")
    assert list(kept.values_list("account", "day", "count", "refused")) == list(days)
    by_token = TokenUseDay.objects.order_by("token").values_list("token", "token__account")
    tokens = by_token.annotate(uses=Sum("count")).filter(uses__gt=0)
    kept_of_tokens = TokenUseSum.objects.order_by("token")
    assert list(kept_of_tokens.values_list("token", "account", "count")) == list(tokens)


def test_every_use_and_refusal_is_in_the_sums(tokens: list[APIToken]) -> None:
    one, other, foreign = tokens
    store_usage([used(one, NOON, 3), used(other, NOON, 4), used(foreign, NOON, 5)])
    store_usage([used(one, NOON, 0, refused=2), used(one, NOON - timedelta(days=1), 7)])

    assert_sums_are_right()
    today = AccountUseDay.objects.get(account=one.account_id, day=NOON.date())
    assert (today.count, today.refused) == (7, 2)
    assert TokenUseSum.objects.get(token=one).count == 10


def test_days_that_are_forgotten_leave_the_sums(tokens: list[APIToken]) -> None:
    one, other, _foreign = tokens
    store_usage([used(one, LONG_AGO, 9), used(one, NOON, 1), used(other, LONG_AGO, 8)])

    assert store.forget(at=NOON) == 2

    assert_sums_are_right()
    assert TokenUseSum.objects.get().count == 1


def test_many_tokens_are_forgotten_in_parts(
    tokens: list[APIToken], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "TOKENS_AT_ONCE", 1)
    store_usage([used(token, LONG_AGO, 2) for token in tokens])

    with CaptureQueriesContext(connection) as queries:
        assert store.forget(at=NOON) == 3

    # Each part is looked for behind the one before, and walks nothing that was deleted.
    looked_for = [each["sql"] for each in queries if each["sql"].startswith("SELECT DISTINCT")]
    behind = [int(found) for sql in looked_for for found in re.findall(r'"token_id" > (\d+)', sql)]
    assert behind == [0, *sorted(token.pk for token in tokens)]
    assert not TokenUseSum.objects.exists()
    assert not AccountUseDay.objects.exists()


def test_what_the_release_before_has_counted_is_in_the_sums_the_day_after(
    tokens: list[APIToken],
) -> None:
    one, other, _foreign = tokens
    store_usage([used(one, NOON, 3)])
    TokenUseDay.objects.create(token=other, day=NOON.date(), count=4, refused=1)

    store.forget(at=NOON + timedelta(days=1))

    day = AccountUseDay.objects.get()
    assert (day.count, day.refused) == (7, 1)


def test_sum_that_is_higher_meanwhile_stays(tokens: list[APIToken]) -> None:
    store_usage([used(tokens[0], NOON, 3)])
    AccountUseDay.objects.update(count=5)

    store.forget(at=NOON + timedelta(days=1))

    assert AccountUseDay.objects.get().count == 5
