"""The mail of an invitation: what is in it, when it is not sent, and what no name can do to it."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import translation
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from notifications.email import rendering
from notifications.email.rendering import RenderedEmail
from notifications.models import Mail
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
VISITOR = Actor(through=EntryPoint.PORTAL)


def invite(administrator: Membership, at: datetime, **facts: Any) -> Invitation:
    return invitations.invite(
        **{
            "account": administrator.account,
            "email": "new@example.com",
            "role": Role.ENGINEERS,
            "by": Actor.member(administrator),
            "at": at,
            **facts,
        }
    )


def newest_mail() -> Mail:
    mail = Mail.objects.filter(kind="invitation").order_by("created_at").last()
    assert mail is not None
    return mail


def rendered() -> RenderedEmail:
    mail = newest_mail()
    written = rendering.render_mail(mail, at=mail.created_at)
    assert written is not None
    return written


def link_in(text: str) -> str:
    found = re.search(r"https?://\S+/invitations/\S+/", text)
    assert found is not None
    return found[0]


def test_mail_says_who_asks_whom_to_what_as_which_role(
    administrator: Membership, now: datetime
) -> None:
    invite(administrator, now)
    for part in (rendered().text, unescape(rendered().html)):
        assert administrator.user.name in part
        assert administrator.user.email in part
        assert "Example Inc." in part
        assert "Engineers" in part
        assert "new@example.com" in part


def test_link_opens_the_invitation_at_the_configured_address(
    administrator: Membership, now: datetime, settings: Settings
) -> None:
    settings.BASE_URL = "https://tokens.example"
    invitation = invite(administrator, now)
    for part in (rendered().text, unescape(rendered().html)):
        link = link_in(part)
        assert link.startswith("https://tokens.example/invitations/")
        signed = urlsplit(link).path.split("/")[2]
        assert invitations.find(signed, by=VISITOR, at=now) == invitation


def test_nothing_secret_waits_in_the_database(administrator: Membership, now: datetime) -> None:
    invitation = invite(administrator, now)
    assert newest_mail().facts == {"invitation": invitation.pk, "sending": 1}


def test_mail_goes_to_the_person_and_cannot_be_turned_off(
    administrator: Membership, now: datetime
) -> None:
    invite(administrator, now)
    message = rendering.build_message(newest_mail(), rendered())
    assert message.to == ["new@example.com"]
    assert "List-Unsubscribe" not in message.extra_headers


def test_mail_to_a_new_user_is_in_the_language_that_the_inviter_chose(
    administrator: Membership, now: datetime
) -> None:
    invite(administrator, now, language="de")
    assert newest_mail().user.catalogue == "de"


def test_mail_to_a_known_user_is_in_their_own_language(
    administrator: Membership, now: datetime
) -> None:
    known = UserFactory.create(language="ru")
    invite(administrator, now, email=known.email, language="de")
    with translation.override(known.catalogue):
        expected = translation.gettext("Invitation to %(account)s")
    assert rendered().subject == expected % {"account": f"«{administrator.account.name}»"}


def test_operator_is_named_as_such(administrator: Membership, now: datetime) -> None:
    invite(administrator, now, by=OPERATOR)
    assert "An operator of the portal" in rendered().text


@pytest.mark.parametrize("end", ["accepted", "withdrawn", "sent again", "late"])
def test_mail_of_an_invitation_that_is_over_is_not_sent(
    administrator: Membership, now: datetime, end: str
) -> None:
    invitation = invite(administrator, now)
    mail, by = newest_mail(), Actor.member(administrator)
    match end:
        case "accepted":
            person = Actor.person(invitation.user)
            invitations.accept(invitation=invitation, user=invitation.user, by=person, at=now)
        case "withdrawn":
            invitations.withdraw(invitation=invitation, by=by, at=now)
        case "sent again":
            invitations.send_again(invitation=invitation, by=by, at=now)
    assert rendering.render_mail(mail, at=now + timedelta(hours=24 if end == "late" else 0)) is None


@pytest.mark.parametrize(
    "name",
    ["Evil\u2028Bcc: all@example.com", "<script>alert(1)</script>", "{{ base_url }}", "N" * 150],
)
def test_no_name_breaks_out_of_its_place(now: datetime, name: str) -> None:
    inviter = MembershipFactory.create(account__name=name, user__name=name)
    invite(inviter, now)
    written = rendered()
    assert len(written.subject) < 120
    assert len(written.subject.splitlines()) == 1
    assert "<script" not in written.html
    assert "all@example.com" not in rendering.build_message(newest_mail(), written).recipients()


ATTACK = "PayPal security: your account is locked, sign in at https://evil.example/"


def test_name_of_the_account_is_marked_as_the_words_of_others(
    administrator: Membership, now: datetime
) -> None:
    invite(administrator, now)

    assert rendered().subject == "Invitation to “Example Inc.”"
    for part in (rendered().text, unescape(rendered().html)):
        assert "The account's Administrators chose this name." in part


def test_names_of_before_lead_nowhere(administrator: Membership, now: datetime) -> None:
    """Of the account, and of the person who invites."""
    invite(administrator, now)
    Account.objects.update(name=ATTACK)
    User.objects.filter(pk=administrator.user_id).update(name="evil.example")

    written = rendered()

    assert written.subject.startswith("Invitation to “PayPal")
    for part in (written.subject, written.text, unescape(written.html)):
        assert "evil.example" not in part
        assert "https://evil" not in part


def test_invited_person_is_addressed_by_their_address(
    administrator: Membership, now: datetime
) -> None:
    """The name is what the inviter has typed."""
    invite(administrator, now, name="Dear customer")

    assert "Hello new@example.com," in rendered().text
    assert "Dear customer" not in rendered().text + rendered().html
