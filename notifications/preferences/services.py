"""A person's notification settings in one account: a master switch, then each kind by channel."""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from django.db import transaction

from notifications.kinds import KINDS, Channel, Kind
from notifications.models import ALL_KINDS, Preference
from notifications.recipients import Person


def wanted_channels(people: Collection[Person], kind: Kind) -> dict[Person, set[Channel]]:
    """The channels by which each of these people wants news of this kind; one query."""
    answers = _answers(people, kinds=(ALL_KINDS, kind.code))
    return {
        person: {channel for channel in Channel if _is_on(answers[person], kind, channel)}
        if _allows_any(answers[person])
        else set()
        for person in people
    }


class Settings(NamedTuple):
    """The settings page of one person: the master switch, and each (kind, channel). As a choice:
    what is to change; None, and what is left out, stay as they are."""

    allows_any: bool | None
    is_on: dict[tuple[str, Channel], bool]


def settings_of(person: Person) -> Settings:
    """The settings of a person: their choices, or the defaults where there are none."""
    answers = _answers([person])[person]
    return Settings(
        allows_any=_allows_any(answers),
        is_on={
            (kind.code, channel): _is_on(answers, kind, channel)
            for kind in KINDS.values()
            for channel in Channel
        },
    )


@transaction.atomic
def choose(person: Person, chosen: Settings) -> None:
    """Save what was changed on the settings page."""
    if chosen.allows_any is not None:
        _save(person, ALL_KINDS, "", is_on=chosen.allows_any)
    for (kind, channel), is_on in chosen.is_on.items():
        _save(person, kind, channel, is_on=is_on)


def turn_off(person: Person, kind: Kind, channel: Channel) -> None:
    """Turn off one kind in one channel, and nothing else. Idempotent."""
    _save(person, kind.code, channel, is_on=False)


def forget(person: Person) -> None:
    """Go back to the defaults: another one reads in their place."""
    Preference.objects.filter(user_id=person.user_id, account_id=person.account_id).delete()


Answers = dict[tuple[str, str], bool]


def _answers(
    people: Collection[Person], kinds: Collection[str] | None = None
) -> dict[Person, Answers]:
    asked = Preference.objects.filter(
        user_id__in={person.user_id for person in people},
        account_id__in={person.account_id for person in people},
    )
    if kinds is not None:
        asked = asked.filter(kind__in=kinds)
    found: dict[Person, Answers] = defaultdict(dict)
    for user_id, account_id, kind, channel, is_on in asked.values_list(
        "user_id", "account_id", "kind", "channel", "is_on"
    ):
        found[Person(user_id, account_id)][kind, channel] = is_on
    return found


def _allows_any(answers: Answers) -> bool:
    return answers.get((ALL_KINDS, ""), True)


def _is_on(answers: Answers, kind: Kind, channel: Channel) -> bool:
    return answers.get((kind.code, channel.value), channel in kind.default_channels)


def _save(person: Person, kind: str, channel: str, *, is_on: bool) -> None:
    Preference.objects.update_or_create(
        user_id=person.user_id,
        account_id=person.account_id,
        kind=kind,
        channel=channel,
        defaults={"is_on": is_on},
    )
