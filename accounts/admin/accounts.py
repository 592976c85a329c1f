"""Admin of accounts, users and the audit log. Every change calls a service."""

from typing import Any

import django.contrib.auth.admin  # noqa: F401  # registers groups, before they are taken out here
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.account import services as account_services
from accounts.admin.filters import (
    AccountFilter,
    ClosedFilter,
    KindFilter,
    ListAdmin,
    is_id,
    is_moment,
    is_text,
)
from accounts.admin.long_lists import accounts_named, fits, has, users_with_address
from accounts.admin.mixins import ReadOnlyAdminMixin, links, moment
from accounts.audit import labels
from accounts.email_addresses import normal_email
from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.models import TOKEN_LIMIT_HIGHEST, Account, AuditEvent, User
from accounts.passwords.policy import refuse_weak_password
from accounts.sign_in import services as sign_in_services
from accounts.tenancy.decorators import operator_of
from accounts.text.folding import fold
from accounts.users import services as user_services
from accounts.validators import parse_id

# Ways around the services: an address belongs to its user, rights come from `make_operator` alone.
admin.site.unregister(EmailAddress)
admin.site.unregister(Authenticator)  # its page would show the secrets of second factors
admin.site.unregister(UserSession)
admin.site.unregister(Group)


class AccountForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    token_limit = forms.IntegerField(
        label=Account._meta.get_field("token_limit").verbose_name,
        min_value=0,
        max_value=TOKEN_LIMIT_HIGHEST,
        help_text=Account._meta.get_field("token_limit").help_text,
    )
    closed = forms.BooleanField(
        label=_("Closed"),
        required=False,
        help_text=Account._meta.get_field("closed_at").help_text,
    )

    class Meta:
        model = Account
        fields = ["name", "token_limit"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["token_limit"] = self.instance.most_tokens
        self.fields["closed"].initial = self.instance.closed_at is not None

    def _get_validation_exclusions(self) -> set[str]:
        """Without a name that stays: operators can close an account whatever it is called. And
        without the limit, which may be more than its first column holds."""
        fields: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # Django's own place for this, not in the stubs
        return fields | {"token_limit"} | ({"name"} - set(self.changed_data))


@admin.register(Account)
class AccountAdmin(ListAdmin):
    """Accounts are opened with their first Administrator, by `manage.py create_account`."""

    form = AccountForm
    fields = [
        *("name", "token_limit", "closed", "closed_since"),
        *("id", "created_at", "see_also"),
    ]
    readonly_fields = ["closed_since", "id", "created_at", "see_also"]
    list_display = ["name", "id", "most_tokens", "is_open", "created_at"]
    list_filter = [ClosedFilter]
    lookups = {"state": is_text}
    search_fields = ["name", "id__exact"]
    ordering = ["name", "pk"]
    sorted_by_index = ["name", "id", "most_tokens", "is_open", "created_at"]

    def matches(self, word: str) -> Q:
        number = parse_id(word)
        return has("name", word) if number is None else has("name", word) | Q(pk=number)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        by, at, data = operator_of(request), timezone.now(), form.cleaned_data
        if "name" in form.changed_data:
            account_services.rename_account(account=obj, name=data["name"], by=by, at=at)
        if "token_limit" in form.changed_data:
            limit = data["token_limit"]
            account_services.change_token_limit(account=obj, limit=limit, by=by, at=at)
        if data["closed"]:  # also if it is closed: others may not know yet
            account_services.close_account(account=obj, by=by, at=at)
        elif "closed" in form.changed_data:
            account_services.reopen_account(account=obj, by=by, at=at)

    @admin.display(
        description=Account._meta.get_field("token_limit").verbose_name,
        ordering=Coalesce("raised_token_limit", "token_limit"),
    )
    def most_tokens(self, account: Account) -> int:
        return account.most_tokens

    @admin.display(description=_("open"), boolean=True, ordering="closed_at")
    def is_open(self, account: Account) -> bool:
        return account.closed_at is None

    @admin.display(description=_("closed since"))
    def closed_since(self, account: Account) -> str:
        return moment(account.closed_at)

    @admin.display(description=_("see also"))
    def see_also(self, account: Account) -> SafeString:
        return links(
            (_("Members"), "accounts_membership", {"account": account.pk}),
            (_("Invitations"), "accounts_invitation", {"account": account.pk}),
            (_("Audit events"), "accounts_auditevent", {"account": account.pk}),
        )


class UserForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    new_email = forms.CharField(
        label=_("New email"),
        required=False,
        help_text=_(
            "Leave empty to keep the current address. Make sure that a new one belongs to the "
            "user: no confirmation link is sent to it."
        ),
    )
    new_password = forms.CharField(
        label=_("New password"),
        required=False,
        strip=False,
        empty_value=None,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=_("Leave empty to keep the current password. A new user then has no password."),
    )

    kept_if_empty = ("new_email",)

    class Meta:
        model = User
        fields = ["email", "name", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.present = {"new_email": self.instance.email}

    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])

    def clean_new_email(self) -> str:
        """The normalized address, if nobody has it; "" if it stays as it is."""
        email = self.cleaned_data["new_email"] and normal_email(self.cleaned_data["new_email"])
        if email and User.objects.filter(email=email).exists():
            raise ValidationError(
                _("A user with this email address already exists."), code="unique"
            )
        return str(email)

    def _post_clean(self) -> None:
        """Validate the password, with the name and address that the form gives the user."""
        super()._post_clean()  # type: ignore[misc]  # Django's own place for this, not in the stubs
        password = self.cleaned_data.get("new_password")
        if password is None:
            return
        try:
            refuse_weak_password(password, self.instance)
        except ValidationError as refusal:
            self.add_error("new_password", refusal)


