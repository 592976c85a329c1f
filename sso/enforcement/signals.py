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
from accounts.sign_in.adapter import person
from accounts.signals import member_leaving
from sso.enforcement.services import forcing
from sso.login import sso_session
from sso.models import Subject


@receiver(user_logged_in)
def record_bypass(user: User, request: HttpRequest, **_facts: Any) -> None:
    """Record a sign-in by other means where single sign-on is forced."""
    records = get_authentication_records(request, user)
    if any(record["method"] == METHOD for record in records):
        return
    sso_session.forget(request)
    if user.is_staff:
        return
    for member in forcing(user):
        audit.record(
            "sso.bypassed",
            by=person(user, request),
            at=timezone.now(),
            account_id=member.account_id,
            subject=member,
        )


@receiver(member_leaving)
def unlink(membership: Membership, **_facts: Any) -> None:
    """Unlink a leaving member from their identity at the provider."""
    Subject.objects.filter(membership=membership).delete()
