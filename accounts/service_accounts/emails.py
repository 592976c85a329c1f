"""Renders the mail that asks an address whether it wants to be the contact of a service account."""

from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import ContactStatus, ServiceAccount
from accounts.service_accounts import contacts
from notifications.email.rendering import (
    RenderedEmail,
    moment,
    quoted_name,
    register_renderer,
    render_templates,
)
from notifications.kinds import CONFIRM_CONTACT
from notifications.models import Mail

LONGEST_NAME = 60
"""Names are written by strangers: long enough to be recognised, too short for a message."""


@register_renderer(CONFIRM_CONTACT)
def render_question(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """The question with its link; None if the address is not asked any more, or was asked again
    since. The subject has no words of those who ask."""
    present = ServiceAccount.objects.of(mail.account_id or 0)
    found = present.filter(membership__user=mail.user_id, contact_email=mail.address).first()
    if found is None or found.contact_number != mail.facts["number"]:
        return None
    if found.contact_status is not ContactStatus.PENDING or found.account.closed_at is not None:
        return None
    names = {
        "account": quoted_name(found.account.name, LONGEST_NAME),
        "name": quoted_name(found.name, LONGEST_NAME),
    }
    return render_templates(
        mail,
        "emails/plain/body",
        subject=_("Confirm this address for notifications"),
        heading=_("Confirm this address for notifications"),
        reader_name=mail.goes_to,
        lines=[
            _(
                "An Administrator of the account %(account)s entered this address as the contact "
                "of the service account %(name)s."
            )
            % names,
            _(
                "If you agree, it gets notifications about API tokens: that they expire soon, were "
                "changed by someone, or were used from new addresses. Without your answer it gets "
                "none."
            ),
            _(
                "The link is valid for 3 days. To stop such questions from this account, open it "
                "and choose “No, thanks”."
            ),
        ],
        when=moment(mail.created_at, _("Time"), zone=mail.user.time_zone),
        link=settings.BASE_URL + contacts.path(found),
        action=CONFIRM_CONTACT.action_for(1),
    )
