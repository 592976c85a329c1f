"""The rules that close ways into the portal. Each is a function that puts it in force."""

from collections.abc import Callable
from datetime import timedelta

from accounts.account import services as account_services
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import Membership
from accounts.users import services as user_services
from sso.models import Connection
from tests.accounts.sign_in.test_mfa import give_app
from tests.ways_in.ways import OPERATOR, World


def nothing(world: World) -> None:
    """No rule: every way has to lead in, or the table proves nothing."""


def single_sign_on_forced(world: World) -> None:
    Connection.objects.update(is_forced=True)


def person_deactivated(world: World) -> None:
    user_services.deactivate_user(user=world.user, by=OPERATOR, at=world.now)


def removed_from_the_account(world: World) -> None:
    members.remove_member(membership=world.maria, delete_tokens=True, by=OPERATOR, at=world.now)


def account_closed(world: World) -> None:
    account_services.close_account(account=world.connection.account, by=OPERATOR, at=world.now)


def tokens_suspended(world: World) -> None:
    Membership.objects.filter(pk=world.maria.pk).update(sso_at=world.now - timedelta(days=90))
    world.maria.refresh_from_db()
    assert suspension.suspend_tokens(membership=world.maria, by=OPERATOR, at=world.now)


def second_factor_required(world: World) -> None:
    """Maria has an authenticator app."""
    if not world.user.authenticator_set.exists():  # type: ignore[attr-defined]  # allauth's, untyped
        give_app(world.user)


RULES: dict[str, Callable[[World], None]] = {
    "nothing": nothing,
    "single sign-on forced": single_sign_on_forced,
    "person deactivated": person_deactivated,
    "removed from the account": removed_from_the_account,
    "account closed": account_closed,
    "tokens suspended": tokens_suspended,
    "second factor required": second_factor_required,
}
