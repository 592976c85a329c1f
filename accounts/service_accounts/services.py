"""Services of service accounts: making, editing, switching off and on. One is removed as a member
is, by `accounts.members.services.remove_member`.

Each locks the account's row first and reauthorizes the actor after that.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypedDict

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, Q
from django.utils.translation import gettext as _

from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.email_addresses import SERVICE_ACCOUNTS, normal_email
from accounts.members import contact_limits
from accounts.members import services as members
from accounts.models import Account, Membership, ServiceAccount, User, unused_id
from accounts.roles import Role
from accounts.service_accounts import contacts
from notifications.preferences import refusals
from notifications.preferences import services as preferences
from notifications.recipients import Person

MOST = 100
"""Service accounts of one account."""
MOST_ISSUERS = 100
"""Members that one service account names."""
ANSWERS = ("confirmed_email", "declined_email", "contact_number")
"""What a contact address has answered, and the number of its newest link."""


class Changes(TypedDict, total=False):
    """What is to change; what is left out stays as it is. `issuers` are the members who may issue
    tokens for it."""

    name: str
    description: str
    role: Role
    contact: Membership | None
    contact_email: str
    issuers: Collection[Membership]


@transaction.atomic
def create(
    *,
    account: Account,
    name: str,
    role: Role,
    description: str = "",
    contact: Membership | None = None,
    contact_email: str = "",
    issuers: Collection[Membership] = (),
    by: Actor,
    at: datetime,
) -> ServiceAccount:
    """Make a service account. Nobody can sign in as it, and it gets no mail of its own.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, and
    `ValidationError` by field (`too_many` for the whole form).
    """
    by = _managing(account.pk, by, at)
    if ServiceAccount.objects.of(account.pk).count() >= MOST:
        raise ValidationError(
            _("An account can have at most %(most)d service accounts. Remove one you don't need."),
            code="too_many",
            params={"most": MOST},
        )
    user = _user(name, by=by, at=at)
    made = ServiceAccount(
        membership=Membership(account=account, user=user, role=role, created_at=at)
    )
    changes = Changes(description=description, contact=contact, contact_email=contact_email)
    _set(made, {**changes, "name": name, "issuers": issuers})
    _count_address(made, by)
    user.save(force_insert=True)
    made.membership.save(force_insert=True)
    made.save(force_insert=True)
    made.issuers.set(issuers)
    _ask(made, at=at)
    made.save(update_fields=ANSWERS)
    refusals.apply(Person(user.pk, account.pk), address=made.contact_email)
    contacts.record("service_account.created", made, by=by, at=at, role=role.label)
    return made


@transaction.atomic
def edit(
    *, service_account: ServiceAccount, changes: Changes, by: Actor, at: datetime
) -> ServiceAccount:
    """Edit a service account. Returns it as it is now. Idempotent.

    Raises `PermissionDenied` unless an operator or an Administrator of the account asks, and for a
    role below that of one of its active tokens; `ValidationError` by field.
    """
    by = _managing(service_account.membership.account_id, by, at)
    present = _present(service_account)
    wanted: dict[str, Any] = {**changes}
    role = wanted.pop("role", None)
    changed = sorted(_set(present, wanted))
    if role is not None:
        members.change_role(membership=present.membership, role=role, by=by, at=at)
    if not changed:
        return present
    if "contact_email" in changed:
        _count_address(present, by)
        _ask(present, at=at)
    present.membership.user.save(update_fields=["name"])
    present.save()
    if "issuers" in changed:
        present.issuers.set(wanted["issuers"])
    if "contact_email" in changed:
        reader = Person(present.membership.user_id, present.membership.account_id)
        preferences.forget(reader)
        refusals.apply(reader, address=present.contact_email)
    contacts.record("service_account.edited", present, by=by, at=at, **_facts(present, changed))
    return present


@transaction.atomic
def switch(*, service_account: ServiceAccount, is_on: bool, by: Actor, at: datetime) -> bool:
    """Switch a service account off, which stops all its tokens, or on again, as they were. False if
    it is so already. Raises `PermissionDenied` as `edit` does."""
    by = _managing(service_account.membership.account_id, by, at)
    present = _present(service_account)
    user = present.membership.user
    recheck.invalidate_tokens_of_on_commit(present.membership, is_weaker=not is_on)
    if not User.everyone.filter(pk=user.pk, is_active=not is_on).update(is_active=is_on):
        return False
    kind = "service_account.switched_on" if is_on else "service_account.switched_off"
    contacts.record(kind, present, by=by, at=at)
    return True


def looking_after(service_account: ServiceAccount) -> list[int]:
    """The memberships that it names: its contact, and those who may issue tokens for it."""
    if service_account._state.adding:
        return []
    named = Membership.objects.filter(removed_at=None).filter(
        Q(contact_of=service_account) | Q(may_issue_for=service_account)
    )
    return list(named.values_list("pk", flat=True).distinct())


def _facts(service_account: ServiceAccount, changed: list[str]) -> dict[str, Any]:
    """The details of the event."""
    facts: dict[str, Any] = {f"is_{field}_changed": True for field in changed if field != "name"}
    return facts | ({"name": service_account.name} if "name" in changed else {})


def _managing(account_id: int, by: Actor, at: datetime) -> Actor:
    """The actor as of now, under the account's lock."""
    recheck.lock_account(account_id)
    by = recheck.reauthorize(by, at)
    if not members.may_manage(by, account_id):
        raise PermissionDenied(_("Only Administrators can manage service accounts."))
    return by


