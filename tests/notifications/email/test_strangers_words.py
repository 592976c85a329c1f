"""Names are written by strangers: in no mail do they lead anywhere, read as our words, or break
what stands around them."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from html.parser import HTMLParser
from itertools import cycle
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, Language, Membership, User
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.sign_in import emails
from apitokens.addresses.notifications import tell_of_refusal
from apitokens.expiry.scan import scan
from apitokens.models import APIToken
from apitokens.tokens import notifications as token_changes
from apitokens.usage.notifications import notify_new_addresses
from notifications.email.rendering import build_message, one_name, render_mail
from notifications.kinds import EVERY_KIND, KINDS, Channel
from notifications.links import has_link
from notifications.models import Mail
from notifications.preferences import services as preferences
from notifications.recipients import Person
from sso.connections.certificate_notices import notify_expiring_certificates
from sso.inactivity.notifications import (
    InactiveMember,
    notify_administrators,
    notify_suspended_members,
)
from sso.models import Connection, InactivityAction
from tests.factories import (
    CertificateFactory,
    ConnectionFactory,
    MembershipFactory,
    contact_agrees,
    issue,
)

pytestmark = pytest.mark.django_db

ATTACKS = [
    "PayPal security: your account is locked, sign in at https://evil.example/login now",
    "Your password has expired. Call the help desk of the portal now",
    "http://evil.example a@evil.example www\u3002evil\u3002example evil\u200b.example 192.0.2.66",
    "javascript:alert(1) mailto:eve@evil tel:+15551234567 evil.\ufe0fexample",
    "\x07\x1b[31mPermatoken\x85alert\r\nBcc: eve@evil.example\r\n\r\nSign\u2028in again",
    "\u202eelpmaxe.live//:sptth\u202c invoice\u202efdp.exe",
    "<a href='https://evil.example'>Sign in</a><img src=//evil.example/a.png>",
    "An Operator of This Portal",
    "x” deleted nothing. Your account is locked» «ask “PayPal",
    "%(count)s %s {0} {{ settings.SECRET_KEY }} {% now 'Y' %}",
]
LANGUAGES = cycle(Language.values)
CASES = [(name, next(LANGUAGES)) for name in ATTACKS]
CLIENT = "203.0.113.7"
OPENING = "“„«"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
DAY = timedelta(days=1)


class World:
    """An account where everything has this name, and its reader a language."""

    def __init__(self, name: str, language: str, at: datetime) -> None:
        self.name, self.at = name, at
        account = MembershipFactory.create(user__email="mary@reader.test").account
        self.mary = Membership.objects.get(user__email="mary@reader.test")
        self.eve = MembershipFactory.create(account=account, user__email="eve@actor.test")
        self.watcher = MembershipFactory.create(account=account, user__email="wim@watcher.test")
        self.connection = ConnectionFactory.create(account=account, is_on=True)
        self.robot = service_accounts.create(
            account=account, name="Deploys", role=Role.USERS, contact_email="ops@contact.test",
            by=Actor.member(self.mary), at=at,
        )  # fmt: skip
        contact_agrees(self.robot)
        long_ago: dict[str, Any] = {"at": at - 30 * DAY, "expires_at": at + 2 * DAY}
        for _time in range(2):
            issue(self.mary, role=Role.ADMINISTRATORS, **long_ago)
        issue(self.robot.membership, by=Actor.member(self.mary), **long_ago)
        EmailAddress.objects.create(user=self.eve.user, email="eve@new.test", verified=False)
        self._rename(account, language)
        self._listen()
        Mail.objects.all().delete()

    def _rename(self, account: Account, language: str) -> None:
        """As rows of elsewhere, or of before there were rules for names."""
        User.objects.update(name=self.name, language=language)
        APIToken.objects.update(name=self.name)
        Account.objects.update(name=self.name)
        Connection.objects.update(name=self.name)
        self.connection.refresh_from_db()
        self.mary, self.eve, self.watcher = (
            Membership.objects.select_related("user", "account").get(pk=each.pk)
            for each in (self.mary, self.eve, self.watcher)
        )
        tokens = APIToken.objects.select_related("issuer__user").order_by("pk")
        self.tokens = list(tokens.filter(issuer=self.mary))
        self.tokens_of_robot = list(tokens.filter(issuer=self.robot.membership))

    def _listen(self) -> None:
        for member in (self.mary, self.watcher):
            person = Person(member.user_id, member.account_id)
            chosen = preferences.settings_of(person)
            wanted = {(code, channel): True for code in KINDS for channel in Channel}
            preferences.choose(person, chosen._replace(is_on=chosen.is_on | wanted))

    def send_all(self) -> None:
        """Have every mail posted that there is."""
        self._about_signing_in()
        self._about_tokens()
        self._about_single_sign_on()
        invitations.invite(
            account=self.mary.account, email="new@invited.test", role=Role.USERS,
            by=Actor.member(self.eve), at=self.at,
        )  # fmt: skip
        service_accounts.create(
            account=self.mary.account, name="Another robot", role=Role.USERS,
            contact_email="ops@asked.test", by=Actor.member(self.eve), at=self.at,
        )  # fmt: skip
        User.objects.filter(name="Another robot").update(name=self.name)

    def _about_signing_in(self) -> None:
        user, at = self.mary.user, self.at
        emails.reset_password(user=user, at=at)
        emails.address_is_known(user=user, at=at)
        emails.confirm_change(user=user, email="mary@new.test", at=at)
        emails.confirm_sign_up(address=EmailAddress.objects.get(email="eve@new.test"), at=at)
        for event in emails.SECURITY_EVENTS:
            emails.send_security_email(
                user=user, event=event, at=at, client=CLIENT, browser=self.name, to="mary@new.test"
            )

    def _about_tokens(self) -> None:
        by, at = Actor.member(self.eve), self.at
        changes: dict[str, list[dict[str, Any]]] = {
            "notify_token_changed": [{"was_created": True}, {"was_created": False}],
            "notify_token_edited": [{}],
            "notify_token_rotated": [{}],
            "notify_old_secret_ended": [{}],
            "notify_tokens_deleted": [{"are_all": True}, {"are_all": False}],
            "notify_handed_over": [{"former": self.mary}, {"former": self.eve}],
        }
        assert set(changes) == {each for each in vars(token_changes) if each.startswith("notify_")}
        for name, calls in changes.items():
            tell = getattr(token_changes, name)
            for tokens in (self.tokens, self.tokens_of_robot):
                several = name in {"notify_tokens_deleted", "notify_handed_over"}
                for facts in calls:
                    tell(tokens if several else tokens[0], by=by, at=at, **facts)
        for first in (True, False):
            notify_new_addresses(self.tokens[0], [CLIENT], is_first_use=first, at=at)
        tell_of_refusal(self.tokens[0].pk, address=CLIENT, at=at)
        scan(at=at)

    def _about_single_sign_on(self) -> None:
        inactive = [InactiveMember(self.eve, 1), InactiveMember(self.watcher, 2)]
        for action in InactivityAction:
            self.connection.idle_action, self.connection.idle_days = action, 30
            for several in (inactive, inactive[:1]):
                notify_administrators(self.connection, several, self.at)
        notify_suspended_members(self.connection, [InactiveMember(self.mary, 1)], self.at)
        certificate = CertificateFactory.create(connection=self.connection, not_after=self.at + DAY)
        for at in (self.at, certificate.not_after):
            notify_expiring_certificates(by=SYSTEM, at=at)


class Page(HTMLParser):
    """The words of a page, and where it leads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.leads_to: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.leads_to += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def ours(text: str) -> str:
    """The text without the addresses that have to be in it: our own, of people, of clients."""
    text = re.sub(re.escape(settings.BASE_URL) + r"[\w/?=&%:.@~+-]*", "", text)
    hosts = "reader|actor|watcher|contact|new|invited|asked"
    return re.sub(rf"[\w.]+@(?:{hosts})\.test", "", text).replace(CLIENT, "")


