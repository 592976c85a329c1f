"""Just-in-time provisioning: creates the user and the membership at the first login."""

from dataclasses import replace
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.invitations.services import still_stands
from accounts.members.services import join
from accounts.models import Account, Invitation, Membership, User
from accounts.sign_in.registration import VOUCHED_FOR, discard_sign_up, is_only_invited
from sso.login.attributes import name_of, role_of
from sso.login.eligibility import refuse_operators_and_inactive
from sso.models import Connection
from sso.saml.errors import Refused
from sso.saml.responses import Assertion

DAY = timedelta(days=1)


def provision_member(
    connection: Connection,
    account: Account,
    email: str,
    assertion: Assertion,
    *,
    by: Actor,
    at: datetime,
) -> Membership:
    """Create the membership of a new user, or of one who exists only because of an invitation.

    A sign-up with the address that nobody has confirmed counts for nothing: the provider proves
    whose address it is. Raises `Refused` for users of other accounts.
    """
    user = User.objects.filter(email=email).first()
    if user is not None:
        refuse_operators_and_inactive(user)
        if discard_sign_up(user=user, why=VOUCHED_FOR, by=by, at=at):
            _set_name(user, name_of(connection, assertion))
        if not is_only_invited(user):
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


def _set_name(user: User, name: str) -> None:
    user.name = name
    user.save(update_fields=["name"])


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
