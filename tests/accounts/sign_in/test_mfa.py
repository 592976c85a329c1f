"""Second factors: an authenticator app, recovery codes, and what takes signing in again."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership, User
from accounts.sign_in.mfa import SecondFactorAdapter, disable, has_two_factors, use_code
from tests.factories import ACCOUNT_ID, PASSWORD
from tests.outbox import mail_to

pytestmark = pytest.mark.django_db

SECURITY = "/profile/security/"
APP = "/profile/security/app/"
CODES = "/profile/security/recovery-codes/"
PASSKEYS = "/profile/security/passkeys/"
SECOND_STEP = "/sign-in/second-factor/"
LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


def code_at(at: datetime, secret: str = SECRET) -> str:
    """What the app shows at this moment."""
    return str(format_hotp_value(hotp_value(secret, int(at.timestamp()) // 30)))


def give_app(user: User, secret: str = SECRET) -> Authenticator:
    data = {"secret": SecondFactorAdapter().encrypt(secret)}
    found: Authenticator = Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data=data
    )
    return found


def kept_factors(member: Membership) -> list[Any]:
    return list(Authenticator.objects.filter(user=member.user).order_by("pk").values("pk", "data"))


def sign_in(client: Client, member: Membership) -> Any:
    return client.post("/sign-in/", {"login": member.user.email, "password": PASSWORD})


def prove(client: Client) -> None:
    """Sign in once more, as delicate things ask for."""
    client.post("/sign-in/again/", {"password": PASSWORD})


def is_signed_in(client: Client) -> bool:
    return client.get(LIST).status_code == 200


@pytest.fixture
def browser(client: Client, user: Membership) -> Client:
    sign_in(client, user)
    prove(client)
    return client


def switch_on(browser: Client) -> str:
    """Add an app through the pages. Returns its secret."""
    browser.get(APP)
    secret: str = browser.session["mfa.totp.secret"]
    browser.post(APP, {"code": code_at(datetime.now(UTC), secret)})
    return secret


def test_app_is_added_with_a_code_of_it(browser: Client, user: Membership) -> None:
    switch_on(browser)
    assert has_two_factors(user.user)


def test_wrong_code_adds_nothing(browser: Client, user: Membership) -> None:
    browser.get(APP)
    assert "to continue" in browser.post(APP, {"code": "000000"}).content.decode()
    assert not has_two_factors(user.user)


def test_secret_is_kept_encrypted(browser: Client, user: Membership) -> None:
    secret = switch_on(browser)
    kept = Authenticator.objects.get(type=Authenticator.Type.TOTP).data["secret"]
    assert secret not in kept
    assert SecondFactorAdapter().decrypt(kept) == secret


def test_secret_outlives_a_change_of_the_key(settings: Settings, user: Membership) -> None:
    app = give_app(user.user)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key" * 5
    assert use_code(user=user.user, code=code_at(NOW), at=NOW) == app


@pytest.mark.django_db(transaction=True)
def test_adding_leaves_events_and_a_mail(browser: Client, user: Membership) -> None:
    switch_on(browser)
    events = AuditEvent.objects.filter(kind="two_factor.added", user=user.user)
    assert {event.details["factor"] for event in events} == {"totp", "recovery_codes"}
    assert mail_to(user.user.email).subject == "An authenticator app was added"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("does", "kind"),
    [
        ("add", "two_factor.added"),
        ("remove", "two_factor.removed"),
        ("renew", "two_factor.codes_renewed"),
    ],
)
def test_factor_changes_together_with_its_event_or_not_at_all(
    browser: Client, user: Membership, monkeypatch: pytest.MonkeyPatch, does: str, kind: str
) -> None:
    if does != "add":
        switch_on(browser)
    before = kept_factors(user)
    record = audit.record

    def fail(kind_now: str, **facts: Any) -> AuditEvent:
        if kind_now == kind:
            raise RuntimeError("The audit log cannot be written.")
        return record(kind_now, **facts)

    monkeypatch.setattr(audit, "record", fail)
    browser.raise_request_exception = False
    if does == "add":
        switch_on(browser)
    else:
        browser.post(f"{APP}remove/" if does == "remove" else f"{CODES}new/")
    assert kept_factors(user) == before


def test_each_use_encrypts_with_the_newest_key(settings: Settings, user: Membership) -> None:
    give_app(user.user)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another key" * 5
    settings.SECRET_KEY_FALLBACKS = [former]
    use_code(user=user.user, code=code_at(NOW), at=NOW)
    settings.SECRET_KEY_FALLBACKS = []
    later = NOW + timedelta(minutes=1)
    assert use_code(user=user.user, code=code_at(later), at=later) is not None


def test_factor_whose_key_is_lost_lets_nobody_in_and_says_so(
    settings: Settings, client: Client, user: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    give_app(user.user)
    sign_in(client, user)
    settings.SECRET_KEY = "another key" * 5
    assert use_code(user=user.user, code=code_at(NOW), at=NOW) is None
    assert "neither SECRET_KEY nor among" in caplog.text


@pytest.mark.both
@pytest.mark.django_db(transaction=True)
def test_of_many_who_send_the_same_code_at_once_one_is_let_in(user: Membership) -> None:
    give_app(user.user)
    barrier = threading.Barrier(8)

    def send() -> bool:
        barrier.wait(30)
        try:
            return use_code(user=user.user, code=code_at(NOW), at=NOW) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = [answer.result() for answer in [pool.submit(send) for _ in range(8)]]
    assert sum(answers) == 1


def test_password_alone_lets_nobody_in_any_more(client: Client, user: Membership) -> None:
    give_app(user.user)
    assert sign_in(client, user)["Location"] == SECOND_STEP
    assert not is_signed_in(client)


def test_code_of_the_app_lets_in(client: Client, user: Membership) -> None:
    give_app(user.user)
    sign_in(client, user)
    answer = client.post(SECOND_STEP, {"code": code_at(datetime.now(UTC))})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_signed_in(client)


def test_event_tells_of_both_steps(client: Client, user: Membership) -> None:
    give_app(user.user)
    sign_in(client, user)
    client.post(SECOND_STEP, {"code": code_at(datetime.now(UTC))})
    event = AuditEvent.objects.get(kind="sign_in.succeeded")
    assert (event.details["auth_type"], event.details["second_factor"]) == ("password", "totp")


def test_wrong_code_lets_nobody_in_and_leaves_an_event(client: Client, user: Membership) -> None:
    give_app(user.user)
    sign_in(client, user)
    assert "incorrect. Try again." in client.post(SECOND_STEP, {"code": "000000"}).content.decode()
    assert not is_signed_in(client)
    event = AuditEvent.objects.get(kind="sign_in.refused")
    assert (event.subject_id, event.details["second_factor"]) == (user.user.pk, "totp")


def test_code_of_another_user_is_refused(
    client: Client, user: Membership, administrator: Membership
) -> None:
    give_app(user.user)
    give_app(administrator.user, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    sign_in(client, user)
    code = code_at(datetime.now(UTC), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    client.post(SECOND_STEP, {"code": code})
    assert not is_signed_in(client)


def test_codes_cannot_be_guessed(client: Client, user: Membership) -> None:
    give_app(user.user)
    sign_in(client, user)
    for number in range(5):
        client.post(SECOND_STEP, {"code": f"00000{number}"})
    answer = client.post(SECOND_STEP, {"code": code_at(datetime.now(UTC))})
    assert "Too many failed attempts" in answer.content.decode()
    assert not is_signed_in(client)


def test_second_step_needs_the_first(client: Client, user: Membership) -> None:
    give_app(user.user)
    answer = client.post(SECOND_STEP, {"code": code_at(datetime.now(UTC))})
    assert answer["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_code_is_good_once(user: Membership) -> None:
    app = give_app(user.user)
    assert use_code(user=user.user, code=code_at(NOW), at=NOW) == app
    assert use_code(user=user.user, code=code_at(NOW), at=NOW) is None


def test_code_is_good_once_as_long_as_clocks_are_forgiven(user: Membership) -> None:
    give_app(user.user)
    use_code(user=user.user, code=code_at(NOW), at=NOW)
    later = NOW + timedelta(seconds=35)
    assert use_code(user=user.user, code=code_at(NOW), at=later) is None


def test_code_from_before_the_last_one_is_good_no_more(user: Membership) -> None:
    give_app(user.user)
    earlier = code_at(NOW - timedelta(seconds=30))
    use_code(user=user.user, code=code_at(NOW), at=NOW)
    assert use_code(user=user.user, code=earlier, at=NOW) is None


def test_next_code_is_good(user: Membership) -> None:
    app = give_app(user.user)
    use_code(user=user.user, code=code_at(NOW), at=NOW)
    later = NOW + timedelta(seconds=30)
    assert use_code(user=user.user, code=code_at(later), at=later) == app


@pytest.mark.parametrize(
    ("seconds", "is_good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_clocks_may_be_half_a_minute_off(user: Membership, seconds: int, is_good: bool) -> None:
    give_app(user.user)
    code = code_at(NOW + timedelta(seconds=seconds))
    assert (use_code(user=user.user, code=code, at=NOW) is not None) is is_good


@pytest.mark.django_db(transaction=True)
def test_first_code_is_used_up_by_adding_the_app(browser: Client, user: Membership) -> None:
    browser.get(APP)
    secret = browser.session["mfa.totp.secret"]
    code = code_at(datetime.now(UTC), secret)
    browser.post(APP, {"code": code})
    assert use_code(user=user.user, code=code, at=datetime.now(UTC)) is None


@pytest.mark.parametrize(
    "code", ["", " ", "12345", "1234567", "abcdef", "\0", "１２３４５６", "-1"]
)
def test_bad_codes_are_none(user: Membership, code: str) -> None:
    give_app(user.user)
    assert use_code(user=user.user, code=code, at=NOW) is None


def test_spaces_in_a_code_do_not_matter(user: Membership) -> None:
    app = give_app(user.user)
    code = code_at(NOW)
    assert use_code(user=user.user, code=f" {code[:3]} {code[3:]} ", at=NOW) == app


def full_width(code: str) -> str:
    return "".join(chr(ord(digit) + 0xFEE0) for digit in code)


def hyphened(code: str) -> str:
    return f"{code[:3]}-{code[3:]}"


def arabic(code: str) -> str:
    return "".join(chr(ord(digit) - ord("0") + 0x660) for digit in code)


@pytest.mark.parametrize(
    "typed", [full_width, arabic, "\ufeff{}\u200b".format, "\u3000{}".format, hyphened]
)
def test_code_is_taken_as_any_keyboard_types_it(user: Membership, typed: Any) -> None:
    app = give_app(user.user)
    assert use_code(user=user.user, code=typed(code_at(NOW)), at=NOW) == app
    assert use_code(user=user.user, code=code_at(NOW), at=NOW) is None


@pytest.mark.parametrize("typed", [full_width, arabic, hyphened])
def test_app_and_recovery_code_are_taken_as_any_keyboard_types_them(
    browser: Client, user: Membership, typed: Any
) -> None:
    browser.get(APP)
    secret = browser.session["mfa.totp.secret"]
    browser.post(APP, {"code": typed(code_at(datetime.now(UTC), secret))})
    assert has_two_factors(user.user)
    client = Client()
    sign_in(client, user)
    client.post(SECOND_STEP, {"code": typed(recovery_code(user))})
    assert is_signed_in(client)


def test_recovery_codes_are_shown_once(browser: Client, user: Membership) -> None:
    switch_on(browser)
    first = browser.get(CODES)
    code = recovery_code(user)
    assert code in first.content.decode()
    assert "no-store" in first["Cache-Control"]
    assert code not in browser.get(CODES).content.decode()


def recovery_code(member: Membership) -> str:
    kept = Authenticator.objects.get(user=member.user, type=Authenticator.Type.RECOVERY_CODES)
    return str(kept.wrap().get_unused_codes()[0])


def test_recovery_code_lets_in_once(browser: Client, user: Membership) -> None:
    switch_on(browser)
    code = recovery_code(user)
    for client, is_let_in in ((Client(), True), (Client(), False)):
        sign_in(client, user)
        client.post(SECOND_STEP, {"code": code})
        assert is_signed_in(client) is is_let_in


def test_new_recovery_codes_end_the_old_ones(browser: Client, user: Membership) -> None:
    switch_on(browser)
    old = recovery_code(user)
    browser.post(f"{CODES}new/")
    assert recovery_code(user) != old
    assert use_code(user=user.user, code=old, at=NOW) is None


def test_removing_the_app_takes_the_codes_along(browser: Client, user: Membership) -> None:
    switch_on(browser)
    browser.post(f"{APP}remove/")
    assert not Authenticator.objects.filter(user=user.user).exists()
    assert AuditEvent.objects.filter(kind="two_factor.removed", user=user.user).count() == 2


@pytest.mark.parametrize("path", [APP, f"{APP}remove/", f"{CODES}new/", f"{PASSKEYS}add/"])
def test_open_browser_is_not_enough(client: Client, user: Membership, path: str) -> None:
    sign_in(client, user)
    Authenticator.objects.create(
        user=user.user,
        type=Authenticator.Type.RECOVERY_CODES,
        data={"seed": SecondFactorAdapter().encrypt("ab" * 20), "used_mask": 0},
    )
    if "remove" in path:
        give_app(user.user)
    for answer in (client.get(path), client.post(path)):
        assert answer["Location"].startswith("/sign-in/again/")


def test_open_browser_is_not_enough_to_remove_a_passkey(client: Client, user: Membership) -> None:
    sign_in(client, user)
    key = Authenticator.objects.create(
        user=user.user, type=Authenticator.Type.WEBAUTHN, data={"name": "Phone"}
    )
    url = f"{PASSKEYS}{key.pk}/remove/"
    for answer in (client.get(url), client.post(url)):
        assert answer["Location"].startswith("/sign-in/again/")
    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_proof_is_good_for_five_minutes(browser: Client, time_machine: Any) -> None:
    assert browser.get(APP).status_code == 200
    time_machine.move_to(time.time() + 301)
    assert browser.get(APP)["Location"].startswith("/sign-in/again/")


def test_wrong_password_proves_nothing(client: Client, user: Membership) -> None:
    sign_in(client, user)
    client.post("/sign-in/again/", {"password": "wrong"})
    assert client.get(APP)["Location"].startswith("/sign-in/again/")


def test_page_shows_nothing_of_others(browser: Client, administrator: Membership) -> None:
    give_app(administrator.user)
    assert "Add an app" in browser.get(SECURITY).content.decode()


def test_nobody_removes_the_passkey_of_others(browser: Client, administrator: Membership) -> None:
    key = Authenticator.objects.create(
        user=administrator.user, type=Authenticator.Type.WEBAUTHN, data={"name": "Phone"}
    )
    for path in ("remove", "rename"):
        url = f"/profile/security/passkeys/{key.pk}/{path}/"
        assert browser.post(url, {"name": "x"}).status_code == 404
    assert Authenticator.objects.filter(pk=key.pk).exists()


def credential(**response: Any) -> str:
    shape = {"type": "public-key", "id": "YQ", "rawId": "YQ", "clientExtensionResults": {}}
    return json.dumps({**shape, "response": response})


BAD_CREDENTIALS = [
    "",
    "x",
    "null",
    "[]",
    "{}",
    '{"id": 1}',
    '{"response": {}}',
    '{"response": [], "id": "YQ"}',
    '{"id": "YQ", "rawId": 1, "response": {"clientDataJSON": 1}}',
    "\0",
    "[" * 5000,
    '{"response": ' * 2000,
    f'{{"response": {{"x": "{"y" * 70_000}"}}}}',
    credential(),
    credential(clientDataJSON="!", attestationObject="!"),
    credential(clientDataJSON="YQ", attestationObject="YQ"),
    credential(clientDataJSON="e30", attestationObject="oA", authenticatorData="", signature=""),
    credential(clientDataJSON="e30", authenticatorData="YQ", signature="YQ", userHandle="YQ"),
    credential(clientDataJSON="e30", authenticatorData="YQ", signature="YQ", userHandle=1),
    credential(clientDataJSON="e30", authenticatorData="YQ", signature="YQ", userHandle="Og"),
    credential(clientDataJSON="e30", authenticatorData="YQ", signature="YQ", userHandle="_w"),
    credential(clientDataJSON="bnVsbA", authenticatorData="A" * 200, signature="YQ"),
]


@pytest.mark.parametrize("sent", BAD_CREDENTIALS, ids=lambda text: repr(text)[:20])
@pytest.mark.parametrize("path", ["/sign-in/passkey/", "/profile/security/passkeys/add/"])
def test_bad_passkeys_are_refused(browser: Client, path: str, sent: str) -> None:
    client = Client() if "sign-in" in path else browser
    client.get(path, HTTP_ACCEPT="application/json")
    answer = client.post(path, {"credential": sent, "name": "x", "passwordless": "on"})
    assert answer.status_code in (200, 302, 400)
    assert not Authenticator.objects.exists()


def test_passkeys_belong_to_the_configured_host(browser: Client, settings: Settings) -> None:
    settings.BASE_URL, settings.ALLOWED_HOSTS = "https://tokens.example.com", ["*"]
    answer = browser.get("/profile/security/passkeys/add/", HTTP_X_FORWARDED_HOST="evil.example")
    assert answer.context["js_data"]["creation_options"]["publicKey"]["rp"]["id"] == (
        "tokens.example.com"
    )


def test_operator_removes_the_factors_of_a_user_who_has_lost_them(
    user: Membership, now: datetime
) -> None:
    give_app(user.user)
    assert disable(user=user.user, by=Actor.operator(through=EntryPoint.COMMAND), at=now)
    assert not has_two_factors(user.user)
    assert AuditEvent.objects.get(kind="mfa.disabled").subject_id == user.user.pk


def test_command_removes_the_factors_of_a_user_and_mails_them(user: Membership) -> None:
    give_app(user.user)
    call_command("switch_off_second_factors", user.user.email.upper())
    assert not has_two_factors(user.user)
    assert mail_to(user.user.email).subject == "Two-factor authentication was turned off"


def test_administrators_switch_off_nobodys_second_factor(
    user: Membership, administrator: Membership, now: datetime
) -> None:
    give_app(user.user)
    with pytest.raises(PermissionDenied):
        disable(user=user.user, by=Actor.member(administrator), at=now)
    assert has_two_factors(user.user)


class TestOperators:
    """Whether the operators' pages ask for a second factor."""

    @pytest.fixture(autouse=True)
    def operator(self, user: Membership, settings: Settings) -> None:
        user.user.is_staff = user.user.is_superuser = True
        user.user.save()
        settings.OPERATORS_NEED_TWO_FACTORS = True

    def test_operator_without_one_is_sent_to_add_one(self, browser: Client) -> None:
        answer = browser.get("/operators/", follow=True)
        assert answer.redirect_chain[-1][0] == SECURITY
        assert "need a second factor" in answer.content.decode()

    def test_operator_without_one_changes_nothing(self, browser: Client, user: Membership) -> None:
        path = f"/operators/accounts/account/{user.account_id}/change/"
        assert browser.post(path, {"name": "Changed"}).status_code == 302
        user.account.refresh_from_db()
        assert user.account.name != "Changed"

    def test_operator_who_signs_in_with_one_gets_in(self, client: Client, user: Membership) -> None:
        give_app(user.user)
        sign_in(client, user)
        client.post("/sign-in/second-factor/", {"code": code_at(datetime.now(UTC))})
        assert client.get("/operators/").status_code == 200

    def test_operator_who_has_one_gives_it_first(self, browser: Client, user: Membership) -> None:
        """The session began without: a password that was stolen is not enough for it."""
        give_app(user.user)
        path = "/operators/apitokens/apitoken/"
        question = browser.get(path, follow=True).redirect_chain[-1][0]
        assert question.startswith("/sign-in/again/code/")
        browser.post("/sign-in/again/", {"password": PASSWORD})
        assert browser.get(path).status_code == 302
        answer = browser.post(question, {"code": code_at(datetime.now(UTC)), "next": path})
        assert answer["Location"] == path
        assert browser.get(path).status_code == 200

    def test_operator_who_has_a_passkey_is_asked_for_it(
        self, browser: Client, user: Membership
    ) -> None:
        Authenticator.objects.create(user=user.user, type=Authenticator.Type.WEBAUTHN, data={})
        login = browser.get("/operators/")["Location"]
        assert browser.get(login)["Location"].startswith("/sign-in/again/passkey/")

    def test_nobody_is_asked_where_it_is_not_required(
        self, browser: Client, settings: Settings
    ) -> None:
        settings.OPERATORS_NEED_TWO_FACTORS = False
        assert browser.get("/operators/").status_code == 200
