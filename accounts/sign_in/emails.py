"""E-mails about signing in: requested links, and security e-mails about changes.

The database holds no secret: a link is made when its mail is sent. All links begin with BASE_URL,
whatever host a request names.
"""

from datetime import datetime, timedelta

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.http.user_agents import browser_name
from accounts.models import User
from accounts.sign_in import email_change
from notifications import services
from notifications.email.rendering import (
    RenderedEmail,
    moment,
    one_name,
    register_renderer,
    render_templates,
)
from notifications.kinds import ADDRESS_KNOWN, CONFIRM_ADDRESS, EVERY_KIND, RESET_PASSWORD, SECURITY
from notifications.models import Mail
from notifications.tasks import enqueue_delivery_on_commit

GIVE_UP_AFTER = timedelta(hours=6)
"""A mail with a link that could not be sent within this time is given up."""

SECURITY_EVENTS: dict[str, tuple[Promise, Promise]] = {
    "password_changed": (
        gettext_lazy("Your password was changed"),
        gettext_lazy("All other browsers were signed out. Your permanent API tokens keep working."),
    ),
    "password_reset": (
        gettext_lazy("Your password was reset"),
        gettext_lazy(
            "It was reset with a link sent to this address. All browsers were signed out. Your "
            "permanent API tokens keep working."
        ),
    ),
    "password_set": (
        gettext_lazy("A password was set"),
        gettext_lazy("You can now sign in with your email address and this password."),
    ),
    "email_changed": (
        gettext_lazy("Your email address was changed"),
        gettext_lazy("From now on, sign in with %(to)s. Emails will be sent there, too."),
    ),
    "totp_activated": (
        gettext_lazy("An authenticator app was added"),
        gettext_lazy("From now on, you need a code from the app to sign in."),
    ),
    "totp_deactivated": (
        gettext_lazy("Your authenticator app was removed"),
        gettext_lazy("Its codes no longer work."),
    ),
    "webauthn_added": (
        gettext_lazy("A passkey was added"),
        gettext_lazy("You can now sign in with it."),
    ),
    "webauthn_removed": (
        gettext_lazy("A passkey was removed"),
        gettext_lazy("It can no longer be used to sign in."),
    ),
    "recovery_codes_generated": (
        gettext_lazy("New recovery codes were generated"),
        gettext_lazy("The old ones no longer work."),
    ),
    "switched_off": (
        gettext_lazy("Two-factor authentication was turned off"),
        gettext_lazy(
            "An operator of the portal did this at your request. You can now sign in with just "
            "your password, so add a second factor again."
        ),
    ),
}
"""Security events: a headline and a sentence."""


def send_security_email(
    *,
    user: User,
    event: str,
    at: datetime,
    client: str = "",
    browser: str = "",
    address: str = "",
    **words: str,
) -> None:
    """Mail a security event to a user, with the IP address of the `client`."""
    facts = {"news": event, "client": client, "browser": browser[:200], "words": words}
    services.post(user_id=user.pk, kind=SECURITY, at=at, facts=facts, address=address)
    enqueue_delivery_on_commit()


def confirm_sign_up(*, address: EmailAddress, at: datetime) -> None:
    """Ask at this address to confirm the sign-up."""
    services.post(
        user_id=address.user_id,
        kind=CONFIRM_ADDRESS,
        at=at,
        facts={"address_id": address.pk},
        give_up_after=GIVE_UP_AFTER,
    )
    enqueue_delivery_on_commit()


def confirm_change(*, user: User, email: str, at: datetime) -> None:
    """Ask at the new address to confirm the change."""
    services.post(
        user_id=user.pk,
        kind=CONFIRM_ADDRESS,
        at=at,
        address=email,
        facts={"email": email, "before": user.email, "number": user.email_change_number},
        give_up_after=GIVE_UP_AFTER,
    )
    enqueue_delivery_on_commit()


