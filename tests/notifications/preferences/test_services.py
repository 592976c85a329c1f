"""What people want to be told: the defaults, the master switch, and each account for itself."""

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import Membership
from notifications.kinds import (
    KINDS,
    TOKEN_CHANGED_BY_OTHERS,
    TOKEN_CHANGED_IN_ACCOUNT,
    TOKEN_EXPIRING,
    Channel,
)
from notifications.models import Preference
from notifications.preferences.services import (
    Settings,
    choose,
    settings_of,
    turn_off,
    wanted_channels,
)
from notifications.recipients import Person
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def person(member: Membership) -> Person:
    return Person(member.user_id, member.account_id)


def test_kinds_are_on_or_off_by_default_until_somebody_chooses(user: Membership) -> None:
    present = settings_of(person(user))
    assert present.allows_any
    assert set(present.is_on) == {(kind, channel) for kind in KINDS for channel in Channel}
    off = {kind for (kind, _channel), is_on in present.is_on.items() if not is_on}
    assert off == {TOKEN_CHANGED_IN_ACCOUNT.code}


def test_a_choice_is_kept_and_can_be_changed_again(user: Membership) -> None:
    off = {(kind, channel): False for kind in KINDS for channel in Channel}
    choose(person(user), Settings(allows_any=True, is_on=off))
    assert settings_of(person(user)) == Settings(True, off)
    on = dict.fromkeys(off, True)
    choose(person(user), Settings(allows_any=True, is_on=on))
    assert settings_of(person(user)) == Settings(True, on)


def test_the_master_switch_stops_every_kind_and_forgets_no_choice(user: Membership) -> None:
    chosen = settings_of(person(user))
    choose(person(user), chosen._replace(allows_any=False))
    for kind in KINDS.values():
        assert wanted_channels([person(user)], kind)[person(user)] == set()
    assert settings_of(person(user)).is_on == chosen.is_on


def test_turning_off_one_kind_and_channel_leaves_the_others(user: Membership) -> None:
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    assert wanted_channels([person(user)], TOKEN_EXPIRING)[person(user)] == {Channel.PORTAL}
    assert wanted_channels([person(user)], TOKEN_CHANGED_BY_OTHERS)[person(user)] == set(Channel)


def test_turning_off_is_idempotent(user: Membership) -> None:
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    assert Preference.objects.count() == 1


def test_each_account_has_its_own_settings(user: Membership) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    wanted = wanted_channels([person(user), person(elsewhere)], TOKEN_EXPIRING)
    assert wanted == {person(user): {Channel.PORTAL}, person(elsewhere): set(Channel)}


def test_each_person_has_their_own_settings(user: Membership, engineer: Membership) -> None:
    turn_off(person(user), TOKEN_EXPIRING, Channel.EMAIL)
    assert wanted_channels([person(engineer)], TOKEN_EXPIRING)[person(engineer)] == set(Channel)


@pytest.mark.parametrize("people", [1, 5])
def test_settings_of_many_people_cost_one_query(
    people: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asked = [person(MembershipFactory.create()) for _ in range(people)]
    with django_assert_num_queries(1):
        wanted_channels(asked, TOKEN_EXPIRING)
