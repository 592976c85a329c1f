"""The fields that choose people for what acts on them: who is meant is shown before."""

from datetime import datetime
from typing import Any

import pytest
from django import forms
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from accounts.people.candidates import MEMBERS, among_receivers, receivers_of
from accounts.people.forms import PersonField
from accounts.people.search import label_of
from accounts.roles import Role
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory, service_account

pytestmark = pytest.mark.django_db

FIND = reverse("accounts:find_people", kwargs={"account_id": ACCOUNT_ID})


class Receiver(forms.Form):
    to = PersonField(shows_first=True)


def filled(text: str) -> Any:
    form: Any = Receiver({"to": text})
    members = receivers_of(Role.ENGINEERS, account_id=ACCOUNT_ID)
    form.fields["to"].offer(members, account_id=ACCOUNT_ID)
    return form


@pytest.fixture
def jonathan(administrator: Membership) -> Membership:
    return MembershipFactory.create(
        account=administrator.account,
        role=Role.ENGINEERS,
        user__name="Jonathan Bell",
        user__email="jon@example.com",
    )


@pytest.mark.both
@pytest.mark.parametrize(
    "text",
    ["jonathan BELL", "JON@example.com", "J (jon@example.com)", "J <jon@example.com>", "{id}"],
)
def test_whole_name_or_address_is_taken(jonathan: Membership, text: str) -> None:
    form = filled(text.format(id=jonathan.user_id))
    assert form.is_valid()
    assert form.cleaned_data["to"] == jonathan
    assert 'value="Jonathan Bell (jon@example.com)"' in str(form["to"])


@pytest.mark.both
@pytest.mark.parametrize("text", ["jon", "Bell", "jon@"])
def test_part_of_a_name_is_shown_as_whom_it_means_and_taken_then(
    jonathan: Membership, text: str
) -> None:
    form = filled(text)
    assert form.errors["to"] == [
        "Do you mean Jonathan Bell (jon@example.com)? If so, send the form again."
    ]
    shown = form["to"].value()
    assert shown == "Jonathan Bell (jon@example.com)"
    assert filled(shown).is_valid()


@pytest.mark.both
def test_service_account_is_known_by_its_id_in_each_language(
    administrator: Membership, now: datetime
) -> None:
    twins = [service_account(administrator.account, at=now).membership for _ in range(2)]
    assert "Several people match" in filled("Deploys").errors["to"][0]
    for each in twins:
        assert label_of(each) == f"Deploys (service account {each.user_id})"
        for words in (label_of(each), f"Deploys（服务账户 {each.user_id}）"):
            form = filled(words)
            assert form.is_valid(), words
            assert form.cleaned_data["to"] == each
    assert not filled(f"Others (service account {twins[0].user_id})").is_valid()


@pytest.mark.both
def test_suggestions_are_those_whom_the_field_takes(
    client: Client,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    now: datetime,
    sign_in: SignIn,
) -> None:
    sign_in(client, administrator)
    service = service_account(administrator.account, at=now).membership
    left = MembershipFactory.create(account=administrator.account, removed_at=now)
    receivers = among_receivers(Role.ENGINEERS, without=engineer.user_id)

    def found(**among: str) -> set[int]:
        people = client.get(FIND, {"q": "@", **among}).json()["people"]
        return {int(each["id"]) for each in people}

    everyone = {each.user_id for each in (administrator, engineer, user, service, left)}
    assert found() == everyone
    assert found(**MEMBERS) == everyone - {service.user_id, left.user_id}
    assert found(**receivers) == {administrator.user_id, service.user_id}
    assert found(**{**receivers, "without": "x"}) == found(**receivers) | {engineer.user_id}
    for wrong in ({"among": "x"}, {**receivers, "role": "77"}, {**receivers, "role": "\0"}):
        assert found(**wrong) == set()