def address_is_known(*, user: User, at: datetime) -> None:
    """Tell a user that their address was entered for another user."""
    services.post(user_id=user.pk, kind=ADDRESS_KNOWN, at=at, give_up_after=GIVE_UP_AFTER)
    enqueue_delivery_on_commit()


def reset_password(*, user: User, at: datetime) -> None:
    """Send a user the link to set a new password."""
    services.post(user_id=user.pk, kind=RESET_PASSWORD, at=at, give_up_after=GIVE_UP_AFTER)
    enqueue_delivery_on_commit()


@register_renderer(CONFIRM_ADDRESS)
def render_confirmation(mail: Mail, _at: datetime) -> RenderedEmail | None:
    if "email" in mail.facts:
        return _change_confirmation(mail)
    address = EmailAddress.objects.filter(pk=mail.facts["address_id"], verified=False).first()
    if address is None:
        return None
    path = reverse("account_confirm_email", args=[EmailConfirmationHMAC(address).key])
    return _plain_email(
        mail,
        _("Confirm your email address"),
        _("Someone signed up for this portal with your email address."),
        _(
            "If it was you, open the link within 24 hours to finish. If it wasn't, ignore this "
            "email."
        ),
        path=path,
    )


def _change_confirmation(mail: Mail) -> RenderedEmail | None:
    is_newest = mail.user.email_change_number == mail.facts.get("number", 0)  # older code has none
    if mail.user.email != mail.facts["before"] or not is_newest:
        return None
    words = {"before": mail.facts["before"]}
    return _plain_email(
        mail,
        _("Confirm your new email address"),
        _("The user %(before)s of this portal wants to sign in with your email address.") % words,
        _("If it was you, open the link within 24 hours. If it wasn't, ignore this email."),
        path=email_change.path(mail.user, mail.facts["email"]),
    )


@register_renderer(ADDRESS_KNOWN)
def render_address_known(mail: Mail, _at: datetime) -> RenderedEmail | None:
    return _plain_email(
        mail,
        _("You are already registered"),
        _("Someone, perhaps you, tried to use this email address for another user of this portal."),
        _("You don't need another user: sign in with this address. If you've forgotten your "
          "password, use the link to set a new one."),
        path=reverse("account_reset_password"),
    )  # fmt: skip


@register_renderer(RESET_PASSWORD)
def render_password_reset(mail: Mail, _at: datetime) -> RenderedEmail | None:
    if not mail.user.is_active:
        return None
    key = default_token_generator.make_token(mail.user)
    path = reverse("account_reset_password_from_key", args=[user_pk_to_url_str(mail.user), key])
    return _plain_email(
        mail,
        _("Set a new password"),
        _("We received a request to reset your password."),
        _("The link works once and is valid for one hour. If you didn't request it, ignore this "
          "email: your password stays the same."),
        path=path,
    )  # fmt: skip


@register_renderer(SECURITY)
def render_security_email(mail: Mail, _at: datetime) -> RenderedEmail | None:
    headline, sentence = SECURITY_EVENTS[mail.facts["news"]]
    client, browser = mail.facts["client"], one_name(browser_name(mail.facts["browser"]))
    return _plain_email(
        mail,
        str(headline),
        str(sentence) % mail.facts["words"],
        *([_("IP address: %(client)s") % {"client": client}] if client else []),
        *([_("Browser: %(browser)s") % {"browser": browser}] if browser else []),
        _("If this wasn't you, change your password immediately and contact the operator of the "
          "portal."),
        path=reverse("mfa_index"),
    )  # fmt: skip


def _plain_email(mail: Mail, headline: str, *lines: str, path: str) -> RenderedEmail:
    """Render sentences and a link. The reader is addressed by e-mail address: the name may be
    anything that was typed at sign-up."""
    return render_templates(
        mail,
        "emails/plain/body",
        subject=headline,
        heading=headline,
        reader_name=mail.goes_to,
        lines=lines,
        when=moment(mail.created_at, _("Time"), zone=mail.user.time_zone),
        link=settings.BASE_URL + path,
        action=EVERY_KIND[mail.kind].action_for(1),
    )
