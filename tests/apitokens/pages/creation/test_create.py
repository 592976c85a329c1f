"""The page "Create API token": one token for one form, shown once."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils.html import strip_tags
from time_machine import TimeMachineFixture

from accounts.models import Account, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.usage.flusher import usage_flusher
from apitokens.verification.verify import verify
from tests.conftest import Api, Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

URL = f"/accounts/{ACCOUNT_ID}/api-tokens/create/"
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
TOKEN = re.compile(r"[1-9][0-9]{8}\$[0-9a-f]{72}")


@pytest.fixture
def browser(client: Client, engineer: Membership, sign_in: SignIn) -> Client:
    """The browser of a member with the role Engineers."""
    sign_in(client, engineer)
    return client


def create_url(member: Membership) -> str:
    return f"/accounts/{member.account_id}/api-tokens/create/"


def filled_in(**changes: Any) -> dict[str, Any]:
    """The form as a browser sends it; None leaves a field out."""
    form = {
        "name": "CI",
        "description": "Builds",
        "role": str(Role.USERS.value),
        "expiration": "never",
        "expires_on": "",
        "form_key": str(uuid4()),
        **changes,
    }
    return {field: value for field, value in form.items() if value is not None}


def text(answer: Any) -> str:
    """What a person reads on the page."""
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def token_in(answer: Any) -> str:
    assert answer.status_code == 200, text(answer)
    found = TOKEN.search(answer.content.decode())
    assert found is not None
    return found[0]


# --- The form ----------------------------------------------------------------------------------


def test_stranger_is_asked_to_sign_in(client: Client) -> None:
    assert client.get(URL)["Location"] == f"/sign-in/?next={URL}"
    assert client.post(URL, filled_in()).status_code == 302
    assert not APIToken.objects.exists()


def test_form_names_everything_as_the_guide_does(browser: Client) -> None:
    said = text(browser.get(URL))
    for label in (
        "Create API token",
        "Token name",
        "Description",
        "Role",
        "Expiration",
        "Never expire",
        "Set expiration date",
        "Create",
        "Discard",
    ):
        assert label in said


@pytest.mark.parametrize("own", Role)
def test_form_offers_only_roles_that_the_member_may_give_away(
    client: Client, account: Account, sign_in: SignIn, own: Role
) -> None:
    sign_in(client, MembershipFactory.create(account=account, role=own))
    page = client.get(URL).content.decode()
    offered = {int(value) for value in re.findall(r'id="id_role_(\d+)"', page)}
    assert offered == {role.value for role in own.covered()}
    for role in own.covered():
        assert unescape(role.explanation) in unescape(page)


def test_date_one_year_ahead_is_preselected(browser: Client) -> None:
    page = browser.get(URL).content.decode()
    today = datetime.now(UTC).date()
    wanted = date(today.year + 1, today.month, min(today.day, 28 if today.month == 2 else 31))
    assert f'value="{wanted}"' in page


@pytest.mark.parametrize(
    ("today", "ahead"), [("2028-02-29", "2029-02-28"), ("2027-02-28", "2028-02-28")]
)
def test_year_ahead_of_the_29th_of_february_ends_on_the_28th(
    browser: Client, time_machine: TimeMachineFixture, today: str, ahead: str
) -> None:
    time_machine.move_to(f"{today}T12:00:00Z")
    Session.objects.update(expire_date=datetime(2100, 1, 1, tzinfo=UTC))
    assert f'value="{ahead}"' in browser.get(URL).content.decode()


def test_every_form_is_another_one(browser: Client) -> None:
    pages = [browser.get(URL).content.decode() for _each in range(2)]
    keys = [re.search(r'name="form_key" value="([^"]+)"', page) for page in pages]
    assert keys[0]
    assert keys[1]
    assert keys[0][1] != keys[1][1]


def test_form_is_not_offered_at_the_limit(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    issue(engineer)
    Account.objects.update(token_limit=1)
    answer = browser.get(URL)
    assert "All 1 are in use" in text(answer)
    assert 'name="form_key"' not in answer.content.decode()


# --- Creating ----------------------------------------------------------------------------------


def test_token_is_created_as_the_form_says(browser: Client, engineer: Membership) -> None:
    browser.post(URL, filled_in(name=" CI ", description="One\r\nTwo", role="3022"))
    token = APIToken.objects.get()
    assert (token.name, token.description, token.held_role, token.issuer, token.expires_at) == (
        "CI",
        "One\nTwo",
        Role.PURGE_AND_PREFETCH_API,
        engineer,
        None,
    )


def test_token_is_shown_and_works_at_once(browser: Client, api: Api) -> None:
    token = token_in(browser.post(URL, filled_in()))
    assert api(token).get("/iam/users/me").status_code == 200


def test_curl_line_stands_in_single_quotes(browser: Client, engineer: Membership) -> None:
    answer = browser.post(URL, filled_in())
    token = token_in(answer)
    line = f"curl -H 'Authorization: APIKey {token}' '"
    assert line in unescape(answer.content.decode())


def test_page_with_the_token_is_not_to_be_stored(browser: Client) -> None:
    answer = browser.post(URL, filled_in())
    assert "no-store" in answer["Cache-Control"]
    assert "no-cache" in answer["Cache-Control"]


def test_token_is_shown_only_once(browser: Client) -> None:
    form = filled_in()
    secret = token_in(browser.post(URL, form)).partition("$")[2]
    for answer in (browser.get(LIST), browser.get(URL), browser.post(URL, form)):
        assert secret not in answer.content.decode()


def test_token_is_parked_in_no_session_cookie_or_cache(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached: list[object] = []
    monkeypatch.setattr(cache, "set", lambda *args, **_kwargs: cached.append(args))
    secret = token_in(browser.post(URL, filled_in())).partition("$")[2]
    kept = [session.get_decoded() for session in Session.objects.all()]
    assert kept
    assert secret not in f"{kept} {cached} {browser.cookies}"


def test_refresh_or_doubled_submit_creates_no_second_token(browser: Client) -> None:
    form = filled_in()
    browser.post(URL, form)
    answer = browser.post(URL, form)
    assert answer.status_code == 409
    assert "This form has already been submitted" in text(answer)
    assert APIToken.objects.count() == 1


def test_another_form_creates_another_token(browser: Client) -> None:
    browser.post(URL, filled_in())
    browser.post(URL, filled_in())
    assert APIToken.objects.count() == 2


def test_second_submit_after_a_deletion_creates_no_token_either(
    browser: Client, engineer: Membership
) -> None:
    form = filled_in()
    browser.post(URL, form)
    browser.post(f"{LIST}{APIToken.objects.get().pk}/delete/")
    assert browser.post(URL, form).status_code == 409
    assert not APIToken.objects.undeleted().exists()


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2090-06-30T23:59:59+00:00"),
        ("Europe/Berlin", "2090-06-30T21:59:59+00:00"),
        ("America/Los_Angeles", "2090-07-01T06:59:59+00:00"),
        ("Pacific/Kiritimati", "2090-06-30T09:59:59+00:00"),
    ],
)
def test_date_means_the_end_of_that_day_where_the_person_is(
    browser: Client, engineer: Membership, zone: str, expected: str
) -> None:
    engineer.user.time_zone = zone
    engineer.user.save()
    browser.post(URL, filled_in(expiration="date", expires_on="2090-06-30"))
    expires = APIToken.objects.get().expires_at
    assert expires is not None
    assert expires.astimezone(UTC).isoformat() == expected


def test_today_is_a_date_that_can_be_chosen(browser: Client, engineer: Membership) -> None:
    zone = "Pacific/Kiritimati"
    engineer.user.time_zone = zone
    engineer.user.save()
    today = datetime.now(ZoneInfo(zone)).date().isoformat()
    token_in(browser.post(URL, filled_in(expiration="date", expires_on=today)))


def test_date_that_is_left_in_the_field_does_not_matter_to_a_token_that_never_expires(
    browser: Client,
) -> None:
    token_in(browser.post(URL, filled_in(expiration="never", expires_on="31 February")))
    assert APIToken.objects.get().expires_at is None


def test_member_of_two_accounts_creates_in_the_one_of_the_page(
    browser: Client, engineer: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=engineer.user, role=Role.USERS)
    browser.post(create_url(elsewhere), filled_in())
    assert APIToken.objects.get().account == elsewhere.account


def test_role_of_the_other_account_does_not_count_here(
    browser: Client, engineer: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=engineer.user, role=Role.USERS)
    assert browser.post(create_url(elsewhere), filled_in(role="5")).status_code == 400
    assert not APIToken.objects.exists()


# --- Periods -----------------------------------------------------------------------------------

BEFORE_MIDNIGHT = "2027-03-01T22:00:00Z"
IN_A_WEEK, IN_A_MONTH, IN_A_YEAR = "2027-03-08", "2027-03-31", "2028-03-01"


@pytest.fixture
def march(browser: Client, time_machine: TimeMachineFixture) -> None:
    """The first of March 2027; nobody has to sign in again for it."""
    time_machine.move_to(BEFORE_MIDNIGHT)
    Session.objects.update(expire_date=datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.usefixtures("march")
def test_periods_stand_with_the_date_they_end_on(browser: Client) -> None:
    said = text(browser.get(URL))
    for period in ("7 days 8 Mar 2027", "30 days 31 Mar 2027", "90 days 30 May 2027"):
        assert period in said
    assert "1 year 1 Mar 2028" in said


@pytest.mark.usefixtures("march")
@pytest.mark.parametrize(
    ("period", "typed", "ends"),
    [
        (IN_A_WEEK, IN_A_YEAR, IN_A_WEEK),  # the date was left as it stood there
        (IN_A_WEEK, IN_A_WEEK, IN_A_WEEK),
        (IN_A_WEEK, "", IN_A_WEEK),
        (IN_A_YEAR, "2027-06-05", "2027-06-05"),  # the period was left as it stood there
        ("", "2027-06-05", "2027-06-05"),
        (None, "2027-06-05", "2027-06-05"),
    ],
)
def test_period_or_date_counts_without_scripts(
    browser: Client, period: str | None, typed: str, ends: str
) -> None:
    form = {"expiration": "date", "expires_on": typed, "initial-expires_on": IN_A_YEAR}
    token_in(browser.post(URL, filled_in(**form, expires_in=period)))
    expires = APIToken.objects.get().expires_at
    assert expires is not None
    assert expires.date().isoformat() == ends


@pytest.mark.usefixtures("march")
@pytest.mark.parametrize(
    ("period", "typed", "sentence"),
    [
        (IN_A_WEEK, "2027-06-05", "This isn't the period you chose. Check the date."),
        ("2020-01-01", IN_A_YEAR, "This date is in the past."),
        ("soon", IN_A_YEAR, "Choose the token's expiration date."),
        ("\0", "", "Choose the token's expiration date."),
    ],
)
def test_period_that_means_nothing_is_told(
    browser: Client, period: str, typed: str, sentence: str
) -> None:
    form = {"expiration": "date", "expires_on": typed, "initial-expires_on": IN_A_YEAR}
    answer = browser.post(URL, filled_in(**form, expires_in=period))
    assert answer.status_code == 400
    assert sentence in text(answer)
    assert not APIToken.objects.exists()


@pytest.mark.usefixtures("march")
def test_period_of_a_page_from_yesterday_means_the_date_that_it_showed(
    browser: Client, time_machine: TimeMachineFixture
) -> None:
    form = filled_in(
        name="",
        expiration="date",
        expires_in=IN_A_WEEK,
        expires_on=IN_A_YEAR,
        **{"initial-expires_on": IN_A_YEAR},
    )
    time_machine.move_to("2027-03-02T22:00:00Z")
    page = browser.post(URL, form).content.decode()
    assert f'name="expires_on" value="{IN_A_WEEK}"' in page
    assert re.search(r'value=""\s+data-period="id_expires_on"\s+checked', page)


def test_never_and_administrators_is_cautioned(
    browser: Client, client: Client, administrator: Membership, sign_in: SignIn
) -> None:
    """Which of them is shown when, styles decide; a script is not needed."""
    assert "full access to the account" in text(browser.get(URL))


# --- Mistakes ----------------------------------------------------------------------------------


def test_all_mistakes_are_told_together_each_in_its_own_words(browser: Client) -> None:
    form = filled_in(name="", role="1", expiration="date", expires_on="2020-01-01")
    answer = browser.post(URL, form)
    said = text(answer)
    assert "Fix 3 problems to continue" in said
    for sentence in (
        "Enter a name.",
        "Can't create token with role Administrators",
        "This date is in the past. Choose a later one.",
    ):
        assert sentence in said


@pytest.mark.parametrize(
    ("mistakes", "focused"),
    [
        ({}, "id_name"),
        ({"name": "", "role": ""}, "id_name"),
        ({"description": "a\0b", "expiration": ""}, "id_description"),
        ({"role": "", "expiration": ""}, "id_role"),
        ({"expiration": ""}, "id_expiration"),
        ({"expiration": "date", "expires_on": "2020-01-01"}, "id_expires_on"),
    ],
)
def test_first_wrong_field_is_focused(
    browser: Client, mistakes: dict[str, str], focused: str
) -> None:
    answer = browser.post(URL, filled_in(**mistakes)) if mistakes else browser.get(URL)
    tags = re.findall(r"<[^>]*\sautofocus[^>]*>", answer.content.decode())
    assert [re.findall(r'\sid="([^"]+)"', tag) for tag in tags] == [[focused]]


# --- Signing in again --------------------------------------------------------------------------


def test_form_that_was_open_before_signing_in_again_keeps_what_was_typed(
    engineer: Membership, sign_in: SignIn
) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, engineer)
    browser.get(URL)
    typed = filled_in(name="Kept", role="5", typed_by=str(engineer.user_id))
    stale = {**typed, "csrfmiddlewaretoken": "x" * 64}
    answer = browser.post(URL, stale, headers={"Origin": "http://testserver"})
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "nothing was created yet" in text(answer)
    assert 'value="Kept"' in page
    assert re.search(r'id="id_role_5"[^>]*checked', page)
    assert not APIToken.objects.exists()

    csrf = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert csrf
    token_in(browser.post(URL, {**stale, "csrfmiddlewaretoken": csrf[1]}))


@pytest.mark.parametrize("origin", [None, "null", "https://elsewhere.example"])
def test_form_of_another_site_fills_in_nothing(
    engineer: Membership, sign_in: SignIn, origin: str | None
) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, engineer)
    browser.get(URL)
    headers = {"Origin": origin} if origin else {}
    answer = browser.post(URL, filled_in(name="Planted"), headers=headers)
    assert answer.status_code == 403
    assert "Planted" not in answer.content.decode()


def test_form_that_was_sent_after_signing_out_waits_for_the_person(
    client: Client, engineer: Membership, sign_in: SignIn
) -> None:
    long = {"description": "d" * 2000, "typed_by": str(engineer.user_id)}
    client.post(URL, filled_in(name="Kept", role="5", expiration="date", **long))
    sign_in(client, engineer)
    answer = client.get(URL)
    page = answer.content.decode()
    assert "nothing was created yet" in text(answer)
    assert 'value="Kept"' in page
    assert long["description"] in page
    assert re.search(r'id="id_role_5"[^>]*checked', page)
    assert "nothing was created yet" not in text(client.get(URL)), "once"


def test_nobody_else_is_shown_what_was_typed(
    administrator: Membership, engineer: Membership, sign_in: SignIn
) -> None:
    browser = Client(enforce_csrf_checks=True)
    typed = filled_in(name="Of another", typed_by=str(administrator.user_id))
    ours = {"Origin": "http://testserver"}
    for signs_in_first in (False, True):
        if signs_in_first:
            sign_in(browser, engineer)
        browser.get(URL)
        stale = {**typed, "csrfmiddlewaretoken": "x" * 64}
        answer = browser.post(URL, stale, headers=ours)
        assert "Of another" not in answer.content.decode()
    browser = Client()
    browser.post(URL, typed)
    sign_in(browser, engineer)
    assert "Of another" not in browser.get(URL).content.decode()


@pytest.mark.parametrize("cookie", ["", "x", "W10:1tXyZ:abc", "\u00e9" * 9, "x" * 9000])
def test_draft_that_nobody_signed_is_none(browser: Client, cookie: str) -> None:
    browser.cookies["token-draft"] = cookie
    assert browser.get(URL).status_code == 200


def test_draft_of_random_text_fits_into_a_cookie(client: Client) -> None:
    huge = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(20_000))
    client.post(URL, filled_in(name="Kept", description=huge))
    assert 0 < len(client.cookies["token-draft"].value) < 3_500


# --- After it was created ----------------------------------------------------------------------


def test_list_says_what_was_created_and_begins_there(browser: Client) -> None:
    page = browser.post(URL, filled_in(name="CI & more")).content.decode()
    token = APIToken.objects.get()
    leave = re.search(r'href="([^"]+)"\s+data-secret-leave', page)
    assert leave
    led = browser.get(leave[1])
    assert led["Location"] == f"{LIST}#token-{token.pk}"
    answer = browser.get(LIST)
    assert "“CI & more” was created." in text(answer)
    assert f'id="token-{token.pk}" tabindex="-1"' in answer.content.decode()
    browser.get(leave[1])
    assert "was created" not in text(browser.get(LIST)), "once"


def test_token_of_long_ago_was_not_created_now(
    browser: Client, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(engineer, at=now - timedelta(days=2)).token
    led = browser.get(f"{LIST}{token.pk}/created/", follow=True)
    assert "was created" not in text(led)


def test_another_members_token_was_not_created_by_the_reader(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token = issue(administrator).token
    assert browser.get(f"{LIST}{token.pk}/created/").status_code == 404
    assert browser.get(f"{LIST}{token.pk}/first-request/").status_code == 404
    assert browser.get(f"{LIST}{10**30}/created/").status_code == 404


def test_first_request_is_told_when_it_has_arrived(
    browser: Client, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(engineer)
    url, accept = f"{LIST}{token.pk}/first-request/", {"Accept": "application/json"}
    assert "Waiting for the first request…" in text(browser.get(url))
    assert browser.get(url, headers=accept).json()["received"] is False

    for address in ("203.0.113.7", "203.0.113.8"):
        verify(presented=key.spell(), at=now, address=address)
    usage_flusher.flush()
    arrived = "First request received, from 203.0.113.7"
    assert arrived in text(browser.get(url))
    assert browser.get(url, headers=accept).json() == {"received": True, "words": arrived}
    assert key.secret not in browser.get(url).content.decode()


def test_samples_have_the_token_where_it_does_no_harm(browser: Client) -> None:
    page = unescape(browser.post(URL, filled_in()).content.decode())
    token = TOKEN.search(page)
    assert token
    assert page.count(token[0]) == 5  # alone, Header, curl, Terraform, .env
    assert f"API_TOKEN='{token[0]}'" in page
    assert "os.environ['API_TOKEN']" in page
    assert "process.env.API_TOKEN" in page


# --- Bad input ---------------------------------------------------------------------------------

TOMORROW = (date.today() + timedelta(days=1)).isoformat()  # noqa: DTZ011  # any day ahead will do
LONG = "n" * 100_000

BAD = [
    ("name", None, "Enter a name."),
    ("name", "", "Enter a name."),
    ("name", "   ", "Enter a name."),
    ("name", "n" * 256, "at most 255 characters"),
    ("name", LONG, "at most 255 characters"),
    ("name", "a\0b", "Null characters are not allowed."),
    ("name", "a\x07b", "control characters"),
    ("name", "a\nb", "line breaks"),
    ("name", "a\u202eb", "text direction"),
    ("name", "\u200b", "visible character"),
    ("description", "d" * 2001, "at most 2000 characters"),
    ("description", "a\0b", "Null characters are not allowed."),
    ("description", "a\x1bb", "control characters"),
    ("role", None, "Choose a role."),
    ("role", "", "Choose a role."),
    ("role", "7", "Choose a role from the list."),
    ("role", "99999999999999999999", "Choose a role from the list."),
    ("role", "Users", "Choose a role from the list."),
    ("role", "2.0", "Choose a role from the list."),
    ("role", "\0", "Choose a role from the list."),
    ("role", "1", "Can't create token with role Administrators"),
    ("expiration", None, "Choose whether the token should expire."),
    ("expiration", "", "Choose whether the token should expire."),
    ("expiration", "perhaps", "Choose whether the token should expire."),
    ("expiration", "\0", "Choose whether the token should expire."),
    ("form_key", None, "This form is incomplete."),
    ("form_key", "", "This form is incomplete."),
    ("form_key", "x", "This form is damaged."),
    ("form_key", "\0", "This form is damaged."),
    ("form_key", LONG, "This form is damaged."),
]
BAD_DATES = [
    ("", "Choose the token's expiration date."),
    (None, "Choose the token's expiration date."),
    ("2090-02-31", "Enter a valid date in the format YYYY-MM-DD."),
    ("2090-13-01", "Enter a valid date in the format YYYY-MM-DD."),
    ("31.12.2090", "Enter a valid date in the format YYYY-MM-DD."),
    ("tomorrow", "Enter a valid date in the format YYYY-MM-DD."),
    ("10000-01-01", "Enter a valid date in the format YYYY-MM-DD."),
    ("0000-00-00", "Enter a valid date in the format YYYY-MM-DD."),
    ("-2090-01-01", "Enter a valid date in the format YYYY-MM-DD."),
    ("\0", "Enter a valid date in the format YYYY-MM-DD."),
    (LONG, "Enter a valid date in the format YYYY-MM-DD."),
    ("0001-01-01", "This date is in the past."),
    ("1969-12-31", "This date is in the past."),
    ("2020-01-01", "This date is in the past."),
    ("2400-01-01", "This date is too far in the future."),
    ("9999-12-31", "This date is too far in the future."),
]


@pytest.mark.parametrize(("field", "value", "sentence"), BAD)
def test_bad_field_is_told_and_nothing_is_created(
    browser: Client, field: str, value: str | None, sentence: str
) -> None:
    answer = browser.post(URL, filled_in(**{field: value}))
    assert answer.status_code == 400
    assert sentence in text(answer)
    assert not APIToken.objects.exists()


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize(("value", "sentence"), BAD_DATES)
def test_bad_date_is_told_and_nothing_is_created(
    browser: Client, engineer: Membership, zone: str, value: str | None, sentence: str
) -> None:
    engineer.user.time_zone = zone
    engineer.user.save()
    answer = browser.post(URL, filled_in(expiration="date", expires_on=value))
    assert answer.status_code == 400
    assert sentence in text(answer)
    assert not APIToken.objects.exists()


def test_form_with_nothing_in_it_is_told_what_it_lacks(browser: Client) -> None:
    answer = browser.post(URL, {})
    assert answer.status_code == 400
    assert "Enter a name." in text(answer)
    assert "Fix 4 problems to continue" in text(answer)


def test_what_was_typed_is_still_there_after_a_refusal(browser: Client) -> None:
    form = filled_in(name="Kept", description="Kept too", role="5", expires_on="2090-02-31")
    page = browser.post(URL, {**form, "expiration": "date"}).content.decode()
    assert 'value="Kept"' in page
    assert "Kept too" in page
    assert re.search(r'id="id_role_5"[^>]*checked', page)
    assert form["form_key"] in page


def test_markup_that_was_typed_is_shown_as_text_after_a_refusal(browser: Client) -> None:
    bad = "\"><script>alert('x')</script>"
    page = browser.post(
        URL, filled_in(name=bad, description=bad, role=bad, expires_on=bad, form_key=bad)
    ).content.decode()
    assert "<script>alert" not in page


def test_forged_role_is_refused_with_a_clear_400(browser: Client) -> None:
    answer = browser.post(URL, filled_in(role="1"))
    assert answer.status_code == 400
    assert "Can't create token with role Administrators" in text(answer)


def test_form_that_arrives_at_the_limit_is_told_and_creates_nothing(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    issue(engineer)
    Account.objects.update(token_limit=1)
    answer = browser.post(URL, filled_in())
    assert answer.status_code == 400
    assert "All 1 are in use" in text(answer)
    assert APIToken.objects.count() == 1


def test_field_that_is_sent_several_times_counts_once(browser: Client) -> None:
    browser.post(URL, filled_in(name=["First", "Last"], role=["5", "2"]))
    token = APIToken.objects.get()
    assert (token.name, token.held_role) == ("Last", Role.USERS)


def test_fields_that_nobody_asked_for_change_nothing(
    browser: Client, administrator: Membership
) -> None:
    extra = {"member": administrator.pk, "account": 99, "id": 5, "digest": "00", "issuer_id": 1}
    browser.post(URL, {**filled_in(), **extra})
    token = APIToken.objects.get()
    assert token.issuer != administrator
    assert token.pk != 5


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"name": "CI"}'),
        ("text/plain", b"name=CI"),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data", b"--x"),
        ("application/x-www-form-urlencoded", b"%FF=%FF&name=%ED%A0%80"),
        ("application/x-www-form-urlencoded", b"\xff\xfe\x00"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1500)),
        ("application/x-www-form-urlencoded", b"name=" + b"n" * 1_000_000),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"n" * 1_000_000),
    ],
    ids=lambda each: repr(each[:40]),
)
def test_body_that_is_no_form_is_refused(browser: Client, kind: str, body: bytes) -> None:
    answer = browser.post(URL, data=body, content_type=kind)
    assert answer.status_code in (400, 413)
    assert not APIToken.objects.exists()


def test_form_of_another_site_is_refused(engineer: Membership, sign_in: SignIn) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, engineer)
    answer = browser.post(URL, filled_in())
    assert answer.status_code == 403
    assert "This form has expired" in text(answer)
    assert not APIToken.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_page_knows_no_other_methods(browser: Client, method: str) -> None:
    assert getattr(browser, method)(URL).status_code == 405


def test_removed_member_creates_nothing(
    browser: Client, engineer: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=engineer.pk).update(removed_at=now)
    assert browser.post(URL, filled_in()).status_code == 404
    assert not APIToken.objects.exists()


def test_member_who_is_removed_while_the_form_is_on_its_way_creates_nothing(
    browser: Client, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    issue = token_services.issue

    def removed_meanwhile(**facts: Any) -> token_services.Issued:
        Membership.objects.update(removed_at=now)
        return issue(**facts)

    monkeypatch.setattr(token_services, "issue", removed_meanwhile)
    assert browser.post(URL, filled_in()).status_code == 403
    assert not APIToken.objects.exists()
