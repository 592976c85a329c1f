"""Admin of members and invitations. Every change calls a service."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.admin.filters import (
    AccountFilter,
    InvitationFilter,
    ListAdmin,
    RemovedFilter,
    is_id,
    is_text,
)
from accounts.admin.long_lists import accounts_named, fits, has, users_named
from accounts.admin.mixins import ReadOnlyAdminMixin, moment
from accounts.admin.row_actions import RowActionsMixin, refusal_text
from accounts.email_addresses import normal_email
from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.models import Invitation, Membership
from accounts.roles import Role
from accounts.sign_in import registration
from accounts.tenancy.decorators import operator_of

SINCE = ("created_at", "removed_at", "sso_at", "tokens_suspended_at")


class ServiceRefused(Exception):
    """A service has refused the change that the form asks for; the message says why."""


class ServiceAdmin(ListAdmin):
    """A page whose form calls a service, and is shown again with the service's refusal.

    Subclasses call the service in `act`.
    """

    def act(self, request: HttpRequest, obj: Any, data: dict[str, Any], *, change: bool) -> None:
        """Call the service. The row it creates or changes is `obj`, by its key."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        try:
            self.act(request, obj, form.cleaned_data, change=change)
        except (PermissionDenied, ValidationError) as refusal:
            raise ServiceRefused(refusal_text(refusal)) from refusal

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ServiceRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return redirect(request.path)


class MembershipForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    remove = forms.BooleanField(
        label=_("Remove from the account"),
        required=False,
        help_text=_("The record is kept because API tokens refer to it as their issuer."),
    )
    delete_tokens = forms.BooleanField(
        label=_("Also delete this user's active API tokens in the account"),
        required=False,
        help_text=_("Otherwise a user with active tokens can't be removed."),
    )

    class Meta:
        model = Membership
        fields = ["account", "user", "role"]

    @property
    def shown(self) -> str:
        """What the page shows, for a removal."""
        if self.instance._state.adding:
            return ""
        present = Membership.everyone.get(
            pk=self.instance.pk
        )  # a form that is sent changes its own
        return members.snapshot(present, at=timezone.now())

    def _get_validation_exclusions(self) -> set[str]:
        """Without the constraint on account and user: the service looks for a member who is there
        already, and brings back one who was removed."""
        fields: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # Django's own place for this, not in the stubs
        return fields | {"user"}


@admin.register(Membership)
class MembershipAdmin(ServiceAdmin):
    form = MembershipForm
    raw_id_fields = ["account", "user"]
    list_display = ["user", "account", "role", "created_at", "removed_at"]
    list_filter = [RemovedFilter, "role", AccountFilter]
    lookups = {
        "state": is_text,
        "role__exact": is_id,
        "account": is_text,
        "user__id__exact": is_id,  # a link of the user's page
    }
    list_select_related = ["user", "account"]
    search_fields = ["user__email", "user__name", "account__name"]
    ordering = ["account__name", "user__email"]
    long_ordering = ["-pk"]

    def matches(self, word: str) -> Q:
        return fits(Q(), [("user", users_named(word)), ("account", accounts_named(word))])

    def has_change_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.is_removed)

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[Any]:
        if obj is None:
            return ["account", "user", "role"]
        shown = ["user", "account", "role", *SINCE]
        return shown if obj.is_removed else [*shown, "remove", "delete_tokens"]

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return ["user", "account", *SINCE] if obj else []

    def act(
        self, request: HttpRequest, obj: Membership, data: dict[str, Any], *, change: bool
    ) -> None:
        by, at, role = operator_of(request), timezone.now(), Role(data["role"])
        if not change:
            # A stranger's password must not open it, who signed up with the address.
            vouched = registration.VOUCHED_FOR
            registration.discard_sign_up(user=data["user"], why=vouched, by=by, at=at)
            obj.pk = members.add_member(
                account=data["account"], user=data["user"], role=role, by=by, at=at
            ).pk
        elif data["remove"]:
            members.remove_member(
                membership=obj,
                delete_tokens=data["delete_tokens"],
                shown=request.POST.get("shown") or None,
                by=by,
                at=at,
            )
        else:
            members.change_role(membership=obj, role=role, by=by, at=at)


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdminMixin, RowActionsMixin, ServiceAdmin):
    """Invitations are sent, sent again and withdrawn; their links are in the mails alone."""

    form = InvitationForm
    actions = ["send_again", "withdraw"]
    unchanged_message = _("The invitation was no longer open.")
    raw_id_fields = ["account"]
    list_display = ["email", "account", "role", "inviter", "sent", "valid_until", "state"]
    list_filter = [InvitationFilter, "role", AccountFilter]
    lookups = {"state": is_text, "role__exact": is_id, "account": is_text}
    list_select_related = ["account", "invited_by__user"]
    search_fields = ["email", "account__name"]
    ordering = ["-sent_at", "-pk"]
    sorted_by_index = ["email", "account", "role", "sent", "valid_until"]

    def matches(self, word: str) -> Q:
        return fits(has("email", word), [("account", accounts_named(word))])

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> list[Any]:
        fields = ["account", "email", "name", "language", "role"]
        outcome = ["inviter", "sent", "times_sent", "valid_until", "state"]
        return [*fields, *outcome] if obj else fields

    def act(
        self, request: HttpRequest, obj: Invitation, data: dict[str, Any], *, change: bool
    ) -> None:
        obj.pk = invitations.invite(
            account=data["account"],
            email=data["email"],
            name=data["name"],
            language=data["language"],
            role=Role(data["role"]),
            by=operator_of(request),
            at=timezone.now(),
        ).pk

    @admin.action(permissions=["add"], description=_("Resend selected invitations"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: invitations.send_again(invitation=each, shown=shown, by=by, at=at),
        )

    @admin.action(permissions=["add"], description=_("Withdraw selected invitations"))
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        by, at = operator_of(request), timezone.now()
        self.call_for_each(
            request,
            queryset,
            lambda each, shown: invitations.withdraw(invitation=each, shown=shown, by=by, at=at),
        )

    def snapshot(self, row: Invitation) -> str:
        return invitations.snapshot(row)

    def row_name(self, row: Invitation) -> str:
        return row.email

    @admin.display(description=_("invited by"))
    def inviter(self, invitation: Invitation) -> str:
        by = invitation.invited_by
        return by.user.email if by else _t("An operator of the portal")

    @admin.display(description=_("sent"), ordering="sent_at")
    def sent(self, invitation: Invitation) -> str:
        return moment(invitation.sent_at)

    @admin.display(description=_("link valid until"), ordering="expires_at")
    def valid_until(self, invitation: Invitation) -> str:
        return moment(invitation.expires_at)

    @admin.display(description=_("state"))
    def state(self, invitation: Invitation) -> str:
        if invitation.accepted_at:
            return _t("Accepted")
        if invitation.withdrawn_at:
            return _t("Withdrawn")
        return _t("Expired") if invitation.is_late(timezone.now()) else _t("Pending")
