"""Login with a verified assertion, including just-in-time provisioning of new members.

A provider is trusted for its own account only. It never signs in a user of another account by
claiming their address, and never an operator.
"""

from dataclasses import replace
from datetime import datetime

from django.db import transaction

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.members import suspension
from accounts.models import Account, Membership
from sso.connections.domains import is_authoritative_for
from sso.login.attributes import email_of
from sso.login.eligibility import refuse_if_forced_elsewhere, refuse_operators_and_inactive
from sso.login.provisioning import provision_member
from sso.login.replay_protection import consume_login_assertion
from sso.models import Connection, Subject
from sso.name_ids import find_subject, is_spelling_of
from sso.saml.errors import Refused
from sso.saml.responses import Assertion


def log_in_with_assertion(
    *, connection: Connection, assertion: Assertion, by: Actor, at: datetime
) -> Membership:
    """Resolve the membership that this assertion signs in, and consume the assertion.

    The caller has verified the assertion (`responses.verify_response`) and that this browser has
    requested it. Unknown users are linked, or created if the account accepts new members. Raises
    `Refused`, with the reason in the account's audit log.
    """
    try:
        consume_login_assertion(connection=connection, assertion=assertion)
        with transaction.atomic():
            return _resolve_membership(connection, assertion, by=by, at=at)
    except Refused as refusal:
        record_refusal(
            connection=connection, refusal=refusal, by=by, at=at, name_id=assertion.name_id
        )
        raise


def record_refusal(
    *, connection: Connection, refusal: Refused, by: Actor, at: datetime, name_id: str = ""
) -> None:
    """Audit the reason, for the account's Administrators only."""
    audit.record(
        "sso.refused",
        by=by,
        at=at,
        account_id=connection.account_id,
        subject=connection,
        code=refusal.code,
        name_id=refusal.name_id or name_id,
        email=refusal.email,
    )


def _resolve_membership(
    connection: Connection, assertion: Assertion, *, by: Actor, at: datetime
) -> Membership:
    account = recheck.lock_account(connection.account_id)
    connection = Connection.objects.get(pk=connection.pk)
    if not connection.is_on or account.closed_at is not None:
        raise Refused("switched_off")
    membership = _linked_membership(connection, assertion)
    if membership is None:
        membership = _link_subject(connection, account, assertion, by=by, at=at)
    refuse_operators_and_inactive(membership.user)
    refuse_if_forced_elsewhere(connection, membership.user)
    suspension.record_sso_sign_in(
        membership=membership, by=replace(by, user=membership.user), at=at
    )
    return membership


def _linked_membership(connection: Connection, assertion: Assertion) -> Membership | None:
    subject = find_subject(connection, assertion.name_id, assertion.name_id_format)
    if subject is None:
        return None
    if subject.membership.is_removed:
        raise Refused("removed")
    if not subject.name_id_format and assertion.name_id_format:
        subject.name_id_format = assertion.name_id_format
        subject.save(update_fields=["name_id_format"])
    return subject.membership


def _link_subject(
    connection: Connection, account: Account, assertion: Assertion, *, by: Actor, at: datetime
) -> Membership:
    """Link a new NameID with an existing member, or with a new one. A linked member may come with
    another spelling of their NameID, which takes its place."""
    email = email_of(connection, assertion)
    if email is None:
        raise Refused("no_email")
    if not is_authoritative_for(connection, email):
        raise Refused("domain", email=email)
    membership = _existing_member(account, email) or provision_member(
        connection, account, email, assertion, by=by, at=at
    )
    former = Subject.objects.filter(membership=membership).first()
    if former is not None and not (
        former.connection_id == connection.pk and is_spelling_of(former, assertion.name_id)
    ):
        raise Refused("other_name", email=email)
    Subject.objects.update_or_create(
        membership=membership,
        defaults={
            "connection": connection,
            "name_id": assertion.name_id,
            "name_id_format": assertion.name_id_format,
            "linked_at": at,
        },
    )
    audit.record(
        "sso.linked",
        by=replace(by, user=membership.user),
        at=at,
        account=account,
        subject=membership,
        user=membership.user_id,
        name_id=assertion.name_id,
    )
    return membership


def _existing_member(account: Account, email: str) -> Membership | None:
    """The member with this address. Raises `Refused` for a removed member: an Administrator has
    removed them, and only an invitation brings them back."""
    found = Membership.objects.filter(account=account, user__email=email)
    membership = found.select_related("user", "account").first()
    if membership is not None and membership.is_removed:
        raise Refused("removed", email=email)
    if membership is not None:
        refuse_operators_and_inactive(membership.user)
    return membership
