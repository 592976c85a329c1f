"""The Django admin, branded, and entered through the portal's own sign-in page."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.sign_in import mfa


class OperatorsAdminSite(AdminSite):
    site_header = _("Permatoken operators")
    site_title = _("Permatoken operators")
    index_title = _("Accounts, users and tokens")
    enable_nav_sidebar = False  # five lists, and their columns need the room

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not _lacks_second_factor(request)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send people to the one sign-in page: its rate limits hold here too. An operator
        who needs a second factor is sent to where they give it, or can add one."""
        wanted = request.GET.get("next") or reverse("admin:index")
        if super().has_permission(request) and _lacks_second_factor(request):
            assert isinstance(request.user, User)
            if (page := mfa.page_to_give_it(request.user)) is not None:
                return redirect_to_login(wanted, reverse(page))
            messages.warning(
                request, _("Operators of this portal need a second factor. Add one to continue.")
            )
            return redirect("mfa_index")
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        return redirect_to_login(wanted)  # the sign-in page goes on to our own addresses only

    def password_change(  # type: ignore[override]  # the stubs know only of Django's own page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send operators to the portal's own page: its rate limit holds here too."""
        return redirect("account_change_password")

    def password_change_done(  # type: ignore[override]  # as above
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect as `password_change` does: Django's page afterwards is not used."""
        return redirect("account_change_password")


def _lacks_second_factor(request: HttpRequest) -> bool:
    """True for a session without a second factor: that the operator has one does not help against
    a thief of a session that began before."""
    assert isinstance(request.user, User)
    return settings.OPERATORS_NEED_TWO_FACTORS and not (
        mfa.is_given(request) and mfa.has_two_factors(request.user)
    )
