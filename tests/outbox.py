"""Reads the mails in the outbox, as they would be sent now."""

import re

from django.conf import settings
from django.utils import timezone

from notifications.email.rendering import RenderedEmail, render_mail
from notifications.models import Mail


def mails_to(address: str) -> list[RenderedEmail]:
    """All mails to this address, oldest first, as they would be sent now."""
    found = []
    for mail in Mail.objects.select_related("user", "account").order_by("created_at"):
        if mail.goes_to == address:
            rendered = render_mail(mail, at=timezone.now())
            if rendered is not None:
                found.append(rendered)
    return found


def mail_to(address: str) -> RenderedEmail:
    """The newest mail to this address."""
    return mails_to(address)[-1]


def path_in(mail: RenderedEmail) -> str:
    """The path that the mail leads to."""
    links = re.findall(r"^" + re.escape(settings.BASE_URL) + r"(/\S+)$", mail.text, re.MULTILINE)
    assert len(links) == 1, mail.text
    assert f'href="{settings.BASE_URL}{links[0]}"' in mail.html
    return str(links[0])
