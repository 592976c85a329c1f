"""What is told of a token that was looked up."""

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apitokens.models import APIToken, Status


def tell(request: HttpRequest, token: APIToken) -> None:
    """Say whose the token is, and what to do."""
    status = token.status(timezone.now())
    words = _("This is “%(name)s”, issued by %(issuer)s with the role %(role)s.") % {
        "name": token.name,
        "issuer": token.issuer.user.get_full_name(),
        "role": token.held_role.label,
    }
    if status is Status.ACTIVE:
        advice = _("The token is complete and works. If it leaked, delete it now.")
        messages.warning(request, f"{words} {advice}")
    else:
        messages.info(request, f"{words} {_NO_LONGER[status]}")


_NO_LONGER = {
    Status.EXPIRED: gettext_lazy("It has expired, so it can't be used."),
    Status.DELETED: gettext_lazy("It was deleted, so it can't be used."),
}
