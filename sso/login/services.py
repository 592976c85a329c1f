"""Login with a verified assertion, including just-in-time provisioning of new members.

A provider is trusted for its own account only. It never signs in a user of another account by
claiming their address, and never an operator.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.email_addresses import known_email
from accounts.invitations.services import still_stands
from accounts.members import suspension
from accounts.members.services import join
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from accounts.validators import validate_line
from sso.connections.domains import domain_of
from sso.models import Connection, Domain, Subject, UsedAssertion
from sso.saml.errors import Refused
from sso.saml.responses import Assertion

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
DAY = timedelta(days=1)
MAX_NAME_LENGTH = 150


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


def email_of(connection: Connection, assertion: Assertion) -> str | None:
    """The e-mail address in the assertion; None unless there is exactly one valid address."""
    if connection.email_attribute:
        addresses = _attribute_values(assertion, connection.email_attribute)
    else:
        addresses = [assertion.name_id] if assertion.name_id_format == EMAIL_FORMAT else []
    return known_email(addresses[0]) if len(addresses) == 1 else None


def name_of(connection: Connection, assertion: Assertion) -> str:
    """The display name in the assertion; "" if there is none that is valid."""
    name = " ".join(_attribute_values(assertion, connection.name_attribute)).strip()
    try:
        validate_line(name)
    except ValidationError:
        return ""
    return name if len(name) <= MAX_NAME_LENGTH else ""


def role_of(connection: Connection, assertion: Assertion) -> Role:
    """The role of a new member: the highest that the assertion names, by name or ID, and that the
    settings allow; else the default role."""
    values = _attribute_values(assertion, connection.role_attribute)
    named = {role for text in values if (role := Role.find(text)) is not None}
    if not connection.may_make_administrators:
        named.discard(Role.ADMINISTRATORS)
    return min(named, key=lambda role: role.rank, default=connection.given_role)


def _attribute_values(assertion: Assertion, attribute: str) -> list[str]:
    """The values of an attribute; none if the settings name no attribute."""
    return assertion.attributes.get(attribute, []) if attribute else []


def is_authoritative_for(connection: Connection, email: str) -> bool:
    """True if an operator has approved the address's domain for exactly this connection."""
    approved = connection.domains.filter(approved_at__isnull=False)
    return approved.filter(name=domain_of(email)).exists()


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
    _refuse_operators_and_inactive(membership.user)
    _refuse_if_forced_elsewhere(connection, membership.user)
    suspension.record_sso_sign_in(
        membership=membership, by=replace(by, user=membership.user), at=at
    )
    return membership


def _linked_membership(connection: Connection, assertion: Assertion) -> Membership | None:
    subject = (
        Subject.objects.filter(connection=connection, name_id=assertion.name_id)
        .select_related("membership__user", "membership__account")
        .first()
    )
    if subject is None:
        return None
    if subject.membership.is_removed:
        raise Refused("removed")
    return subject.membership


def _link_subject(
    connection: Connection, account: Account, assertion: Assertion, *, by: Actor, at: datetime
) -> Membership:
    """Link a new NameID with an existing member, or with a new one."""
    email = email_of(connection, assertion)
    if email is None:
        raise Refused("no_email")
    if not is_authoritative_for(connection, email):
        raise Refused("domain", email=email)
    membership = _existing_member(account, email) or provision_member(
        connection, account, email, assertion, by=by, at=at
    )
    if Subject.objects.filter(membership=membership).exists():
        raise Refused("other_name", email=email)
    Subject.objects.create(
        connection=connection, name_id=assertion.name_id, membership=membership, linked_at=at
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
        _refuse_operators_and_inactive(membership.user)
    return membership


def provision_member(
    connection: Connection,
    account: Account,
    email: str,
    assertion: Assertion,
    *,
    by: Actor,
    at: datetime,
) -> Membership:
    """Create the membership of a new user, or of one who exists only because this account has
    invited them. Raises `Refused` for users of other accounts."""
    user = User.objects.filter(email=email).first()
    if user is not None:
        _refuse_operators_and_inactive(user)
        if not _is_only_invited(user):
            raise Refused("other_account", email=email)
    invitation = _valid_invitation(account, user, at)
    if invitation is None:
        _refuse_over_daily_limit(connection, email, at)
    role = invitation.given_role if invitation else role_of(connection, assertion)
    user = user or _create_user(email, name_of(connection, assertion), by=by, at=at)
    EmailAddress.objects.filter(user=user, email=email).update(verified=True)
    membership = join(account=account, user=user, role=role, at=at)
    _close_invitations(account, user, accepted=invitation, at=at)
    audit.record(
        "member.added",
        by=replace(by, user=user),
        at=at,
        account=account,
        subject=membership,
        user=user.pk,
        role=role.label,
        auth_type="sso",
    )
    return membership


def _is_only_invited(user: User) -> bool:
    """True for a user created by an invitation who has never signed in: no password, no membership
    and no verified address."""
    return not (
        user.has_usable_password()
        or user.memberships.exists()
        or EmailAddress.objects.filter(user=user, verified=True).exists()
    )


def _valid_invitation(account: Account, user: User | None, at: datetime) -> Invitation | None:
    """The account's open invitation of this user, if it is still valid."""
    waiting = Invitation.objects.open().filter(account=account, user=user)
    found = waiting.select_related("invited_by__user").first() if user else None
    return found if found and not found.is_late(at) and still_stands(found) else None


def _close_invitations(
    account: Account, user: User, *, accepted: Invitation | None, at: datetime
) -> None:
    waiting = Invitation.objects.open().filter(account=account, user=user)
    if accepted is not None:
        waiting.filter(pk=accepted.pk).update(accepted_at=at)
    waiting.update(withdrawn_at=at)


def _refuse_over_daily_limit(connection: Connection, email: str, at: datetime) -> None:
    """Limit new users per day, in case the provider misbehaves or is compromised. Invited users
    count against the invitation limit instead."""
    if not connection.takes_new_people:
        raise Refused("no_new_people", email=email)
    provisioned = Membership.objects.filter(
        account=connection.account_id, created_at__gt=at - DAY, sso_at__isnull=False
    )
    if provisioned.count() >= settings.SSO_NEW_PEOPLE_PER_DAY:
        raise Refused("no_room", email=email)


def _create_user(email: str, name: str, *, by: Actor, at: datetime) -> User:
    """Create a user without a password. The address counts as verified: an operator has approved
    the provider for its domain."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, None, name=name, date_joined=at)
    except (IntegrityError, ValidationError):
        # Another request has created the user meanwhile.
        raise Refused("other_account", email=email) from None
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    audit.record("user.created", by=by, at=at, subject=user)
    return user


def _refuse_if_forced_elsewhere(connection: Connection, user: User) -> None:
    """Refuse users whom another account forces to use its own provider: a session covers all
    accounts of the user, so that this login would bypass it."""
    others = Domain.objects.in_force().filter(
        name=domain_of(user.email),
        connection__is_forced=True,
        connection__account__in=Membership.objects.of(user).values("account"),
    )
    if others.exclude(connection=connection).exists():
        raise Refused("other_provider", email=user.email)


def _refuse_operators_and_inactive(user: User) -> None:
    if user.is_staff:
        raise Refused("operator", email=user.email)
    if not user.is_active:
        raise Refused("inactive", email=user.email)