def _present(service_account: ServiceAccount) -> ServiceAccount:
    """Read it again, under the lock. Raises `ValidationError` if it was removed."""
    found = ServiceAccount.objects.of(service_account.membership.account_id)
    present = found.filter(pk=service_account.pk).first()
    if present is None:
        raise ValidationError(_("The service account was removed."), code="removed")
    return present


def _user(name: str, *, by: Actor, at: datetime) -> User:
    """The user behind it, in the language of the one who makes it."""
    user = User(name=name, is_service_account=True, date_joined=at)
    user.pk = unused_id(user.pk)
    user.email = f"{user.pk}@{SERVICE_ACCOUNTS}"
    user.set_unusable_password()
    if by.user is not None:
        user.language, user.time_zone = by.user.language, by.user.time_zone
    return user


def _set(service_account: ServiceAccount, wanted: dict[str, Any]) -> set[str]:
    """Set the fields to what is wanted of them. Returns those that change. Raises `ValidationError`
    by field."""
    user, errors = service_account.membership.user, dict[str, ValidationError]()
    changed = set[str]()
    for field, value in wanted.items():
        try:
            value = _clean(field, value, service_account)
        except ValidationError as refusal:
            errors[field] = refusal
            continue
        if value != _value(service_account, field):
            changed.add(field)
        if field != "issuers":
            setattr(user if field == "name" else service_account, field, value)
    if service_account.contact is not None and service_account.contact_email:
        errors["contact_email"] = ValidationError(
            _("Choose either a member or an address as the contact."), code="two_contacts"
        )
    if errors:
        raise ValidationError(errors)
    return changed


def _count_address(service_account: ServiceAccount, by: Actor) -> None:
    """Like invitations, mails to new addresses are few in a day; operators vouch for theirs."""
    email, account_id = service_account.contact_email, service_account.membership.account_id
    if by.is_operator or not email or contacts.has_agreed(account_id, email):
        return
    try:
        contact_limits.count_address(email, account_id=account_id)
    except ValidationError as refusal:
        raise ValidationError({"contact_email": refusal.error_list}) from None


def _ask(service_account: ServiceAccount, *, at: datetime) -> None:
    """Have a new contact address asked whether it agrees."""
    try:
        contacts.ask(service_account, at=at)
    except ValidationError as refusal:
        raise ValidationError({"contact_email": refusal.error_list}) from None


def _clean(field: str, value: Any, service_account: ServiceAccount) -> Any:
    match field:
        case "name":
            return _clean_name(value)
        case "description":
            return _field(ServiceAccount, field).clean(value.strip(), None)
        case "contact_email":
            return normal_email(value) if value.strip() else ""
        case "contact":
            _refuse_strangers([value] if value else [], service_account)
        case "issuers":
            if len(value) > MOST_ISSUERS:
                raise ValidationError(
                    _("Name at most %(most)d members."),
                    code="too_many",
                    params={"most": MOST_ISSUERS},
                )
            _refuse_strangers(value, service_account)
            return set(value)
    return value


def _clean_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise ValidationError(_("Enter a name."), code="required")
    cleaned: str = _field(User, "name").clean(name, None)
    return cleaned


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def _value(service_account: ServiceAccount, field: str) -> Any:
    if field == "name":
        return service_account.membership.user.name
    if field != "issuers":
        return getattr(service_account, field)
    return set(service_account.issuers.all()) if not service_account._state.adding else set()


def _refuse_strangers(chosen: Collection[Membership], service_account: ServiceAccount) -> None:
    """Only present people of the account can look after a service account, and those who do so
    already may stay: a deactivated person may come back."""
    account_id, wanted = service_account.membership.account_id, {each.pk for each in chosen}
    present = Membership.objects.present().filter(account=account_id, pk__in=wanted)
    unknown = wanted - set(present.values_list("pk", flat=True))
    if unknown and unknown - set(looking_after(service_account)):
        raise ValidationError(_("Choose members of the account."), code="not_member")
