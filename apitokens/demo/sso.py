"""The demo's single sign-on: a provider, two people who come through it, and one who stays away.

No such provider exists: what it would have said and signed goes to the services directly.
"""

from datetime import datetime, timedelta

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from sso.connections import domains
from sso.connections import services as connections
from sso.inactivity import services as inactivity
from sso.login.services import log_in_with_assertion
from sso.models import Connection, InactivityAction
from sso.saml.certificates import parse_certificate
from sso.saml.metadata import Metadata
from sso.saml.responses import Assertion

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
DOMAIN = "partners.example"
ENTITY_ID = "https://login.example.com/metadata"
RULE_DAYS = 30
AWAY = timedelta(days=38)
PEOPLE = {
    "ines@partners.example": ("Ines Duarte", timedelta(hours=5)),
    "paul@partners.example": ("Paul Verhoeven", AWAY),
}
"""E-mail, name, and how long ago they came through the provider the last time."""

# Its key was thrown away: nobody signs anything with it.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBJzCBzaADAgECAgEBMAoGCCqGSM49BAMCMBwxGjAYBgNVBAMMEWxvZ2luLmV4
YW1wbGUuY29tMCAXDTI0MDEwMTAwMDAwMFoYDzIxMjQwMTAxMDAwMDAwWjAcMRow
GAYDVQQDDBFsb2dpbi5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABDoy6PqQnVHyHPgcJRcNl1PqWHezN2e7HpaOh4sgWY0yxHlnShfNOwfPUKtr
zTtOOk7DL6Jvq+1yKgKEBHGYll0wCgYIKoZIzj0EAwIDSQAwRgIhAKl38ENPBIZA
+sJFJpzHddw0o2daEiehiDQit0ui8TvfAiEAsaAz5FzLS41C2wqVjoBasufSLIAi
I3TDO/CSwznU4+8=
-----END CERTIFICATE-----
"""


def connect(administrator: Membership, *, at: datetime) -> Connection:
    """Set the provider up as an Administrator does, and let it speak for the domain."""
    by = Actor.member(administrator)
    connection = connections.set_up(account=administrator.account, by=by, at=at)
    connection = connections.set_provider(
        connection=connection,
        metadata=Metadata(
            entity_id=ENTITY_ID,
            sso_url="https://login.example.com/sign-in",
            slo_url="",
            certificates=(parse_certificate(CERTIFICATE),),
        ),
        by=by,
        at=at,
    )
    connection = connections.change_settings(
        connection=connection,
        name="Example Login",
        email_attribute="email",
        name_attribute="displayName",
        role_attribute="",
        takes_new_people=True,
        default_role=Role.USERS,
        may_make_administrators=False,
        by=by,
        at=at,
    )
    domain = domains.request_approval(connection=connection, name=DOMAIN, by=by, at=at)
    domains.approve(domain=domain, by=OPERATOR, at=at)
    connections.record_dry_run(connection=connection, by=by, at=at)
    connections.switch_on(connection=connection, by=by, at=at)
    return connection


def first_arrivals(connection: Connection, *, at: datetime) -> dict[str, Membership]:
    """Everybody comes through the provider for the first time, and so becomes a member."""
    return {email: _arrive(connection, email, at=at) for email in PEOPLE}


def watch(connection: Connection, administrator: Membership, *, at: datetime) -> None:
    """Suspend the tokens of members who stay away for thirty days, as one has by now."""
    inactivity.choose_policy(
        connection=connection,
        action=InactivityAction.SUSPEND,
        days=RULE_DAYS,
        by=Actor.member(administrator),
        at=at - timedelta(days=90),
    )
    for email, (_name, ago) in PEOPLE.items():
        _arrive(connection, email, at=at - ago)
    lapsed = at - AWAY + timedelta(days=RULE_DAYS)
    inactivity.enforce_policies(
        by=Actor.operator(through=EntryPoint.SYSTEM), at=lapsed + timedelta(minutes=20)
    )


def _arrive(connection: Connection, email: str, *, at: datetime) -> Membership:
    by = Actor(through=EntryPoint.PORTAL, address="203.0.113.24")
    return log_in_with_assertion(connection=connection, assertion=_said(email, at), by=by, at=at)


def _said(email: str, at: datetime) -> Assertion:
    """The facts that the provider would assert of a person."""
    name, _ago = PEOPLE[email]
    return Assertion(
        assertion_id=f"_{email}-{at:%Y%m%d}",
        in_response_to="_demo",
        name_id=email.partition("@")[0],
        name_id_format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        attributes={"email": [email], "displayName": [name]},
        session_index="",
        authenticated_at=at,
        ends_at=at + timedelta(minutes=5),
        message_is_signed=True,
    )
