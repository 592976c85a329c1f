"""The Django admin, branded, and entered through the portal's own sign-in page."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import services
from accounts.models import User
from accounts.requests import operator_of
from accounts.secondfactors import has_two_factors


class OperatorsAdminSite(AdminSite):
    site_header = _("Permatoken operators")
    site_title = _("Permatoken operators")
    index_title = _("Accounts, people and tokens")
    enable_nav_sidebar = False  # five lists, and their columns need the room

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and not _lacks_second_factor(request)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send people to the one sign-in page: its rate limits guard this door too. An operator
        who needs a second factor and has none is sent to where they can add one."""
        if super().has_permission(request) and _lacks_second_factor(request):
            messages.warning(
                request, _("Operators of this portal need a second factor. Add one to continue.")
            )
            return redirect("mfa_index")
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        wanted = request.GET.get("next") or reverse("admin:index")
        return redirect_to_login(wanted)  # the sign-in page goes on to our own addresses only

    def password_change(  # type: ignore[override]  # the stubs know only of Django's own view
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        request.current_app = self.name
        context = {**self.each_context(request), **(extra_context or {})}
        return OwnPasswordView.as_view(extra_context=context)(request)


def _lacks_second_factor(request: HttpRequest) -> bool:
    assert isinstance(request.user, User)
    return settings.OPERATORS_NEED_TWO_FACTORS and not has_two_factors(request.user)


class OwnPasswordView(PasswordChangeView):
    """The operator's own password, by the same verb as everybody's."""

    form_class = AdminPasswordChangeForm

    def form_valid(self, form: Form) -> HttpResponse:
        user = self.request.user
        assert isinstance(user, User)
        services.set_password(
            user=user,
            password=form.cleaned_data["new_password1"],
            by=operator_of(self.request),
            at=timezone.now(),
        )
        update_session_auth_hash(self.request, user)
        return redirect("admin:password_change_done")
