"""Verifier keys: made and deleted by operators, stored as tokens are."""

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core import checks
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import VerifierKey
from apitokens.tokens import services as token_services
from apitokens.verification import verifier_keys
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verifier_keys import (
    authenticate_verifier,
    delete_verifier,
    issue_verifier,
)

pytestmark = [pytest.mark.both, pytest.mark.django_db]

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def key(now: datetime) -> Key:
    return issue_verifier(name="Video storage", by=OPERATOR, at=now).key


def told(key: Key | str, at: datetime) -> Refusal:
    with pytest.raises(Refused) as refused:
        authenticate_verifier(presented=key if isinstance(key, str) else key.spell("_"), at=at)
    assert refused.value.sentence
    return refused.value.code


def test_key_is_authenticated(key: Key, now: datetime) -> None:
    assert authenticate_verifier(presented=key.spell("_"), at=now).id == key.id


def test_key_reads_unlike_a_token(key: Key) -> None:
    text = key.spell("_")
    assert text.startswith("verifier_")
    for part in (text, text.removeprefix("verifier_")):
        with pytest.raises(keys.Malformed):
            keys.parse(part)


def test_token_is_malformed_as_a_verifier_key(now: datetime) -> None:
    token = keys.make(5)
    assert told(token.spell("_"), now) is Refusal.MALFORMED
    assert told(f"verifier_{token.spell('_')}", now) is Refusal.MALFORMED


def test_secret_is_not_stored(key: Key, settings: Settings) -> None:
    row = VerifierKey.objects.get()
    assert bytes(row.digest or b"") == keys.digest(key, settings.TOKEN_PEPPERS[row.pepper or 0])
    assert key.secret not in repr(VerifierKey.objects.values().get())
    assert key.secret not in repr(key)


def test_secret_is_blacked_out_wherever_it_is_written(key: Key) -> None:
    assert key.secret not in keys.redact(f"Bearer {key.spell('_')}")


def test_unknown_id_and_wrong_secret_are_unknown(key: Key, now: datetime) -> None:
    assert told(Key(key.id, "0" * 64, keys.VERIFIER), now) is Refusal.UNKNOWN
    assert told(keys.make(5, keys.VERIFIER), now) is Refusal.UNKNOWN


def test_unknown_id_costs_as_much_work_as_a_wrong_secret(key: Key, now: datetime) -> None:
    costs = []
    for wrong in (Key(key.id, "0" * 64, keys.VERIFIER), keys.make(5, keys.VERIFIER)):
        with (
            CaptureQueriesContext(connection) as queries,
            patch("apitokens.keys.digest", wraps=keys.digest) as digest,
        ):
            assert told(wrong, now) is Refusal.UNKNOWN
        costs.append((len(queries), digest.call_count))
    assert costs == [(1, 2), (1, 2)]


def test_deleted_key_stops_at_once_and_is_told_so(key: Key, now: datetime) -> None:
    assert delete_verifier(verifier=VerifierKey.objects.get(), by=OPERATOR, at=now)
    assert told(key, now) is Refusal.DELETED


def test_deletion_is_idempotent(key: Key, now: datetime) -> None:
    verifier = VerifierKey.objects.get()
    assert delete_verifier(verifier=verifier, by=OPERATOR, at=now)
    assert not delete_verifier(verifier=verifier, by=OPERATOR, at=now)
    assert AuditEvent.objects.filter(kind="verifier.deleted").count() == 1


def test_digest_of_a_deleted_key_goes_after_90_days(key: Key, now: datetime) -> None:
    delete_verifier(verifier=VerifierKey.objects.get(), by=OPERATOR, at=now)
    later = now + timedelta(days=90)
    token_services.forget_digests(by=Actor.operator(through=EntryPoint.SYSTEM), at=later)
    assert told(key, later) is Refusal.UNKNOWN
    with pytest.raises(Refused) as refused:
        authenticate_verifier(presented=key.spell("_"), at=later)
    assert not refused.value.is_guess
    with pytest.raises(Refused) as refused:
        authenticate_verifier(presented=keys.make(1, keys.VERIFIER).spell("_"), at=later)
    assert refused.value.is_guess
    assert refused.value.sentence == "This verifier key doesn't exist."


def test_making_and_deleting_is_on_the_record(key: Key, now: datetime) -> None:
    delete_verifier(verifier=VerifierKey.objects.get(), by=OPERATOR, at=now)
    told = AuditEvent.objects.order_by("pk").values_list("kind", "subject_id")
    assert list(told) == [("verifier.issued", key.id), ("verifier.deleted", key.id)]


