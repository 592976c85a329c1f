"""What is told of a token that was looked up."""

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apitokens.lookup.services import Found, refusal_of
from apitokens.verification.decision import Reason


def tell(request: HttpRequest, found: Found) -> None:
    """Say whose the token is, and what to do."""
    token, reason = found.token, refusal_of(found, at=timezone.now())
    words = _("This is “%(name)s”, issued by %(issuer)s with the role %(role)s.") % {
        "name": token.name,
        "issuer": token.issuer.user.get_full_name(),
        "role": token.held_role.label,
    }
    if reason is not None:
        say = messages.warning if reason in _FOR_NOW else messages.info
        say(request, f"{words} {_REFUSED[reason]}")
    elif found.is_old_secret:
        advice = _("This is its old secret, which still works. If it leaked, end it now.")
        messages.warning(request, f"{words} {advice}")
    else:
        advice = _("The token is complete and works. If it leaked, delete it now.")
        messages.warning(request, f"{words} {advice}")


_FOR_NOW = {Reason.SUSPENDED, Reason.ISSUER_INACTIVE}
"""What is refused for these reasons works again once they are gone."""

_REFUSED = {
    Reason.UNKNOWN: gettext_lazy("It was deleted, so it can't be used."),
    Reason.DELETED: gettext_lazy("It was deleted, so it can't be used."),
    Reason.EXPIRED: gettext_lazy("It has expired, so it can't be used."),
    Reason.ROTATED: gettext_lazy("This is its old secret, which no longer works."),
    Reason.SUSPENDED: gettext_lazy(
        "It is suspended and can't be used until its issuer signs in through single sign-on. "
        "If it leaked, delete it now."
    ),
    Reason.ISSUER_INACTIVE: gettext_lazy(
        "Its issuer or the account is deactivated, so it can't be used until they are active "
        "again. If it leaked, delete it now."
    ),
}
