"""The settings page: each person chooses for themselves, in each account."""

from datetime import datetime

import lxml.html
import pytest
from django.test import Client

from accounts.models import Membership
from accounts.roles import Role
from notifications.kinds import (
    CERTIFICATE_ENDING,
    KINDS,
    STAYED_AWAY,
    TOKEN_CHANGED_BY_OTHERS,
    TOKEN_EXPIRING,
    TOKEN_USED_FROM_ELSEWHERE,
    TOKEN_USED_FROM_NEW_ADDRESS,
    Channel,
    Kind,
)
from notifications.models import Preference
from notifications.preferences.services import settings_of, turn_off
from notifications.recipients import Person
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID, ConnectionFactory, MembershipFactory

pytestmark = pytest.mark.django_db

SETTINGS = f"/accounts/{ACCOUNT_ID}/notifications/settings/"
# What can reach a user of an account without single sign-on.
FOR_EVERYBODY = {TOKEN_EXPIRING, TOKEN_CHANGED_BY_OTHERS, TOKEN_USED_FROM_ELSEWHERE}
BOXES = [f"{kind.code}-{channel}" for kind in FOR_EVERYBODY for channel in Channel]


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    """The browser of `user`."""
    sign_in(client, user)
    return client


def person(member: Membership) -> Person:
    return Person(member.user_id, member.account_id)


