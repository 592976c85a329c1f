"""One sign-in to try a connection: what came back, and what it would have led to."""

from typing import NamedTuple

from accounts.models import Membership
from accounts.roles import Role
from sso.login.services import email_of, name_of, role_of, speaks_for
from sso.models import Connection, Subject
from sso.saml.responses import Assertion


class Finding(NamedTuple):
    """What the provider has said in a test: `email`, `name` and `role` as the settings understand
    it, and all attributes as they came. `kind` says who it would have been."""

    name_id: str
    name_id_format: str
    email: str
    is_in_domain: bool
    name: str
    role: int
    kind: str
    attributes: dict[str, list[str]]

    @property
    def role_name(self) -> str:
        return str(Role(self.role).label)

    @property
    def is_well(self) -> bool:
        """True if the settings find all that a first arrival needs."""
        return bool(self.email)


def find(connection: Connection, assertion: Assertion) -> Finding:
    """What is to be shown of it."""
    email = email_of(connection, assertion)
    return Finding(
        name_id=assertion.name_id,
        name_id_format=assertion.name_id_format,
        email=email or "",
        is_in_domain=bool(email) and speaks_for(connection, email or ""),
        name=name_of(connection, assertion),
        role=role_of(connection, assertion),
        kind=_kind(connection, assertion, email),
        attributes=assertion.attributes,
    )


def _kind(connection: Connection, assertion: Assertion, email: str | None) -> str:
    """`linked`, `member`, `removed`, or `new` for everybody else: whether the portal knows them
    from other accounts is nobody's business."""
    if Subject.objects.filter(connection=connection, name_id=assertion.name_id).exists():
        return "linked"
    members = Membership.objects.filter(account=connection.account_id, user__email=email or "")
    member = members.first()
    if member is None:
        return "new"
    return "removed" if member.is_removed else "member"
