"""Services of subjects: unlinking one person."""

from datetime import datetime

from django.db import transaction

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.models import Membership
from sso.connections.services import lock_connection
from sso.logout.services import end_sessions_through
from sso.models import Subject


def subject_of(membership: Membership) -> Subject | None:
    """The member's link with the provider of their account, if there is one."""
    found = Subject.objects.filter(membership=membership)
    return found.select_related("connection", "membership__user").first()


def snapshot(subject: Subject) -> str:
    """A fingerprint of the link: whom the provider takes the member for."""
    return fingerprint(subject.connection_id, subject.name_id, subject.linked_at)


@transaction.atomic
def unlink_member(
    *, membership: Membership, shown: str | None = None, by: Actor, at: datetime
) -> bool:
    """Unlink a member from their name at the provider, and end the sessions that began there. False
    if they are not linked.

    The next sign-in links them anew, by the same rules as a first one. For Administrators in person
    and operators; raises `PermissionDenied` and `ValidationError` as all services of connections,
    and if `shown` is no longer the `snapshot` of the link.
    """
    subject = subject_of(membership)
    if subject is None:
        return False
    connection, by = lock_connection(subject.connection, by, at, operators_too=True)
    refuse_changed(shown, snapshot(subject))
    deleted, _rows = Subject.objects.filter(pk=subject.pk).delete()
    if not deleted:  # by another request, before this one had the lock
        return False
    user = subject.membership.user
    audit.record(
        "sso.unlinked",
        by=by,
        at=at,
        account_id=connection.account_id,
        subject=membership,
        user=user.pk,
        name_id=subject.name_id,
    )
    end_sessions_through(connection, user, by=by, at=at)
    return True
