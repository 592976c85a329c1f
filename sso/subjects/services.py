"""Services of subjects: unlinking one person."""

from datetime import datetime

from django.db import transaction

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.sign_in import services as sign_in_services
from sso.connections.services import lock_connection
from sso.logout.services import sessions_through
from sso.models import Subject


@transaction.atomic
def unlink(*, subject: Subject, by: Actor, at: datetime) -> bool:
    """Unlink a member from their name at the provider, and end the sessions that began there. False
    if they are not linked any more.

    The next sign-in links them anew, by the same rules as a first one. For Administrators in person
    and operators; raises `PermissionDenied` and `ValidationError` as all services of connections.
    """
    connection, by = lock_connection(subject.connection, by, at, operators_too=True)
    found = Subject.objects.filter(pk=subject.pk).select_related("membership__user").first()
    if found is None:
        return False
    member = found.membership
    found.delete()
    audit.record(
        "sso.unlinked",
        by=by,
        at=at,
        account_id=connection.account_id,
        subject=member,
        user=member.user_id,
        name_id=found.name_id,
    )
    sessions = sessions_through(connection, member.user)
    sign_in_services.end_sessions(sessions=sessions, by=by, at=at)
    return True
