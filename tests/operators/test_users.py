"""What operators do with users."""

from datetime import datetime

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership, User
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verify import verify
from tests.conftest import Issue, SignIn
from tests.factories import PASSWORD, UserFactory
from tests.operators.conftest import Events, changes, page, shown

LIST, ADD = "accounts_user_changelist", "accounts_user_add"
NEW_PASSWORD = "another long pass phrase"


def change(browser: Client, user: User, **fields: str) -> int:
    """Send the form of the user; a missing `is_active` switches them off."""
    return browser.post(page("accounts_user_change", user.pk), fields).status_code


@pytest.mark.parametrize("users", [1, 30])
def test_list_costs_the_same_for_any_number_of_users(
    browser: Client, users: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    UserFactory.create_batch(users)

    with django_assert_num_queries(4):  # session, operator, count, rows
        shown(browser, page(LIST))


def test_switching_a_user_off_stops_their_tokens_and_on_brings_them_back(
    browser: Client, engineer: Membership, issue: Issue, now: datetime, events: Events
) -> None:
    presented = issue(engineer).key.spell()

    change(browser, engineer.user)
    with pytest.raises(Refused) as refused:
        verify(presented=presented, at=now)
    assert refused.value.code is Refusal.ISSUER_INACTIVE

    change(browser, engineer.user, is_active="on")
    assert verify(presented=presented, at=now).user_id == engineer.user_id
    assert len(events("user.deactivated", subject_id=engineer.user_id)) == 1
    assert len(events("user.reactivated", subject_id=engineer.user_id)) == 1


def test_switching_a_user_off_ends_their_session(
    client: Client, browser: Client, engineer: Membership, sign_in: SignIn
) -> None:
    sign_in(client, engineer)

    change(browser, engineer.user)

    assert client.get(reverse("apitokens:list", args=[engineer.account_id])).status_code == 302


def test_event_names_the_operator_and_where_they_sit(
    browser: Client, engineer: Membership, operator: User, events: Events
) -> None:
    change(browser, engineer.user)

    (event,) = events("user.deactivated")
    assert (event.user, event.through, event.address) == (operator, "admin", "192.0.2.7")


def test_operator_cannot_switch_themselves_off(browser: Client, operator: User) -> None:
    change(browser, operator)

    operator.refresh_from_db()
    assert operator.is_active


def test_saving_without_a_change_leaves_no_event(browser: Client, engineer: Membership) -> None:
    assert change(browser, engineer.user, is_active="on") == 302

    assert not changes()


def test_new_user_with_a_password_can_sign_in(
    browser: Client, client: Client, events: Events
) -> None:
    form = {"email": "New@Example.com", "name": "Nora", "new_password": NEW_PASSWORD}
    assert browser.post(page(ADD), form).status_code == 302

    user = User.objects.get(email="new@example.com")
    credentials = {"login": user.email, "password": NEW_PASSWORD}
    assert client.post(reverse("account_login"), credentials).status_code == 302
    assert EmailAddress.objects.get(user=user).verified
    assert [event.subject_id for event in events("user.created")] == [user.pk]


def test_new_user_without_a_password_has_an_unusable_one(browser: Client) -> None:
    browser.post(page(ADD), {"email": "new@example.com"})

    assert not User.objects.get(email="new@example.com").has_usable_password()


def test_new_user_is_no_operator_whatever_the_form_says(browser: Client) -> None:
    browser.post(page(ADD), {"email": "new@example.com", "is_staff": "on", "is_superuser": "on"})

    user = User.objects.get(email="new@example.com")
    assert (user.is_staff, user.is_superuser) == (False, False)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"email": "no address"},
        {"email": "OPERATOR@example.com"},
        {"email": "a" * 250 + "@example.com"},
        {"email": "nul\0@example.com"},
        {"email": "nora@ex\u0430mple.com"},
        {"email": "new@example.com", "new_password": "short"},
        {"email": "gabriella.montgomery@example.com", "new_password": "Gabriella.Montgomery"},
        {"email": "new@example.com", "name": "two\nlines"},
        {"email": "new@example.com", "name": "x" * 151},
    ],
)
def test_user_that_makes_no_sense_is_not_made(browser: Client, form: dict[str, str]) -> None:
    assert browser.post(page(ADD), form).status_code == 400

    assert User.objects.count() == 1
    assert not changes()


