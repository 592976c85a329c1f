"""Forms lead on to paths of the portal, and to nothing else."""

import pytest
from django.test import Client

from accounts.models import Membership
from apitokens.models import APIToken
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
NO_PATHS = ["foo", "[", "?", "#", "//evil.example", "https:evil.example", r"\\evil.example", "/\\x"]


@pytest.mark.parametrize("wanted", NO_PATHS)
def test_after_deleting_all_only_paths_are_followed(
    client: Client, user: Membership, sign_in_now: SignIn, issue: Issue, wanted: str
) -> None:
    issue(user)
    sign_in_now(client, user)
    sent = {"next": wanted, "shown": str(APIToken.objects.get().pk)}
    answer = client.post(f"{LIST}of/{user.user_id}/delete/", sent)
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
    assert APIToken.objects.get().is_deleted


@pytest.mark.parametrize("wanted", NO_PATHS)
def test_links_of_former_mails_lead_into_their_account_only(client: Client, wanted: str) -> None:
    answer = client.get(f"/accounts/{ACCOUNT_ID}/open/", {"next": wanted})
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)


@pytest.mark.parametrize("wanted", NO_PATHS)
def test_after_deleting_only_paths_are_followed(
    client: Client, user: Membership, sign_in: SignIn, issue: Issue, wanted: str
) -> None:
    token = issue(user).token
    sign_in(client, user)
    answer = client.post(f"{LIST}{token.pk}/delete/", {"next": wanted})
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
    assert APIToken.objects.get().is_deleted


def test_a_path_with_its_filters_is_followed(
    client: Client, user: Membership, sign_in: SignIn, issue: Issue
) -> None:
    token = issue(user).token
    sign_in(client, user)
    wanted = f"{LIST}?status=all"
    answer = client.post(f"{LIST}{token.pk}/delete/", {"next": wanted})
    assert answer.headers["Location"] == wanted