def test_members_and_tokens_make_and_delete_none(
    administrator: Membership, key: Key, now: datetime
) -> None:
    member = Actor.member(administrator)
    with pytest.raises(PermissionDenied):
        issue_verifier(name="Mine", by=member, at=now)
    with pytest.raises(PermissionDenied):
        delete_verifier(verifier=VerifierKey.objects.get(), by=member, at=now)
    assert authenticate_verifier(presented=key.spell("_"), at=now)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 256])
def test_name_that_is_none_is_refused(name: str, now: datetime) -> None:
    with pytest.raises(ValidationError):
        issue_verifier(name=name, by=OPERATOR, at=now)
    assert not VerifierKey.objects.exists()


def test_use_is_written_down_once_a_minute(key: Key, now: datetime) -> None:
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    authenticate_verifier(presented=key.spell("_"), at=noon, address="192.0.2.1")
    authenticate_verifier(
        presented=key.spell("_"), at=noon + timedelta(seconds=59), address="192.0.2.2"
    )
    row = VerifierKey.objects.get()
    assert (row.last_used_at, row.last_used_address) == (noon, "192.0.2.1")


def test_wrong_secrets_do_not_keep_the_use_of_the_right_one_from_being_written_down(
    memory: None, key: Key, now: datetime
) -> None:
    assert told(Key(key.id, "0" * 64, keys.VERIFIER), now) is Refusal.UNKNOWN
    authenticate_verifier(presented=key.spell("_"), at=now)
    assert VerifierKey.objects.get().last_used_at == now


def test_last_use_never_goes_back(key: Key, now: datetime) -> None:
    later = now + timedelta(minutes=1)

    def read_and_be_overtaken(verifier_id: int) -> Any:
        known = look_up(verifier_id)
        VerifierKey.objects.update(last_used_at=later)
        return known

    look_up = verifier_keys._look_up
    with patch.object(verifier_keys, "_look_up", read_and_be_overtaken):
        authenticate_verifier(presented=key.spell("_"), at=now)
    assert VerifierKey.objects.get().last_used_at == later


def test_use_that_cannot_be_written_down_is_logged_and_does_not_matter(
    key: Key, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    with patch("django.db.models.query.QuerySet.update", side_effect=DatabaseError("full")):
        assert authenticate_verifier(presented=key.spell("_"), at=now)
    (record,) = caplog.records
    assert record.name == "apitokens.verification.verifier_keys"
    assert record.getMessage() == f"The use of verifier key {key.id} was not written down."


def test_old_pepper_moves_over_at_the_next_use(key: Key, now: datetime, settings: Settings) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32, **settings.TOKEN_PEPPERS}
    authenticate_verifier(presented=key.spell("_"), at=now)
    settings.TOKEN_PEPPERS = {7: b"n" * 32}
    assert authenticate_verifier(presented=key.spell("_"), at=now)


def test_pepper_that_a_key_depends_on_is_missed(key: Key, settings: Settings) -> None:
    settings.TOKEN_PEPPERS = {7: b"n" * 32}
    found = checks.run_checks(databases=["default"])
    assert "apitokens.E001" in [message.id for message in found]
    assert told(key, datetime.now().astimezone()) is Refusal.UNKNOWN


def test_key_in_memory_costs_no_query(memory: None, key: Key, now: datetime) -> None:
    authenticate_verifier(presented=key.spell("_"), at=now)
    with CaptureQueriesContext(connection) as queries:
        assert authenticate_verifier(presented=key.spell("_"), at=now).id == key.id
    assert not queries.captured_queries


def test_damaged_text_costs_no_query(now: datetime) -> None:
    with CaptureQueriesContext(connection) as queries:
        for text in (
            "",
            "verifier_",
            "verifier_5",
            "x" * 5000,
            "\0",
            "é",
            "verifier_1_" + "0" * 72,
        ):
            assert told(text, now) is Refusal.MALFORMED
    assert not queries.captured_queries


def test_command_prints_the_key_alone_on_the_standard_output(
    capsys: pytest.CaptureFixture[str], now: datetime
) -> None:
    call_command("issue_verifier", "Video storage")
    printed = capsys.readouterr()
    key = printed.out.strip()
    assert (
        authenticate_verifier(presented=key, at=now).id
        == VerifierKey.objects.get(name="Video storage").pk
    )
    assert key not in printed.err