def test_new_password_like_the_address_is_refused_beside_its_field(
    browser: Client, engineer: Membership
) -> None:
    likeness = engineer.user.email.upper()

    added = browser.post(
        page(ADD), {"email": "gabriella@example.com", "new_password": "gabriella@example.com"}
    )
    changed = browser.post(
        page("accounts_user_change", engineer.user_id),
        {"is_active": "on", "new_password": likeness},
    )

    for answer in (added, changed):
        error, *_others = answer.context["adminform"].form.errors["new_password"]
        assert "too similar to the email" in error
    engineer.user.refresh_from_db()
    assert engineer.user.check_password(PASSWORD)


def test_new_password_ends_the_users_session(
    client: Client, browser: Client, engineer: Membership, sign_in: SignIn, events: Events
) -> None:
    sign_in(client, engineer)

    change(browser, engineer.user, is_active="on", new_password=NEW_PASSWORD)

    engineer.user.refresh_from_db()
    assert engineer.user.check_password(NEW_PASSWORD)
    assert client.get(reverse("apitokens:list", args=[engineer.account_id])).status_code == 302
    assert len(events("user.password_set", subject_id=engineer.user_id)) == 1


def test_own_new_password_keeps_the_operator_signed_in(browser: Client, operator: User) -> None:
    change(browser, operator, new_password=NEW_PASSWORD)

    assert browser.get(page("index")).status_code == 200


def test_weak_new_password_changes_nothing(browser: Client, engineer: Membership) -> None:
    assert change(browser, engineer.user, is_active="on", new_password="short") == 400

    engineer.user.refresh_from_db()
    assert engineer.user.check_password(PASSWORD)


def test_address_and_rights_cannot_be_edited(browser: Client, engineer: Membership) -> None:
    before = engineer.user.email

    change(browser, engineer.user, is_active="on", email="evil@example.com", is_staff="on")

    engineer.user.refresh_from_db()
    assert (engineer.user.email, engineer.user.is_staff) == (before, False)


def test_password_hash_is_not_shown(browser: Client, engineer: Membership) -> None:
    text = shown(browser, page("accounts_user_change", engineer.user_id))

    assert engineer.user.password.split("$")[-1] not in text
    assert "argon2" not in text


def test_users_are_not_deleted(browser: Client, engineer: Membership) -> None:
    address = page("accounts_user_delete", engineer.user_id)

    assert browser.post(address, {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=engineer.user_id).exists()


def test_search_and_filters(browser: Client, engineer: Membership) -> None:
    UserFactory.create(email="gone@example.com", name="Theo", is_active=False)

    assert "gone@example.com" in shown(browser, page(LIST), q="theo")
    assert engineer.user.email not in shown(browser, page(LIST), q="theo")
    assert "gone@example.com" not in shown(browser, page(LIST), is_active__exact=1)


def test_operator_gives_a_user_another_address(
    browser: Client, engineer: Membership, events: Events
) -> None:
    before = engineer.user.email

    change(browser, engineer.user, is_active="on", new_email="New@Example.net")

    engineer.user.refresh_from_db()
    assert engineer.user.email == "new@example.net"
    assert EmailAddress.objects.get(user=engineer.user).verified
    (event,) = events("email.changed")
    assert event.details == {"before": before, "after": "new@example.net"}


def test_address_of_another_user_is_refused(
    browser: Client, engineer: Membership, user: Membership, events: Events
) -> None:
    assert change(browser, engineer.user, is_active="on", new_email=user.user.email) == 400

    assert not events("email.changed")
