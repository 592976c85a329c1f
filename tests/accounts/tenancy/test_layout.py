"""What stands around every page: the sidebar says where the reader is."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory

from accounts.models import Membership
from accounts.tenancy.context_processors import section_of
from config.views import permission_denied
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/profile/", "profile"),
        ("/profile/security/password/", "profile"),
        ("/profile/account/", "account"),
        ("/profile/account/single-sign-on/settings/", "account"),
        ("/profile/users/invite/", "users"),
        ("/profile/api-tokens/12/", "api-tokens"),
        ("/profile/audit-log/", "audit-log"),
        ("/profile/notifications/", "notifications"),
        ("/accounts/3/", "account"),
        ("/accounts/3/single-sign-on/settings/", "account"),
        ("/accounts/3/users/invite/", "users"),
        ("/accounts/3/api-tokens/12/", "api-tokens"),
        ("/accounts/3/api-tokens/services/new/", "account"),
        ("/accounts/3/api-tokens/access/", "users"),
        ("/accounts/3/audit-log/", "audit-log"),
        ("/accounts/3/notifications/settings/", "notifications"),
        ("/accounts/3/notifications/", "inbox"),
        ("/accounts/3/notifications/12/", "inbox"),
        ("/accounts/3/leave/", ""),
        ("/accounts/new/", ""),
        ("/accounts/", ""),
        ("/accounts", ""),
        ("/notifications/", ""),
        ("/", ""),
        ("", ""),
    ],
)
def test_page_belongs_to_an_entry_of_the_sidebar(path: str, section: str) -> None:
    assert section_of(path) == section


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "entry", "how"),
    [
        ("/profile/", "My profile", "page"),
        ("/profile/security/", "My profile", "true"),
        (f"/accounts/{ACCOUNT_ID}/", "Account", "page"),
        (f"/accounts/{ACCOUNT_ID}/users/invite/", "All users", "true"),
        (f"/accounts/{ACCOUNT_ID}/api-tokens/", "API tokens", "page"),
        (f"/accounts/{ACCOUNT_ID}/api-tokens/create/", "API tokens", "true"),
        (f"/accounts/{ACCOUNT_ID}/audit-log/", "Audit log", "page"),
        (f"/accounts/{ACCOUNT_ID}/notifications/settings/", "Notifications", "page"),
        ("/iam/docs", "API documentation", "page"),
    ],
)
def test_sidebar_marks_one_entry(
    client: Client, administrator: Membership, sign_in: SignIn, path: str, entry: str, how: str
) -> None:
    sign_in(client, administrator)
    page = client.get(path).content.decode()
    marked = re.findall(r'nav__item"[^>]*aria-current="(\w+)".*?<span>([^<]+)</span>', page, re.S)
    assert marked == [(how, entry)]


@pytest.mark.parametrize(
    ("said", "shown"),
    [("The account is closed. Ask <i>an operator</i>.", "Ask &lt;i&gt;an operator"), ("", "role")],
)
def test_refusal_says_why_where_the_verb_does(rf: RequestFactory, said: str, shown: str) -> None:
    request = rf.get("/profile/")
    request.user = AnonymousUser()
    answer = permission_denied(request, PermissionDenied(said))
    assert answer.status_code == 403
    assert shown in answer.content.decode()
