"""Signal receivers: audit sign-ins that bypass SSO; unlink members who leave."""

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.audit import recorder as audit
from accounts.authorization.sso_hooks import METHOD
from accounts.models import Membership, User
from accounts.sign_in.allauth_adapter import person
from accounts.signals import member_leaving
from sso.connections.forcing import forcing_memberships
from sso.login import sso_session
from sso.models import Connection, Subject


@receiver(user_logged_in)
def audit_sso_bypass(user: User, request: HttpRequest, **_facts: Any) -> None:
    """Audit a sign-in by other means in each account that forces the user; the provider of another
    account is one."""
    records = get_authentication_records(request, user)
    if not any(record["method"] == METHOD for record in records):
        sso_session.clear(request)
    if user.is_staff:
        return
    began = sso_session.load(request.session)
    used = Connection.objects.filter(pk=began.connection_id) if began else Connection.objects.none()
    for member in forcing_memberships(user).exclude(account__in=used.values("account")):
        audit.record(
            "sso.bypassed",
            by=person(user, request),
            at=timezone.now(),
            account_id=member.account_id,
            subject=member,
        )


@receiver(member_leaving)
def unlink_subject(membership: Membership, **_facts: Any) -> None:
    """Delete the link to the provider, so that a member who is invited again is linked anew."""
    Subject.objects.filter(membership=membership).delete()
