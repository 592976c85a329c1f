"""Dry run of a connection: evaluates an assertion as a login would, and changes nothing."""

from typing import NamedTuple

from accounts.models import Membership
from accounts.roles import Role
from sso.connections.domains import is_authoritative_for
from sso.login.attributes import email_of, name_of, role_of
from sso.models import Connection
from sso.name_ids import find_subject
from sso.saml.responses import Assertion


class DryRunResult(NamedTuple):
    """What a login with this assertion would find. `email`, `name` and `role` follow the
    connection's settings; `kind` is one of `linked`, `member`, `removed` and `new`."""

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
    def is_complete(self) -> bool:
        """True if the settings find all that a first login needs."""
        return bool(self.email)


def evaluate_dry_run(connection: Connection, assertion: Assertion) -> DryRunResult:
    """Evaluate the assertion with the connection's settings."""
    email = email_of(connection, assertion)
    return DryRunResult(
        name_id=assertion.name_id,
        name_id_format=assertion.name_id_format,
        email=email or "",
        is_in_domain=bool(email) and is_authoritative_for(connection, email or ""),
        name=name_of(connection, assertion),
        role=role_of(connection, assertion),
        kind=_classify_person(connection, assertion, email),
        attributes=assertion.attributes,
    )


def _classify_person(connection: Connection, assertion: Assertion, email: str | None) -> str:
    """The person's relation to this account. Users of other accounts are `new` too: their existence
    is not disclosed."""
    if find_subject(connection, assertion.name_id, assertion.name_id_format) is not None:
        return "linked"
    members = Membership.objects.filter(account=connection.account_id, user__email=email or "")
    member = members.first()
    if member is None:
        return "new"
    return "removed" if member.is_removed else "member"
