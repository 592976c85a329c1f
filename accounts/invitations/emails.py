"""Renders invitations. The link is made when the mail is sent: no secret is stored."""

from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.invitations.services import signed_id
from accounts.models import Invitation
from notifications.email.rendering import (
    Fact,
    RenderedEmail,
    moment,
    quoted_name,
    register_renderer,
    render_templates,
)
from notifications.kinds import INVITATION
from notifications.models import Mail

LONGEST_NAME = 60
"""Names are written by strangers: long enough to be recognised, too short for a message."""


@register_renderer(INVITATION)
def render_invitation(mail: Mail, at: datetime) -> RenderedEmail | None:
    """The invitation with its account, role and expiration; None if it is no longer open, or was
    sent again since."""
    invitation = (
        Invitation.objects.open()
        .select_related("account", "invited_by__user")
        .filter(pk=mail.facts["invitation"], times_sent=mail.facts["sending"])
        .first()
    )
    if invitation is None or invitation.is_late(at):
        return None
    account = quoted_name(invitation.account.name, LONGEST_NAME)
    return render_templates(
        mail,
        "emails/invitation/body",
        subject=_("Invitation to %(account)s") % {"account": account},
        # The name of a new user is what the inviter has typed.
        reader_name=mail.goes_to,
        heading=_("You've been invited to %(account)s") % {"account": account},
        inviter=_inviter(invitation),
        inviting_account=account,
        facts=[
            Fact(_("Account"), account, _("The account's Administrators chose this name.")),
            Fact(_("Role"), invitation.given_role.label, invitation.given_role.explanation),
            moment(invitation.expires_at, _("Link valid until"), zone=mail.user.time_zone),
        ],
        email=invitation.email,
        link=f"{settings.BASE_URL}{reverse('accounts:invitation', args=[signed_id(invitation)])}",
        action=INVITATION.action_for(1),
    )


def _inviter(invitation: Invitation) -> str:
    """Name and address of the inviter: a name alone identifies nobody."""
    if invitation.invited_by is None:
        return _("An operator of the portal")
    user = invitation.invited_by.user
    return f"{quoted_name(user.name, LONGEST_NAME)} ({user.email})" if user.name else user.email
