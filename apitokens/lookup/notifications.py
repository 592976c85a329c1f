"""What is told of a token that was looked up."""

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apitokens.lookup.services import Found
from apitokens.models import Status


def tell(request: HttpRequest, found: Found) -> None:
    """Say whose the token is, and what to do."""
    token, at = found.token, timezone.now()
    status = token.status(at)
    words = _("This is “%(name)s”, issued by %(issuer)s with the role %(role)s.") % {
        "name": token.name,
        "issuer": token.issuer.user.get_full_name(),
        "role": token.held_role.label,
    }
    if status is Status.ACTIVE and found.is_old_secret:
        _tell_of_old_secret(request, words, works=token.has_working_old_secret(at))
    elif status is Status.ACTIVE:
        advice = _("The token is complete and works. If it leaked, delete it now.")
        messages.warning(request, f"{words} {advice}")
    else:
        messages.info(request, f"{words} {_NO_LONGER[status]}")


def _tell_of_old_secret(request: HttpRequest, words: str, *, works: bool) -> None:
    if works:
        advice = _("This is its old secret, which still works. If it leaked, end it now.")
        messages.warning(request, f"{words} {advice}")
    else:
        advice = _("This is its old secret, which no longer works.")
        messages.info(request, f"{words} {advice}")


_NO_LONGER = {
    Status.EXPIRED: gettext_lazy("It has expired, so it can't be used."),
    Status.DELETED: gettext_lazy("It was deleted, so it can't be used."),
}
