"""What tests of API tokens share: a portal that is served as to everybody, for those that look from
outside; and tokens that somebody has found."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from logging import DEBUG

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership
from apitokens.keys import Key
from apitokens.models import APIToken, Status
from apitokens.tokens import services as token_services
from tests.conftest import Issue
from tests.portal import Portal, served_portal


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """It has the demo's data, and tells everything it can to its log."""
    with served_portal(tmp_path_factory.mktemp("data"), LOG_LEVEL="DEBUG") as served:
        yield served


@pytest.fixture
def nothing_kept(caplog: pytest.LogCaptureFixture) -> Iterator[list[Key]]:
    """The secrets of the keys that a test puts here are found nowhere afterwards."""
    caplog.set_level(DEBUG)
    found = list[Key]()
    with CaptureQueriesContext(connection) as queries:
        yield found
    kept = [str(list(AuditEvent.objects.values())), caplog.text, str(queries.captured_queries)]
    kept += [str(session.get_decoded()) for session in Session.objects.all()]
    for key in found:
        assert not any(key.secret in each for each in kept)


@pytest.fixture
def token_with(user: Membership, issue: Issue, now: datetime) -> Callable[[Status], Key]:
    """Makes a token of the user's that has this status."""

    def make(status: Status) -> Key:
        before = now - timedelta(days=2)
        token, key = issue(user, at=before, expires_at=before + timedelta(days=9))
        match status:
            case Status.SUSPENDED:
                away = {"sso_at": before, "tokens_suspended_at": now}
                Membership.objects.filter(pk=user.pk).update(**away)
            case Status.EXPIRED:
                ended = before + timedelta(days=1)
                APIToken.objects.filter(pk=token.pk).update(expires_at=ended)
            case Status.DELETED:
                token_services.delete(token=token, by=Actor.member(user), at=now)
        return key

    return make
