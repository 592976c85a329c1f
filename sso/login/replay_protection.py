"""Replay protection: a message is accepted once (assertions: SAML 2.0 profiles 4.1.4.5)."""

from datetime import datetime

from django.db import IntegrityError, transaction

from sso.models import Connection, UsedAssertion
from sso.saml.errors import Refused
from sso.saml.responses import Assertion


def consume_login_assertion(*, connection: Connection, assertion: Assertion) -> None:
    """Consume an assertion whose response is signed as it was in the dry run. Raises `Refused`.

    Where the response was signed then, a response without that signature is refused: it covers
    Destination and InResponseTo, so that stripping it is an attack."""
    if connection.signs_messages and not assertion.message_is_signed:
        raise Refused("unsigned_response")
    consume_assertion(
        connection=connection, message_id=assertion.assertion_id, until=assertion.ends_at
    )


def consume_assertion(*, connection: Connection, message_id: str, until: datetime) -> None:
    """Mark a message as used, whatever the outcome. Raises `Refused` if it was used before.

    The unique constraint decides between concurrent requests. The row is kept `until` the message
    expires."""
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(
                connection=connection,
                assertion_id=message_id,
                forget_at=until,
            )
    except IntegrityError:
        raise Refused("replayed") from None


def delete_expired_assertions(*, at: datetime) -> int:
    """Delete the rows of expired messages. Idempotent."""
    deleted, _by_model = UsedAssertion.objects.filter(forget_at__lte=at).delete()
    return deleted
