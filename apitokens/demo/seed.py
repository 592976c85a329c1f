"""The demo: two accounts, their people, and some twenty tokens of every kind.

Everything is made by the same services that people use, at moments in the past: the demo can be
nothing that the product cannot be.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.members.services import add_member, remove_member
from accounts.models import Membership, User
from accounts.roles import Role
from accounts.users import services as people
from apitokens.demo import sso as demo_sso
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import rotation
from apitokens.tokens import services as token_services
from apitokens.usage.old_secrets import OldUse, store_old_uses
from apitokens.usage.store import Use, store_usage
from notifications.preferences.services import Settings, choose, settings_of
from notifications.recipients import Person

PASSWORD = "permatoken-demo"  # noqa: S105  # it is printed on every first start
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)

# e-mail, name, time zone
PEOPLE = {
    "admin@example.com": ("Maria Okafor", "Europe/Berlin"),
    "engineer@example.com": ("Jonas Lindqvist", "Europe/Stockholm"),
    "purge@example.com": ("Deploy Robot", "UTC"),
    "user@example.com": ("Aylin Məmmədova", "Asia/Baku"),
    "former@example.com": ("Theo Brandt", "Europe/Berlin"),
    "admin@globex.example": ("Hank Scorpio", "America/Los_Angeles"),
}


class Specimen(NamedTuple):
    """A demo token: times are days before (created, used, deleted) or after (expires) the start."""

    issuer: str
    name: str
    role: Role
    created: float
    expires: float | None = None
    used: float | None = None
    deleted: float | None = None
    description: str = ""


LONG_NAME = (
    "Nightly export of invoices, delivery notes and credit notes to the accounting department's "
    "archive in Rotterdam, including the corrections of the previous quarter (do not delete before "
    "the audit has been closed)"
)
SEVERAL_LINES = (
    "Used by the release pipeline.\n\n"
    "1. Builds the site\n2. Purges the cache\n3. Warms the front page\n\n"
    "Owner: platform team. Ask before you delete it."
)
SPECIMENS = [
    Specimen("admin@example.com", "Terraform state backend", Role.ADMINISTRATORS, 240, None, 0.01),
    Specimen("admin@example.com", "Account reporting", Role.ADMINISTRATORS, 90, 200, 1.2),
    Specimen(
        "admin@example.com",
        "Emergency access",
        Role.ADMINISTRATORS,
        30,
        None,
        None,
        None,
        "Sealed in the safe of the head office. Never used so far, and it should stay like that.",
    ),
    Specimen("admin@example.com", LONG_NAME, Role.USERS, 12, 300, 0.4),
    Specimen("admin@example.com", "Uptime probe", Role.USERS, 50, 3, 0.002),
    Specimen("admin@example.com", "Old monitoring", Role.ENGINEERS, 400, -20, 21),
    Specimen("admin@example.com", "Trial of the export tool", Role.USERS, 60, 30, 41, 40),
    Specimen(
        "engineer@example.com",
        "CI: build and deploy",
        Role.ENGINEERS,
        180,
        185,
        0.05,
        None,
        SEVERAL_LINES,
    ),
    Specimen(
        "engineer@example.com", "Staging smoke tests", Role.PURGE_AND_PREFETCH_WEB, 75, 0.83, 0.3
    ),
    Specimen("engineer@example.com", "Grafana data source", Role.ENGINEERS, 33, 332, 0.001),
    Specimen(
        "engineer@example.com",
        "نسخة احتياطية ليلية",
        Role.ENGINEERS,
        25,
        90,
        0.6,
        None,
        "النسخ الاحتياطي الليلي لقاعدة البيانات",
    ),
    Specimen("engineer@example.com", "Load test of last spring", Role.ENGINEERS, 300, -150, 152),
    Specimen("engineer@example.com", "Laptop of Jonas", Role.ENGINEERS, 100, None, 70, 65),
    Specimen(
        "purge@example.com",
        "Automatic cache clearing",
        Role.PURGE_AND_PREFETCH_API,
        120,
        None,
        0.0005,
        None,
        "Clears the cache after each release.",
    ),
    Specimen(
        "purge@example.com", "缓存预热脚本（生产环境）", Role.PURGE_AND_PREFETCH_API, 45, 320, 2.5
    ),
    Specimen("purge@example.com", "Prefetch of campaign pages", Role.PURGE_AND_PREFETCH_API, 20, 6),
    Specimen("user@example.com", "Spreadsheet import", Role.USERS, 15, 350, 3),
    Specimen("user@example.com", "Try-out", Role.USERS, 3, None),
    Specimen("user@example.com", "Webinar demo", Role.USERS, 80, -73, 74),
    Specimen(
        "former@example.com", "Migration of the old shop", Role.ENGINEERS, 330, None, 210, 200
    ),
    Specimen("former@example.com", "Newsletter sync", Role.USERS, 310, 60, 205, 200),
    Specimen("ines@partners.example", "Shop connector", Role.USERS, 100, 265, 0.02),
    Specimen(
        "ines@partners.example",
        "Monthly price list",
        Role.USERS,
        70,
        None,
        24,
        None,
        "Issued by someone who signs in through single sign-on: their provider doesn't notify "
        "the portal when it revokes their access.",
    ),
    Specimen("paul@partners.example", "Stock level feed", Role.USERS, 95, None, 8.01),
    Specimen("paul@partners.example", "Returns export", Role.USERS, 60, 305, 9),
    Specimen("admin@globex.example", "Globex production", Role.ADMINISTRATORS, 60, None, 0.2),
    Specimen("admin@globex.example", "Globex reporting", Role.USERS, 10, 355),
]


ROTATED = "Automatic cache clearing"
"""One of its systems has the new secret; another one still uses the old."""


class NotEmpty(Exception):
    """The database has users; the demo is for an empty one."""


class Demo(NamedTuple):
    """The access that the demo prints: sign-ins as (e-mail, role) and a token that works."""

    sign_ins: list[tuple[str, str]]
    key: Key
    account_id: int


@sensitive_variables("key")
@transaction.atomic
def seed(*, at: datetime) -> Demo:
    """Fill an empty database. Raises `NotEmpty`."""
    if User.objects.exists():
        raise NotEmpty
    began = at - timedelta(days=500)
    users = {email: _user(email, at=began) for email in PEOPLE}
    example = account_services.open_account(name="Example Inc.", by=OPERATOR, at=began)
    globex = account_services.open_account(name="Globex", by=OPERATOR, at=began)
    members = {
        email: add_member(account=example, user=users[email], role=role, by=OPERATOR, at=began)
        for email, role in (
            ("admin@example.com", Role.ADMINISTRATORS),
            ("engineer@example.com", Role.ENGINEERS),
            ("purge@example.com", Role.PURGE_AND_PREFETCH_API),
            ("user@example.com", Role.USERS),
            ("former@example.com", Role.ENGINEERS),
        )
    }
    members["admin@globex.example"] = add_member(
        account=globex,
        user=users["admin@globex.example"],
        role=Role.ADMINISTRATORS,
        by=OPERATOR,
        at=began,
    )
    add_member(
        account=globex, user=users["admin@example.com"], role=Role.USERS, by=OPERATOR, at=began
    )
    connection = demo_sso.connect(members["admin@example.com"], at=at - timedelta(days=120))
    members |= demo_sso.first_arrivals(connection, at=at - timedelta(days=110))
    with _without_notifications(members.values()):
        for specimen in sorted(SPECIMENS, key=lambda each: -each.created):
            _issue(specimen, members, at=at)
        demo_sso.watch(connection, members["admin@example.com"], at=at)
    administrator = Actor.member(members["admin@example.com"])
    remove_member(
        membership=members["former@example.com"], by=administrator, at=at - timedelta(days=199)
    )
    return Demo(_sign_ins(members), _shown_token(members["user@example.com"], at), example.pk)


def _user(email: str, *, at: datetime) -> User:
    name, time_zone = PEOPLE[email]
    user = people.create_user(
        email=email, password=None, name=name, time_zone=time_zone, by=OPERATOR, at=at
    )
    # Not by the service, which refuses a password that can be guessed. This one is in the README.
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    return user


@contextmanager
def _without_notifications(members: Collection[Membership]) -> Iterator[None]:
    """Turn off all notifications meanwhile: nothing is unread that happened before the demo."""
    people = [Person(member.user_id, member.account_id) for member in members]
    chosen = {person: settings_of(person) for person in people}
    for person in people:
        choose(person, Settings(allows_any=False, is_on={}))
    yield
    for person in people:
        choose(person, chosen[person])


@sensitive_variables("_key")
def _issue(specimen: Specimen, members: dict[str, Membership], *, at: datetime) -> APIToken:
    issuer = members[specimen.issuer]
    token, _key = token_services.issue(
        by=Actor.member(issuer),
        issuer=issuer,
        name=specimen.name,
        description=specimen.description,
        role=specimen.role,
        expires_at=None if specimen.expires is None else at + timedelta(days=specimen.expires),
        at=at - timedelta(days=specimen.created),
    )
    if specimen.name == ROTATED:
        _rotate(token, at=at)
    if specimen.used is not None:
        store_usage(list(_uses(token, last=at - timedelta(days=specimen.used), at=at)))
    if specimen.deleted is not None:
        token_services.delete(
            token=token,
            by=Actor.member(issuer),
            at=at - timedelta(days=specimen.deleted),
        )
    return token


@sensitive_variables("_key")
def _rotate(token: APIToken, *, at: datetime) -> None:
    rotated, _key = rotation.rotate(
        token=token, by=Actor.member(token.issuer), at=at - timedelta(hours=5)
    )
    moment, address = at - timedelta(minutes=20), _address(token)
    store_usage([Use(token.pk, address, moment, moment, 1)])
    store_old_uses([OldUse(token.pk, rotated.rotations - 1, moment, address)])


def _address(token: APIToken) -> str:
    return f"198.51.100.{token.pk % 200 + 1}"


def _uses(token: APIToken, *, last: datetime, at: datetime) -> Iterator[Use]:
    """Up to the last use, some on each day that the chart shows: fewer at weekends, and now and
    then some that were refused."""
    address = _address(token)
    for number in range(30):
        moment = last - timedelta(days=number)
        if number and moment < max(token.created_at, at - timedelta(days=30)):
            return
        times = (number * number * 7 + len(token.name) * 13) % 140 + 20
        yield Use(token.pk, address, moment, moment, times // (1 if moment.weekday() < 5 else 10))
        if number % 9 == 4:  # any will do
            yield Use(token.pk, None, moment, moment, 0, refused=times // 6)


def _shown_token(member: Membership, at: datetime) -> Key:
    """A weak token for the first curl line, gone again after a day."""
    _token, key = token_services.issue(
        by=Actor.member(member),
        issuer=member,
        name="First steps",
        description="Created for the curl line of the first start; expires after a day.",
        role=Role.USERS,
        expires_at=at + timedelta(days=1),
        at=at,
    )
    return key


def _sign_ins(members: dict[str, Membership]) -> list[tuple[str, str]]:
    return [
        (email, f"{member.held_role.label} of {member.account.name}")
        for email, member in members.items()
        if not member.is_removed and member.user.has_usable_password()
    ]


def curl_line(demo: Demo) -> str:
    """One shell line that works while the demo's first token lives."""
    return (
        f"curl -H 'Authorization: APIKey {demo.key.spell()}' "
        f"'{settings.BASE_URL}/iam/clients/{demo.account_id}/tokens'"
    )
