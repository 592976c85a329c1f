"""What counts as a guess: the limit of an address is for those who do not have a secret."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership
from accounts.throttling.process_counters import TooMany, refusals
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.verification.authorization_header import verify_header
from apitokens.verification.refusals import Refused
from tests.conftest import Issue

pytestmark = pytest.mark.django_db

RATE = 5
OFFICE = "192.0.2.1"


@pytest.fixture(autouse=True)
def low_rate(settings: Settings) -> None:
    settings.REFUSAL_RATE = RATE


def send(text: str, at: datetime) -> str:
    """The code of the refusal, or "good"."""
    try:
        verify_header(f"APIKey {text}", at=at, address=OFFICE)
    except Refused as refused:
        return str(refused.code)
    return "good"


def delete(token: APIToken) -> None:
    APIToken.objects.filter(pk=token.pk).update(deleted_at=timezone.now())


def forget(token: APIToken) -> None:
    """As 90 days after it was deleted."""
    APIToken.objects.filter(pk=token.pk).update(deleted_at=timezone.now(), digest=None, pepper=None)


def expire(token: APIToken) -> None:
    past = timezone.now() - timedelta(days=2)
    APIToken.objects.filter(pk=token.pk).update(
        created_at=past, expires_at=past + timedelta(days=1)
    )


def deactivate_issuer(token: APIToken) -> None:
    token.issuer.user.is_active = False
    token.issuer.user.save()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (delete, "deleted"),
        (forget, "unknown"),
        (expire, "expired"),
        (deactivate_issuer, "issuer_inactive"),
    ],
)
def test_forgotten_job_with_an_ended_token_shuts_nobody_out(
    user: Membership,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    end: Callable[[APIToken], None],
    code: str,
) -> None:
    ended, key = issue(user)
    end(ended)

    assert [send(key.spell(), now) for _time in range(3 * RATE)] == [code] * 3 * RATE

    assert refusals.count(OFFICE, at=now) == 0
    assert send(issue(administrator).key.spell(), now) == "good"


@pytest.mark.parametrize("guess", ["another secret", "another id", "nonsense"])
def test_guesses_are_counted(user: Membership, issue: Issue, now: datetime, guess: str) -> None:
    key = issue(user).key
    text = {
        "another secret": Key(key.id, "0" * 64).spell(),
        "another id": Key(key.id + 1, "0" * 64).spell(),
        "nonsense": "nonsense",
    }[guess]

    for _time in range(RATE):
        assert send(text, now) in ("unknown", "malformed")

    with pytest.raises(TooMany):
        send(text, now)
