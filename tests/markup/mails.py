"""Mails of every kind, written as the portal would send them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils import timezone, translation

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.languages import catalogue_for
from accounts.models import Language, Membership
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.sign_in import emails
from apitokens.expiry.scan import scan
from notifications.email.rendering import RenderedEmail, render_mail, render_plain
from notifications.kinds import EVERY_KIND, KINDS, TOKEN_EXPIRING
from notifications.models import Mail

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0"
LONG_NAME = "Nightly-export-of-invoices-to-the-archive-in-Rotterdam"
LONG_ADDRESS = "a-person-with-a-rather-long-address@mail.of-a-company.example.com"


@transaction.atomic
def write(folder: str) -> None:
    """Write the HTML of a mail of each kind and language into the folder; all else stays as it
    was."""
    at = timezone.now()
    reader = Membership.objects.get(account_id=1, user__email="admin@example.com")
    reader.user.email, reader.user.name = LONG_ADDRESS, ""
    reader.user.save()
    _post(reader, at)
    mails = [*Mail.objects.select_related("user", "account"), *_plain(reader, at)]
    assert {mail.kind for mail in mails} == set(EVERY_KIND)
    for number, mail in enumerate(mails):
        for language in Language.values:
            mail.user.language = language
            rendered = _render(mail, at)
            if rendered is not None:
                Path(folder, f"{mail.kind}-{number}-{language}.html").write_text(rendered.html)
    transaction.set_rollback(True)


def _post(reader: Membership, at: datetime) -> None:
    """Have the portal post what it posts by itself, or because somebody asks for it."""
    scan(at=at)
    emails.reset_password(user=reader.user, at=at)
    emails.address_is_known(user=reader.user, at=at)
    emails.confirm_change(user=reader.user, email=LONG_ADDRESS, at=at)
    for event in emails.SECURITY_EVENTS:
        emails.send_security_email(
            user=reader.user, event=event, at=at, client="203.0.113.7", browser=CHROME, to="a@b.cd"
        )
    invitations.invite(
        account=reader.account,
        email=LONG_ADDRESS.replace("person", "colleague"),
        role=Role.USERS,
        by=Actor.member(reader),
        at=at,
    )
    service_accounts.create(
        account=reader.account,
        name=LONG_NAME,
        role=Role.USERS,
        contact_email=LONG_ADDRESS.replace("a-person", "a-team"),
        by=Actor.member(reader),
        at=at,
    )


def _plain(reader: Membership, at: datetime) -> Iterator[Mail]:
    """One of each kind that has a title and a text, with a long name in one word."""
    facts = {"title": f"A person deleted “{LONG_NAME}”", "text": LONG_NAME, "link": "/"}
    for code in KINDS:
        if code != TOKEN_EXPIRING.code:
            yield Mail(
                user=reader.user, account=reader.account, kind=code, facts=facts, created_at=at
            )


def _render(mail: Mail, at: datetime) -> RenderedEmail | None:
    if "title" in mail.facts:
        with translation.override(catalogue_for(mail.user.language)):
            return render_plain(mail)
    return render_mail(mail, at=at)
