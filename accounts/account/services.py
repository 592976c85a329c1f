"""Services of accounts: the only writers of their table."""

from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import (
    invalidate_token_cache_on_commit,
    operators_only,
    reauthorize,
)
from accounts.models import Account

COLUMNS = {"most_tokens": {"token_limit", "raised_token_limit"}}
"""Of what is kept in more than one."""


@transaction.atomic
def open_account(*, name: str, by: Actor, at: datetime) -> Account:
    """Open an account with the default token limit. Raises `ValidationError`."""
    account = Account(name=name, created_at=at)
    account.full_clean()
    account.save()
    audit.record(
        "account.opened", by=by, at=at, account=account, subject=account, name=account.name
    )
    return account


@transaction.atomic
def rename_account(*, account: Account, name: str, by: Actor, at: datetime) -> None:
    """Rename the account. Idempotent.

    Raises `ValidationError`, and `PermissionDenied` unless an operator or an Administrator asks.
    """
    by = reauthorize(by, at)
    if not (by.is_operator or by.is_administrator_of(account.pk)):
        raise PermissionDenied(_("Only Administrators can change the company name."))
    _change_account(account, "name", name.strip(), kind="account.renamed", by=by, at=at)


@transaction.atomic
def change_token_limit(*, account: Account, limit: int, by: Actor, at: datetime) -> None:
    """Set how many active API tokens the account may have. Tokens beyond the limit stay active.

    Idempotent. Raises `ValidationError`.
    """
    by = operators_only(by, at)
    _change_account(account, "most_tokens", limit, kind="account.limit_changed", by=by, at=at)


@transaction.atomic
def close_account(*, account: Account, by: Actor, at: datetime) -> None:
    """Close the account: nobody can work in it, and its API tokens are refused at once."""
    by = operators_only(by, at)
    invalidate_token_cache_on_commit(account_id=account.pk, is_weaker=True)
    if Account.objects.filter(pk=account.pk, closed_at=None).update(closed_at=at):
        audit.record("account.closed", by=by, at=at, account=account, subject=account)


@transaction.atomic
def reopen_account(*, account: Account, by: Actor, at: datetime) -> None:
    """Open a closed account again, with its people and its tokens as they were."""
    by = operators_only(by, at)
    if Account.objects.filter(pk=account.pk, closed_at__isnull=False).update(closed_at=None):
        invalidate_token_cache_on_commit(account_id=account.pk, is_weaker=False)
        audit.record("account.reopened", by=by, at=at, account=account, subject=account)


def _change_account(
    account: Account, field: str, value: Any, *, kind: str, by: Actor, at: datetime
) -> None:
    """Set one field, and record its former and its new value. Idempotent."""
    present = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    before = getattr(present, field)
    setattr(present, field, value)
    after = getattr(present, field)
    if before == after:
        return
    # What stays as it is may be of a time with other rules.
    columns = COLUMNS.get(field, {field})
    present.clean_fields(exclude={each.name for each in Account._meta.fields} - columns)
    present.save(update_fields=columns)
    audit.record(kind, by=by, at=at, account=present, subject=present, before=before, after=after)