def save(browser: Client, member: Membership, *checked: str) -> str:
    """Press [Save] with these boxes checked; returns the page that comes."""
    data = {"account": str(member.account_id), **dict.fromkeys(checked, "on")}
    answer = browser.post(SETTINGS, data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_page_has_every_kind_in_the_words_of_the_guide(
    browser: Client, user: Membership
) -> None:
    page = browser.get(SETTINGS).content.decode()
    in_order = [
        "<h1>Notifications</h1>",
        "Allow notifications",
        "General",
        "API token is expiring",
        "Notification is sent when one of your API tokens is about to expire.",
        "Email",
        "Portal",
        "Security",
        "Your API token changed by someone else",
        "Save",
    ]
    place = 0
    for words in in_order:
        place = page.index(words, place)


def test_the_page_says_for_which_account_and_address(browser: Client, user: Membership) -> None:
    page = browser.get(SETTINGS).content.decode()
    assert f"<bdi>{user.account.name}</bdi></strong>" in page
    assert f"<bdi>{user.user.email}</bdi>" in page


def test_everything_is_checked_at_first(browser: Client, user: Membership) -> None:
    page = browser.get(SETTINGS).content.decode()
    assert page.count(" checked") == 1 + len(BOXES)


def test_what_is_checked_is_what_comes(browser: Client, user: Membership) -> None:
    page = save(browser, user, "allows_any", "token_expiring-portal")
    assert "Your notification settings were saved." in page
    present = settings_of(person(user))
    assert present.allows_any
    on = [f"{kind}-{channel}" for (kind, channel), is_on in present.is_on.items() if is_on]
    unshown = {TOKEN_USED_FROM_NEW_ADDRESS, STAYED_AWAY, CERTIFICATE_ENDING}
    untouched = [
        f"{kind.code}-{channel}"
        for kind in KINDS.values()
        if kind in unshown
        for channel in Channel
    ]
    assert on == ["token_expiring-portal", *untouched]


def test_the_page_shows_what_was_chosen(browser: Client, user: Membership) -> None:
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    page = browser.get(SETTINGS).content.decode()
    assert 'id="id_token_expiring-email">' in page
    assert 'id="id_token_expiring-portal" checked>' in page


def test_the_master_switch_keeps_the_choices_for_later(browser: Client, user: Membership) -> None:
    save(browser, user, "token_expiring-email")
    present = settings_of(person(user))
    assert not present.allows_any
    assert present.is_on[TOKEN_EXPIRING.code, Channel.EMAIL]
    assert not present.is_on[TOKEN_EXPIRING.code, Channel.PORTAL]


def test_settings_of_other_people_and_other_accounts_stay(
    browser: Client, user: Membership, administrator: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    save(browser, user)
    for other in (administrator, elsewhere):
        assert settings_of(person(other)).allows_any
    saved = set(Preference.objects.values_list("user_id", "account_id"))
    assert saved == {(user.user_id, user.account_id)}


def test_page_saves_for_its_account_whatever_was_opened_since(
    browser: Client, user: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=user.user, account__name="Globex")
    browser.get(SETTINGS)
    browser.get(f"/accounts/{elsewhere.account_id}/notifications/settings/")
    page = save(browser, user)
    assert "Globex</bdi></strong>" not in page
    assert set(Preference.objects.values_list("account_id", flat=True)) == {user.account_id}


def form_in(page: str) -> dict[str, str]:
    """The fields of the settings form as the browser would send them, untouched."""
    (form,) = (each for each in lxml.html.fromstring(page).forms if "allows_any" in each.fields)
    return {name: value for name, value in form.form_values() if isinstance(value, str)}


def test_two_windows_take_nothing_back_from_each_other(browser: Client, user: Membership) -> None:
    first = form_in(browser.get(SETTINGS).content.decode())
    second, boxes = dict(first), list(first)
    assert {"allows_any", "token_expiring-email", "token_expiring-portal"} <= set(boxes)

    del first["token_expiring-email"], first["allows_any"]
    browser.post(SETTINGS, first)
    del second["token_expiring-portal"]
    browser.post(SETTINGS, second)

    present = settings_of(person(user))
    assert not present.allows_any
    assert not present.is_on["token_expiring", Channel.EMAIL]
    assert not present.is_on["token_expiring", Channel.PORTAL]
    assert present.is_on[TOKEN_CHANGED_BY_OTHERS.code, Channel.EMAIL]


def test_page_that_was_open_takes_back_no_unsubscribing(browser: Client, user: Membership) -> None:
    opened = form_in(browser.get(SETTINGS).content.decode())

    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    browser.post(SETTINGS, opened)

    assert not settings_of(person(user)).is_on[TOKEN_EXPIRING.code, Channel.EMAIL]


def test_what_was_turned_off_is_turned_on_again(browser: Client, user: Membership) -> None:
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)

    changed = form_in(browser.get(SETTINGS).content.decode())
    assert "token_expiring-email" not in changed
    browser.post(SETTINGS, changed | {"token_expiring-email": "on"})

    assert settings_of(person(user)).is_on[TOKEN_EXPIRING.code, Channel.EMAIL]


@pytest.mark.parametrize("number", ["", "0", "x", "9" * 23])
def test_a_forged_form_saves_nothing(browser: Client, number: str) -> None:
    answer = browser.post(SETTINGS, {"account": number, "allows_any": "on"}, follow=True)
    assert "This form is damaged." in answer.content.decode()
    assert not Preference.objects.exists()


def test_kinds_that_do_not_exist_are_ignored(browser: Client, user: Membership) -> None:
    save(browser, user, "allows_any", "everything-email", "token_expiring-pigeon")
    kinds = set(Preference.objects.values_list("kind", flat=True))
    assert kinds == {"", *(kind.code for kind in FOR_EVERYBODY)}


@pytest.mark.parametrize(
    ("role", "has_sso", "shown"),
    [
        (Role.USERS, False, FOR_EVERYBODY),
        (Role.USERS, True, {*FOR_EVERYBODY, STAYED_AWAY}),
        (Role.ADMINISTRATORS, False, set(KINDS.values()) - {STAYED_AWAY, CERTIFICATE_ENDING}),
        (Role.ADMINISTRATORS, True, set(KINDS.values())),
    ],
)
def test_page_offers_only_what_can_reach_the_person(
    client: Client, sign_in: SignIn, role: Role, has_sso: bool, shown: set[Kind]
) -> None:
    member = MembershipFactory.create(role=role)
    if has_sso:
        ConnectionFactory.create(account=member.account)
    sign_in(client, member)
    page = client.get(f"/accounts/{member.account_id}/notifications/settings/")
    assert set(page.context["form"].kinds) == shown


def test_what_cannot_reach_the_person_now_is_kept_for_later(
    browser: Client, user: Membership
) -> None:
    turn_off(person(user), CERTIFICATE_ENDING, Channel.EMAIL)
    save(browser, user, "allows_any", f"{CERTIFICATE_ENDING.code}-email")
    assert not settings_of(person(user)).is_on[CERTIFICATE_ENDING.code, Channel.EMAIL]


def test_saving_needs_the_form_of_the_page(user: Membership, sign_in: SignIn) -> None:
    forger = Client(enforce_csrf_checks=True)
    sign_in(forger, user)
    assert forger.post(SETTINGS, {"account": user.account_id}).status_code == 403
    assert not Preference.objects.exists()


def test_saving_needs_a_present_member(browser: Client, user: Membership, now: datetime) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    assert browser.post(SETTINGS, {"account": user.account_id}).status_code == 404
    assert not Preference.objects.exists()


def test_the_sidebar_leads_there(browser: Client) -> None:
    page = browser.get("/profile/").content.decode()
    assert f'href="{SETTINGS}"' in page