@admin.register(User)
class UserAdmin(ListAdmin):
    form = UserForm
    add_fieldsets = [(None, {"fields": ["email", "name", "new_password"]})]
    fieldsets = [
        (None, {"fields": ["email", "name", "is_active", "new_email", "new_password"]}),
        (
            _("About the user"),
            {
                "fields": [
                    *("id", "language", "time_zone", "is_staff", "date_joined", "last_login"),
                    "see_also",
                ]
            },
        ),
    ]
    list_display = ["email", "name", "is_active", "is_staff", "date_joined", "last_login"]
    list_filter = ["is_active", "is_staff"]
    lookups = {"is_active__exact": is_text, "is_staff__exact": is_text}
    search_fields = ["email", "name"]
    ordering = ["email"]
    sorted_by_index = ["email"]

    def matches(self, word: str) -> Q:
        return has("email", word) | has("name", word)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        return self.fieldsets if obj else self.add_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        if obj is None:
            return []
        fixed = ["email", "name", *self.fieldsets[1][1]["fields"]]
        return [*fixed, "is_active"] if obj == request.user else fixed

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        by, at, data = operator_of(request), timezone.now(), form.cleaned_data
        if not change:
            made = user_services.create_user(
                email=data["email"],
                name=data["name"],
                password=data["new_password"],
                by=by,
                at=at,
            )
            obj.pk = made.pk
            return
        if not data.get("is_active", True):
            user_services.deactivate_user(user=obj, by=by, at=at)
        elif "is_active" in form.changed_data:
            user_services.reactivate_user(user=obj, by=by, at=at)
        if data["new_email"]:
            user = User.objects.get(pk=obj.pk)
            sign_in_services.change_email(user=user, email=data["new_email"], by=by, at=at)
        if data["new_password"]:
            user_services.set_password(user=obj, password=data["new_password"], by=by, at=at)
            if obj == request.user:
                update_session_auth_hash(request, obj)

    @admin.display(description=_("see also"))
    def see_also(self, user: User) -> SafeString:
        return links(
            (_("Memberships"), "accounts_membership", {"user__id__exact": user.pk}),
            (_("User activity"), "accounts_auditevent", {"user__id__exact": user.pk}),
        )


def _kinds_with(word: str) -> list[str]:
    """Codes under which events are stored whose present or former code has the word in it."""
    codes = [*labels.RENAMED, *(code for group in labels.GROUPS for code in group.kinds)]
    found = [code for code in codes if fold(word) in fold(code)]
    return sorted({stored for code in found for stored in labels.stored_codes(code)})


def _subject_types() -> list[str]:
    return [model._meta.model_name or "" for model in apps.get_models()]


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdminMixin, ListAdmin):
    fields = ["time", "code", "subject", "account", "user", "entry_point", "address", "facts"]
    list_display = ["time", "code", "subject", "account", "user", "entry_point", "address"]
    list_filter = ["at", KindFilter, AccountFilter]
    lookups = {
        "at__gte": is_moment,
        "at__lt": is_moment,
        "kind": is_text,
        "account": is_text,
        "user__id__exact": is_id,  # a link of the user's page
        "subject_type": is_text,  # this and those below: links of the token's
        "subject_id": is_id,
        "through_token": is_id,
    }
    list_select_related = ["account", "user"]
    search_fields = [
        *("kind", "present_code", "user__email", "account__name"),
        *("subject_id__exact", "through_token__exact", "address__startswith"),
    ]
    search_help_text = _(
        "Search by event, email, account, IP address, or the ID of the subject or token."
    )
    ordering = ["-at", "-pk"]
    sorted_by_index = ["time"]

    def matches(self, word: str) -> Q:
        """By what the word is: a number is an id, an address has dots or colons, a kind its code.
        Each of them is an index; looking for it everywhere would read the whole log."""
        number = parse_id(word)
        own = Q(kind__in=_kinds_with(word))
        if number is not None:
            own |= Q(subject_id=number, subject_type__in=_subject_types()) | Q(through_token=number)
        if word.strip("0123456789abcdefABCDEF.:") == "" and not word.isalnum():
            own |= Q(address__startswith=word)
        return fits(own, [("user", users_with_address(word)), ("account", accounts_named(word))])

    @admin.display(description=_("time"), ordering="at")
    def time(self, event: AuditEvent) -> str:
        return moment(event.at, seconds=True)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        """Searched by their present code also where a former one is stored."""
        renamed = [
            When(kind=former, then=Value(present)) for former, present in labels.RENAMED.items()
        ]
        events: QuerySet[AuditEvent] = super().get_queryset(request)
        return events.alias(present_code=Case(*renamed, default=F("kind")))

    @admin.display(description=_("event"), ordering="kind")
    def code(self, event: AuditEvent) -> str:
        return labels.present_code(event.kind)

    @admin.display(description=_("Subject"))
    def subject(self, event: AuditEvent) -> str:
        return f"{event.subject_type} {event.subject_id}" if event.subject_id else "-"

    @admin.display(description=_("via"), ordering="through")
    def entry_point(self, event: AuditEvent) -> str:
        if event.through_token is None:
            return event.through
        return _("%(entry_point)s, token %(id)d") % {
            "entry_point": event.through,
            "id": event.through_token,
        }

    @admin.display(description=_("details"))
    def facts(self, event: AuditEvent) -> SafeString:
        return format_html_join("", "{}: {}<br>", event.details.items())
