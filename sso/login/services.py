"""The verb of coming in through an account's identity provider: whom to believe, and as whom.

The provider speaks for its account and for nobody else. It never signs in a user of another account
who happens to have the address that it claims, and never an operator.
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
LONGEST_NAME = 150


def log_in_with_assertion(
    *, connection: Connection, assertion: Assertion, by: Actor, at: datetime
) -> Membership:
    """Who may come in by this assertion, which `responses.read` has made and this browser asked
    for.

    Links them, and makes them first if they are new and the account takes new people. It lets
    somebody in once. Raises `Refused`; the reason is in the account's audit log then.
    """
    try:
        take(connection=connection, assertion=assertion)
        with transaction.atomic():
            return _resolve_membership(connection, assertion, by=by, at=at)
    except Refused as refusal:
        refuse(connection=connection, refusal=refusal, by=by, at=at, name_id=assertion.name_id)
        raise


def take(*, connection: Connection, assertion: Assertion) -> None:
    """Use up an assertion that is signed as the provider's answer to the test was: where it signs
    messages, too, taking such a signature away gains nothing. Raises `Refused`."""
    if connection.signs_messages and not assertion.message_is_signed:
        raise Refused("unsigned_response")
    consume_assertion(
        connection=connection, message_id=assertion.assertion_id, until=assertion.ends_at
    )


def consume_assertion(*, connection: Connection, message_id: str, until: datetime) -> None:
    """Use up what the provider has said, which is believed `until` then, whatever comes of it.
    Raises `Refused` if it was used before."""
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(
                connection=connection,
                assertion_id=message_id,
                forget_at=until,
            )
    except IntegrityError:
        raise Refused("replayed") from None


def forget(*, at: datetime) -> int:
    """Drop assertions that nobody would believe any more. Dull when run twice."""
    dropped, _by_model = UsedAssertion.objects.filter(forget_at__lte=at).delete()
    return dropped


def refuse(
    *, connection: Connection, refusal: Refused, by: Actor, at: datetime, name_id: str = ""
) -> None:
    """Keep the reason where the account's Administrators can read it, and nobody else."""
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
    """The address that the provider says the person has; None if it says none that can be one."""
    if connection.email_attribute:
        said = _values(assertion, connection.email_attribute)
    else:
        said = [assertion.name_id] if assertion.name_id_format == EMAIL_FORMAT else []
    return known_email(said[0]) if len(said) == 1 else None


def name_of(connection: Connection, assertion: Assertion) -> str:
    """What to call the person; "" if the provider does not say, or not in one line."""
    said = " ".join(_values(assertion, connection.name_attribute)).strip()
    try:
        validate_line(said)
    except ValidationError:
        return ""
    return said if len(said) <= LONGEST_NAME else ""


def role_of(connection: Connection, assertion: Assertion) -> Role:
    """What somebody new becomes: the strongest role that the provider names, by name or id, and
    that may be given; else the account's choice."""
    said = _values(assertion, connection.role_attribute)
    named = {role for text in said if (role := Role.find(text)) is not None}
    if not connection.may_make_administrators:
        named.discard(Role.ADMINISTRATORS)
    return min(named, key=lambda role: role.rank, default=connection.given_role)


def _values(assertion: Assertion, attribute: str) -> list[str]:
    """What the provider says there; nothing where the settings name no attribute."""
    return assertion.attributes.get(attribute, []) if attribute else []


def speaks_for(connection: Connection, email: str) -> bool:
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
    membership = _linked(connection, assertion)
    if membership is None:
        membership = _link(connection, account, assertion, by=by, at=at)
    _refuse_operators_and_inactive(membership.user)
    _refuse_forced_elsewhere(connection, membership.user)
    suspension.record_sso_sign_in(
        membership=membership, by=replace(by, user=membership.user), at=at
    )
    return membership


def _linked(connection: Connection, assertion: Assertion) -> Membership | None:
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


def _link(
    connection: Connection, account: Account, assertion: Assertion, *, by: Actor, at: datetime
) -> Membership:
    """Link a name that the provider says for the first time with a member, or somebody new."""
    email = email_of(connection, assertion)
    if email is None:
        raise Refused("no_email")
    if not speaks_for(connection, email):
        raise Refused("domain", email=email)
    membership = _member(account, email) or _new_member(
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


def _member(account: Account, email: str) -> Membership | None:
    """The member with this address. Raises `Refused` for who was removed: an Administrator has
    decided that, and no provider undoes it."""
    found = Membership.objects.filter(account=account, user__email=email)
    membership = found.select_related("user", "account").first()
    if membership is not None and membership.is_removed:
        raise Refused("removed", email=email)
    if membership is not None:
        _refuse_operators_and_inactive(membership.user)
    return membership


def _new_member(
    connection: Connection,
    account: Account,
    email: str,
    assertion: Assertion,
    *,
    by: Actor,
    at: datetime,
) -> Membership:
    """Somebody who is nobody yet, or who is here only because this account has invited them."""
    user = User.objects.filter(email=email).first()
    if user is not None:
        _refuse_operators_and_inactive(user)
        if not _is_only_invited(user):
            raise Refused("other_account", email=email)
    invitation = _invitation(account, user, at)
    if invitation is None:
        _refuse_without_room(connection, email, at)
    role = invitation.given_role if invitation else role_of(connection, assertion)
    user = user or _make_user(email, name_of(connection, assertion), by=by, at=at)
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
    """True for somebody made by an invitation whom nobody has signed in as ever: no password, no
    account, no proof that the address is theirs."""
    return not (
        user.has_usable_password()
        or user.memberships.exists()
        or EmailAddress.objects.filter(user=user, verified=True).exists()
    )


def _invitation(account: Account, user: User | None, at: datetime) -> Invitation | None:
    """The one of this account that is good still."""
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


def _refuse_without_room(connection: Connection, email: str, at: datetime) -> None:
    """An account has room for so many new people a day: a provider that has gone mad, or was taken
    over, must not fill the portal with people. Who was invited is counted there."""
    if not connection.takes_new_people:
        raise Refused("no_new_people", email=email)
    arrived = Membership.objects.filter(
        account=connection.account_id, created_at__gt=at - DAY, sso_at__isnull=False
    )
    if arrived.count() >= settings.SSO_NEW_PEOPLE_PER_DAY:
        raise Refused("no_room", email=email)


def _make_user(email: str, name: str, *, by: Actor, at: datetime) -> User:
    """Without a password. The address is taken as proven: an operator lets this provider speak for
    its domain."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, None, name=name, date_joined=at)
    except (IntegrityError, ValidationError):
        # Another account made them at this very moment.
        raise Refused("other_account", email=email) from None
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    audit.record("user.created", by=by, at=at, subject=user)
    return user


def _refuse_forced_elsewhere(connection: Connection, user: User) -> None:
    """Who is in, is in all their accounts: one account's provider is no way around another's that
    has to be taken."""
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
