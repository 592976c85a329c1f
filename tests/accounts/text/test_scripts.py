"""Names in any script come back as they were typed: from pages, the API, the file and mails."""

import csv
import json
import unicodedata
from datetime import datetime
from email import message_from_bytes, policy

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from hypothesis import given
from hypothesis import strategies as st

from accounts.account import services as account_services
from accounts.audit import csv_export
from accounts.audit.listing import AuditFilter
from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import Membership
from accounts.roles import Role
from accounts.text import csv_lines
from accounts.text.folding import normal_text
from accounts.validators import validate_name
from apitokens.models import APIToken
from notifications.email.rendering import build_message, one_line, render_mail
from notifications.models import Mail
from tests.conftest import Api, Issue, SignIn

NAMES = [
    "Jose\u0301 Ñandú",
    "Żółć & Söhne",
    "Иван Йод",
    "Ədalət İbrahimov",
    "李小龙",
    "株式会社 例",
    "مريم العربي",
    "שָׁלוֹם עולם",
    "\u200fمريم\u200e mixed",
    "क्षत्रिय",
    "ไทย ภาษา",
    "한국어",
    "👩🏽‍🚀 crew 🇦🇿",
    "\u0915\u200d\u0937 joined",
    "Z͑ͫ̓a̴lgo",
    "𝔉raktur ﬁ",
    "=1+1",
    "<b>bold</b>",
    "a\u00a0b \u3000c",
    "\U000e0041 tagged",
]
REFUSED = ["a\0b", "a\u202eb", "a\u2066b", "a\u2028b", "\u200b", "\u3164", "a\x85b"]


def composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


@pytest.mark.django_db
@pytest.mark.both
def test_names_of_tokens(
    client: Client, user: Membership, sign_in: SignIn, issue: Issue, api: Api
) -> None:
    sign_in(client, user)
    page = reverse("apitokens:create", args=[user.account_id])
    _token, key = issue(user)
    form = {"role": Role.USERS.value, "expiration": "never"}
    for number, name in enumerate(NAMES):
        created = client.post(page, {**form, "name": name, "form_key": f"{number:032x}"})
        assert created.status_code == 200, name
    for name in REFUSED:
        refused = client.post(page, {**form, "name": name, "form_key": "f" * 32})
        assert refused.status_code == 400, name
    path = f"/iam/v2/clients/{user.account_id}/tokens"
    half = {"name": "a\ud800b", "exp_date": None, "client_user": {"role": {"name": "Users"}}}
    assert api(key).post(path, json.dumps(half), content_type="application/json").status_code == 400

    stored = set(APIToken.objects.values_list("name", flat=True))
    assert {composed(name).strip() for name in NAMES} <= stored
    assert len(stored) == len(NAMES) + 1
    listed = client.get(reverse("apitokens:list", args=[user.account_id]), {"page_size": 50}).text
    answered = api(key).get(path).json()
    assert {token["name"] for token in answered} == stored
    assert [name for name in stored if escape(name) not in listed] == []
    found = [APIToken.objects.filter(name__icontains=name).count() for name in NAMES]
    assert found == [1] * len(NAMES)


@pytest.mark.django_db
@pytest.mark.both
def test_names_of_companies(administrator: Membership, now: datetime) -> None:
    account, by = administrator.account, Actor.member(administrator)
    for number, name in enumerate(NAMES):
        account_services.rename_account(account=account, name=name, by=by, at=now)
        account.refresh_from_db()
        assert account.name == composed(name)
        if number % 4 == 0:
            invitations.invite(
                account=account, email=f"a{number}@example.com", role=Role.USERS, by=by, at=now
            )
            mail = Mail.objects.latest("created_at", "pk")
            rendered = render_mail(mail, at=now)
            assert rendered is not None
            sent = message_from_bytes(
                build_message(mail, rendered).message().as_bytes(), policy=policy.default
            )
            assert sent["Subject"] == rendered.subject
            assert one_line(composed(name)) in rendered.text
    for name in REFUSED:
        with pytest.raises(ValidationError):
            account_services.rename_account(account=account, name=name, by=by, at=now)

    events = AuditFilter(QueryDict("kind=account.renamed"), actor=by).events()
    file = "".join(csv_export.lines(events)).removeprefix(csv_lines.BYTE_ORDER_MARK)
    details = [json.loads(row["details"]) for row in csv.DictReader(file.splitlines(keepends=True))]
    assert {each["after"] for each in details} == set(map(composed, NAMES))


@given(st.text(max_size=40))
def test_name_that_is_taken_is_one_line_that_every_place_can_hold(text: str) -> None:
    try:
        validate_name(text)
    except ValidationError:
        return
    stored = normal_text(text)
    assert unicodedata.is_normalized("NFC", stored)
    stored.encode()
    assert len(stored.splitlines()) <= 1
    assert "\0" not in stored
    row = next(csv.reader([f'"{csv_lines.harmless(stored).replace(chr(34), chr(34) * 2)}"']))
    assert row in ([stored], [f"'{stored}"])
    validate_name(stored)
