"""Forms lead on to paths of the portal, and to nothing else."""

import pytest
from django.test import Client

from accounts.models import Membership
from apitokens.models import APIToken
from tests.conftest import Issue, SignIn

pytestmark = pytest.mark.django_db
NO_PATHS = ["foo", "[", "?", "#", "//evil.example", "https:evil.example", r"\\evil.example", "/\\x"]


@pytest.mark.parametrize("wanted", NO_PATHS)
def test_after_switching_only_paths_are_followed(
    client: Client, user: Membership, sign_in: SignIn, wanted: str
) -> None:
    sign_in(client, user)
    answer = client.post("/accounts/switch/", {"account": user.account_id, "next": wanted})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


@pytest.mark.parametrize("wanted", NO_PATHS)
def test_after_deleting_only_paths_are_followed(
    client: Client, user: Membership, sign_in: SignIn, issue: Issue, wanted: str
) -> None:
    token = issue(user).token
    sign_in(client, user)
    answer = client.post(f"/profile/api-tokens/{token.pk}/delete/", {"next": wanted})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/profile/api-tokens/")
    assert APIToken.objects.get().is_deleted


def test_a_path_with_its_filters_is_followed(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)
    wanted = "/profile/api-tokens/?status=all"
    answer = client.post("/accounts/switch/", {"account": user.account_id, "next": wanted})
    assert answer.headers["Location"] == wanted