def mails_of(world: World) -> Iterator[tuple[Mail, Any]]:
    world.send_all()
    found = list(Mail.objects.select_related("user", "account"))
    assert {mail.kind for mail in found} == set(EVERY_KIND)
    for mail in found:
        rendered = render_mail(mail, at=timezone.now())
        assert rendered is not None, mail.kind
        yield mail, rendered


@pytest.mark.parametrize(("name", "language"), CASES)
def test_no_name_speaks_for_us_in_a_mail(name: str, language: str, now: datetime) -> None:
    world = World(name, language, timezone.now())
    shown = one_name(name)[:24].rstrip()
    assert not {*OPENING, *"”»"} & {*one_name(name)}, "it ends the quotes around it"
    for mail, rendered in mails_of(world):
        page = Page(rendered.html)
        for text in (rendered.subject, rendered.text, "\n".join(page.words)):
            assert not has_link(ours(text)), (mail.kind, text)
            assert not CONTROL.search(text)
        assert not CONTROL.search(rendered.subject.replace("\n", "\0"))
        assert all(each.startswith(f"{settings.BASE_URL}/") for each in page.leads_to)
        assert not page.tags & {"img", "script", "iframe"}
        assert shown not in rendered.text.partition("\n")[0], "the greeting"
        sentences = [rendered.subject, *page.words[:1], *rendered.text.splitlines()]
        for text in sentences:
            for found in re.finditer(re.escape(shown), text):
                before = text[: found.start()]
                assert before[-1:] in {*OPENING} or before.endswith((": ", "* ", "：")), (
                    mail.kind,
                    text,
                )
        raw = build_message(mail, rendered).message().as_bytes()
        read = message_from_bytes(raw, policy=policy.default)
        assert read["Subject"] == rendered.subject
        assert read["Bcc"] is None
