"""The operators' command line."""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Role
from accounts.sign_in import registration
from apitokens.models import APIToken, VerifierKey
from apitokens.pepper_checks import faults
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over
from apitokens.verification.verifier_keys import issue_verifier
from apitokens.verification.verify import verify
from tests.conftest import Issue, SignIn
from tests.factories import PASSWORD, AccountFactory, MembershipFactory, UserFactory
from tests.operators.conftest import Events

NEW_PASSWORD = "another long pass phrase"


class Printed(NamedTuple):
    out: str
    err: str


def run(*command: Any) -> Printed:
    """Run `manage.py …` and return what it printed."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*map(str, command), stdout=out, stderr=err)
    return Printed(out.getvalue(), err.getvalue())


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`types("yes")`: what a person at the terminal types, line by line."""

    def act(*lines: str) -> None:
        monkeypatch.setattr("sys.stdin", Keyboard("".join(f"{line}\n" for line in lines)))
        answers = iter(lines)
        monkeypatch.setattr("accounts.management.terminal.getpass", lambda _prompt: next(answers))

    return act


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`pipes("…")`: what arrives on the standard input while nobody is there."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def issue_token(member: Membership, *options: Any, role: object = "Users") -> Printed:
    return run(
        "issue_token",
        *("--account", member.account_id, "--issuer", member.user.email),
        *("--role", role, "--name", "Nightly backup", *options),
    )


# --- issue_token ---


def test_token_alone_is_on_the_standard_output_and_it_works(
    engineer: Membership, now: datetime
) -> None:
    printed = issue_token(engineer)

    presented = printed.out.removesuffix("\n")
    assert verify(presented=presented, at=now).membership_id == engineer.pk
    assert presented not in printed.err
    assert presented.split("$")[1] not in printed.err
    assert "Nightly backup" in printed.err


def test_json_holds_the_token_and_its_facts(engineer: Membership, now: datetime) -> None:
    facts = json.loads(issue_token(engineer, "--json", "--expires", "never").out)

    assert verify(presented=facts["token"], at=now).token_id == facts["id"]
    assert facts["expires_at"] is None
    assert facts["issued_by"] == engineer.user.email


def test_token_is_limited_to_scopes_and_addresses(engineer: Membership, now: datetime) -> None:
    limits = ["--scope", "users:read", "--scope", "audit:read"]
    limits += ["--allowed-address", "203.0.113.0/24", "--allowed-address", "2001:DB8::7"]

    facts = json.loads(issue_token(engineer, *limits, "--json").out)

    token = APIToken.objects.get()
    assert token.held_scopes == facts["scopes"] == ["audit:read", "users:read"]
    assert token.allowed_addresses.split() == facts["allowed_addresses"]
    assert facts["allowed_addresses"] == ["203.0.113.0/24", "2001:db8::7"]


def test_issuing_is_recorded_as_the_command_lines_deed(
    engineer: Membership, events: Events
) -> None:
    issue_token(engineer)

    (event,) = events("token.issued")
    assert (event.through, event.user) == ("command", None)
    assert event.details["issuer"] == engineer.user_id


def test_expiration_is_the_end_of_the_day_where_the_issuer_is(
    engineer: Membership, now: datetime
) -> None:
    engineer.user.time_zone = "Asia/Baku"
    engineer.user.save()
    year = now.year + 2

    issue_token(engineer, "--expires", f"{year}-06-30")

    assert APIToken.objects.get().expires_at == datetime(year, 6, 30, 19, 59, 59, tzinfo=UTC)


def test_token_ends_after_a_year_unless_told_otherwise(engineer: Membership, now: datetime) -> None:
    issue_token(engineer)

    expires_at = APIToken.objects.get().expires_at
    assert expires_at is not None
    assert timedelta(days=364) < expires_at - now < timedelta(days=368)


@pytest.mark.parametrize("role", ["Engineers", 5, "5"])
def test_role_is_named_by_name_or_id(engineer: Membership, role: object) -> None:
    issue_token(engineer, role=role)

    assert APIToken.objects.get().held_role is Role.ENGINEERS


def test_account_is_named_by_name_or_id(engineer: Membership) -> None:
    options = ("--issuer", engineer.user.email.upper(), "--role", "Users", "--name", "x")

    run("issue_token", "--account", "Example Inc.", *options)

    assert APIToken.objects.get().account == engineer.account


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--role", "Administrators"], "Can't create token with role Administrators"),
        (["--role", "King"], "There is no such role"),
        (["--expires", "2026-02-31"], "must be a date that exists"),
        (["--expires", "soon"], "must be a date that exists"),
        (["--expires", ""], "must be a date that exists"),
        (["--expires", "2001-01-01"], "This date is in the past"),
        (["--expires", "9999-12-31"], "too far in the future"),
        (["--name", ""], "Name:"),
        (["--name", "two\nlines"], "one line of text"),
        (["--name", "x" * 256], "Name:"),
        (["--description", "x" * 2001], "Description:"),
        (["--account", "Nobody"], "There is no account"),
        (["--account", "99999999999999999999"], "There is no account"),
        (["--account", "\udcff"], "not valid UTF-8"),
        (["--issuer", "nobody@example.com"], "can't issue tokens"),
        (["--issuer", "\udcff"], "not valid UTF-8"),
        (["--name", "\udcff"], "one line of text"),
        (["--scope", "cdn:purge"], "There is no scope “cdn:purge”"),
        (["--scope", ""], "Choose at least one scope"),
        (["--allowed-address", "203.0.113.7/24"], "Write 203.0.113.0/24 for the network"),
        (["--allowed-address", ""], "is not an IP address"),
        (["--allowed-address", "\udcff"], "is not an IP address"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence_and_issues_nothing(
    engineer: Membership, options: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError) as refusal:
        issue_token(engineer, *options)

    assert sentence in str(refusal.value)
    assert not APIToken.objects.exists()


def test_limit_holds_for_operators_too(engineer: Membership, issue: Issue) -> None:
    Account.objects.update(token_limit=1)
    issue(engineer)

    with pytest.raises(CommandError, match="has reached its limit of 1 API tokens"):
        issue_token(engineer)

    assert APIToken.objects.count() == 1


@pytest.mark.parametrize("change", ["removed", "inactive", "closed"])
def test_nobody_issues_in_the_name_of_who_is_gone(
    engineer: Membership, now: datetime, change: str
) -> None:
    match change:
        case "removed":
            Membership.objects.update(removed_at=now)
        case "inactive":
            User.objects.update(is_active=False)
        case "closed":
            Account.objects.update(closed_at=now)

    with pytest.raises(CommandError, match="can't issue tokens"):
        issue_token(engineer)


def test_name_of_several_accounts_asks_for_an_id(engineer: Membership) -> None:
    AccountFactory.create(name="Example Inc.")

    with pytest.raises(CommandError, match="Several accounts are called"):
        issue_token(engineer, "--account", "Example Inc.")


# --- revoke_tokens ---


def test_without_a_selection_nothing_is_deleted(engineer: Membership, issue: Issue) -> None:
    issue(engineer)

    with pytest.raises(CommandError, match="Say which API tokens"):
        run("revoke_tokens", "--yes")

    assert not APIToken.objects.deleted().exists()


def test_dry_run_shows_and_deletes_nothing(engineer: Membership, issue: Issue) -> None:
    token, _key = issue(engineer, name="Deploys")

    printed = run("revoke_tokens", "--account", engineer.account_id, "--dry-run", "--yes")

    for fact in (str(token.pk), "Deploys", engineer.user.email, "API tokens: 1.", "Dry run"):
        assert fact in printed.out
    assert not APIToken.objects.deleted().exists()


def test_terminal_shows_what_is_done_how_far_it_is_and_how_long_it_takes_still(
    engineer: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(3):
        issue(engineer)
    monkeypatch.setattr("apitokens.management.commands.revoke_tokens.PART", 1)
    monkeypatch.setattr("accounts.management.progress.EVERY_SECONDS", 0)
    chosen = ("revoke_tokens", "--account", str(engineer.account_id), "--yes")
    file, terminal = io.StringIO(), Keyboard()

    call_command(*chosen, "--dry-run", stdout=file, stderr=terminal)
    listed = terminal.getvalue()
    call_command(*chosen, stdout=Keyboard(), stderr=terminal)

    deleted = terminal.getvalue().removeprefix(listed)
    for what, shown in (("Listing API tokens", listed), ("Deleting API tokens", deleted)):
        assert re.search(rf"\r{what}: 1 of 3 \(33%\), about \d+ s left", shown)
        assert f"{what}: 3 of 3 (100%)" in shown
        assert shown.endswith("\r")  # the line is taken away
    assert "Listing" not in deleted  # the tokens themselves are there to be seen


def test_where_nobody_watches_no_progress_is_written(engineer: Membership, issue: Issue) -> None:
    issue(engineer)
    assert run("revoke_tokens", "--account", engineer.account_id, "--yes").err == ""


@pytest.mark.parametrize(("answer", "deleted"), [("yes", 1), ("YES ", 1), ("y", 0), ("", 0)])
def test_person_is_asked(
    engineer: Membership, issue: Issue, types: Callable[..., None], answer: str, deleted: int
) -> None:
    issue(engineer)
    types(answer)

    run("revoke_tokens", "--account", engineer.account_id)

    assert APIToken.objects.deleted().count() == deleted


def test_token_that_was_handed_over_while_the_question_stood_stays(
    engineer: Membership,
    administrator: Membership,
    issue: Issue,
    monkeypatch: pytest.MonkeyPatch,
    now: datetime,
) -> None:
    kept, gone = (issue(engineer).token for _number in range(2))

    def answer(_question: str) -> str:
        hand_over(
            account=engineer.account,
            token_ids=[kept.pk],
            to=administrator,
            by=Actor.operator(through=EntryPoint.COMMAND),
            at=now,
        )
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("apitokens.management.commands.revoke_tokens.is_interactive", lambda: True)

    assert "Deleted: 1." in run("revoke_tokens", "--issuer", engineer.user.email).out

    assert list(APIToken.objects.deleted()) == [gone]


def test_nobody_there_to_ask_deletes_nothing(
    engineer: Membership, issue: Issue, pipes: Callable[[str], None]
) -> None:
    issue(engineer)
    pipes("yes\n")

    with pytest.raises(CommandError, match="Add --yes"):
        run("revoke_tokens", "--account", engineer.account_id)

    assert not APIToken.objects.deleted().exists()


def test_tokens_of_one_account_are_deleted_on_the_record(
    engineer: Membership, stranger: Membership, issue: Issue, events: Events
) -> None:
    token, _key = issue(engineer)
    other, _key = issue(stranger)

    assert "Deleted: 1." in run("revoke_tokens", "--account", "Example Inc.", "--yes").out

    assert APIToken.objects.undeleted().get() == other
    (event,) = events("token.deleted")
    assert (event.subject_id, event.through, event.user) == (token.pk, "command", None)


def test_tokens_of_one_person_are_deleted_in_all_their_accounts(
    engineer: Membership, administrator: Membership, issue: Issue
) -> None:
    elsewhere = MembershipFactory.create(user=engineer.user)
    mine = {issue(engineer).token, issue(elsewhere).token}
    issue(administrator)

    run("revoke_tokens", "--issuer", engineer.user.email, "--yes")

    assert set(APIToken.objects.deleted()) == mine


def test_tokens_are_deleted_by_id(engineer: Membership, issue: Issue) -> None:
    first, second, other = (issue(engineer).token for _number in range(3))

    run("revoke_tokens", "--yes", "--id", first.pk, second.pk)

    assert APIToken.objects.undeleted().get() == other


def test_tokens_are_deleted_by_age(engineer: Membership, issue: Issue, now: datetime) -> None:
    old, _key = issue(engineer, at=now - timedelta(days=31))
    issue(engineer, at=now - timedelta(days=29))

    run("revoke_tokens", "--older-than", 30, "--yes")

    assert APIToken.objects.deleted().get() == old


def test_tokens_and_verifier_keys_are_deleted_by_pepper(
    engineer: Membership, issue: Issue, now: datetime, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {1: b"o" * 32}
    old, _key = issue(engineer)
    operator = Actor.operator(through=EntryPoint.COMMAND)
    verifier = issue_verifier(name="Storage", by=operator, at=now).verifier
    settings.TOKEN_PEPPERS = {2: b"n" * 32, 1: b"o" * 32}
    issue(engineer)
    issue_verifier(name="Other", by=operator, at=now)

    run("revoke_tokens", "--pepper", 1, "--account", engineer.account_id, "--dry-run")
    assert "Verifier keys: Storage." in run("revoke_tokens", "--pepper", 1, "--dry-run").out
    assert "Deleted: 2." in run("revoke_tokens", "--pepper", 1, "--yes").out

    assert APIToken.objects.deleted().get() == old
    assert VerifierKey.objects.exclude(deleted_at=None).get() == verifier
    settings.TOKEN_PEPPERS = {2: b"n" * 32}
    assert faults(now) == []


def test_tokens_are_deleted_that_nobody_used_for_long(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    long_ago = now - timedelta(days=100)
    never, _key = issue(engineer, at=long_ago)
    once, key = issue(engineer, at=long_ago)
    verify(presented=key.spell(), at=now - timedelta(days=31))
    _busy, key = issue(engineer, at=long_ago)
    verify(presented=key.spell(), at=now - timedelta(days=29))
    issue(engineer)  # never used, and new

    run("revoke_tokens", "--unused-for", 30, "--yes")

    assert set(APIToken.objects.deleted()) == {never, once}


def test_several_options_narrow_the_selection(
    engineer: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    wanted, _key = issue(engineer, at=now - timedelta(days=31))
    issue(engineer)
    issue(administrator, at=now - timedelta(days=31))

    run("revoke_tokens", "--issuer", engineer.user.email, "--older-than", 30, "--yes")

    assert APIToken.objects.deleted().get() == wanted


def test_tombstones_stay_as_they_are(engineer: Membership, issue: Issue, now: datetime) -> None:
    token, _key = issue(engineer)
    token_services.delete(token=token, by=Actor.member(engineer), at=now)

    assert "Nothing to delete" in run("revoke_tokens", "--id", token.pk, "--yes").out

    token.refresh_from_db()
    assert token.deleted_by == engineer.user


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--account", "Nobody"], "There is no account"),
        (["--issuer", "nobody@example.com"], "There is no user"),
        (["--issuer", "\udcff"], "not valid UTF-8"),
        (["--id", "5"], "There is no API token with the id 5"),
        (["--id", str(2**63 - 1)], "There is no API token with the id"),
        (["--id", str(2**63)], "must be numbers"),
        (["--id", "five"], "must be numbers"),
        (["--id", "5$0123456789abcdef"], "must be numbers"),
        (["--older-than", "0"], "must be a number of days"),
        (["--older-than", "-3"], "must be a number of days"),
        (["--unused-for", "999999999999"], "must be a number of days"),
        (["--unused-for", "3", "--older-than", "3"], "not allowed with"),
    ],
)
def test_selection_that_makes_no_sense_deletes_nothing(
    engineer: Membership, issue: Issue, options: list[str], sentence: str
) -> None:
    issue(engineer)

    with pytest.raises(CommandError) as refusal:
        run("revoke_tokens", "--yes", *options)

    assert sentence in str(refusal.value)
    assert not APIToken.objects.deleted().exists()


# --- create_account ---


def create_account(*options: str, name: str = "Umbrella") -> Printed:
    return run("create_account", name, "--administrator", "Boss@example.com", *options)


def test_first_administrator_signs_in(
    client: Client, db: None, pipes: Callable[[str], None]
) -> None:
    pipes(NEW_PASSWORD + "\n")

    create_account("--password-stdin", "--name", "Alice")

    member = Membership.objects.get(account__name="Umbrella")
    assert (member.held_role, member.user.name) == (Role.ADMINISTRATORS, "Alice")
    credentials = {"login": "boss@example.com", "password": NEW_PASSWORD}
    client.post(reverse("account_login"), credentials)
    page = reverse("apitokens:list", args=[member.account_id])
    assert client.get("/")["Location"] == page
    assert client.get(page).status_code == 200


def test_account_is_opened_on_the_record(db: None, pipes: Callable[[str], None]) -> None:
    pipes(NEW_PASSWORD)

    create_account("--password-stdin")

    kinds = AuditEvent.objects.filter(through="command").values_list("kind", flat=True)
    assert sorted(kinds) == ["account.opened", "member.added", "user.created"]


def test_password_is_asked_for_twice(db: None, types: Callable[..., None]) -> None:
    types(NEW_PASSWORD, NEW_PASSWORD)

    create_account()

    assert User.objects.get().check_password(NEW_PASSWORD)


def test_existing_user_keeps_their_password(db: None, pipes: Callable[[str], None]) -> None:
    user = UserFactory.create(email="boss@example.com")
    pipes("")

    create_account()

    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert Membership.objects.get().user == user


@pytest.mark.parametrize(
    ("options", "typed", "sentence"),
    [
        (["--password-stdin"], "", "too short"),
        (["--password-stdin"], "short\n", "too short"),
        (["--password-stdin"], "password1234\n", "too common"),
        ([], "whatever it is", "There is no terminal to type a password in"),
        (["--password-stdin", "--administrator", "boss"], NEW_PASSWORD, "valid email"),
        (["--password-stdin", "--name", "two\nlines"], NEW_PASSWORD, "one line of text"),
        (["--password-stdin", "--name", "\udcff"], NEW_PASSWORD, "not valid UTF-8"),
    ],
)
def test_account_that_makes_no_sense_is_not_opened(
    db: None, pipes: Callable[[str], None], options: list[str], typed: str, sentence: str
) -> None:
    pipes(typed)

    with pytest.raises(CommandError) as refusal:
        create_account(*options)

    assert sentence in str(refusal.value)
    assert not Account.objects.exists()
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 151, "two\nlines"])
def test_name_that_makes_no_sense_leaves_no_user_behind(
    db: None, pipes: Callable[[str], None], name: str
) -> None:
    pipes(NEW_PASSWORD)

    with pytest.raises(CommandError):
        create_account("--password-stdin", name=name)

    assert not User.objects.exists()


def test_two_different_passwords_open_nothing(db: None, types: Callable[..., None]) -> None:
    types(NEW_PASSWORD, NEW_PASSWORD + "!")

    with pytest.raises(CommandError, match="passwords don't match"):
        create_account()

    assert not Account.objects.exists()


def test_running_it_twice_opens_one_account(account: Account) -> None:
    with pytest.raises(CommandError, match="already"):
        create_account(name="Example Inc.")

    assert Account.objects.count() == 1


def test_user_who_is_switched_off_gets_no_account(db: None) -> None:
    UserFactory.create(email="boss@example.com", is_active=False)

    with pytest.raises(CommandError, match="deactivated"):
        create_account()

    assert not Account.objects.exists()


# --- create_operator ---


def test_operator_enters_the_admin(
    client: Client, db: None, pipes: Callable[[str], None], events: Events
) -> None:
    pipes(NEW_PASSWORD)

    run("create_operator", "Ops@example.com", "--password-stdin", "--name", "Olga")

    credentials = {"login": "ops@example.com", "password": NEW_PASSWORD}
    client.post(reverse("account_login"), credentials)
    assert client.get(reverse("admin:index")).status_code == 200
    assert len(events("user.made_operator")) == 1


def test_existing_user_becomes_an_operator(engineer: Membership) -> None:
    run("create_operator", engineer.user.email)

    engineer.user.refresh_from_db()
    assert (engineer.user.is_staff, engineer.user.is_superuser) == (True, True)
    assert engineer.user.check_password(PASSWORD)


STRANGERS = "a stranger's long pass phrase"


@pytest.fixture
def unconfirmed(db: None) -> User:
    """Somebody has signed up with the address of another one, who has confirmed nothing."""
    return registration.sign_up(
        email="boss@example.com",
        password=STRANGERS,
        account_name="Globex",
        name="Win a prize",
        by=Actor(through=EntryPoint.PORTAL),
        at=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    "command",
    [
        ("create_operator", "boss@example.com", "--name", "Olga"),
        ("create_account", "Acme", "--administrator", "boss@example.com", "--name", "Olga"),
    ],
)
def test_password_of_a_stranger_opens_nothing_of_whom_an_operator_vouches_for(
    unconfirmed: User, pipes: Callable[[str], None], command: tuple[str, ...]
) -> None:
    pipes(NEW_PASSWORD)

    run(*command, "--password-stdin")

    user = User.objects.get(email="boss@example.com")
    assert (user.check_password(STRANGERS), user.check_password(NEW_PASSWORD)) == (False, True)
    assert user.name == "Olga"
    assert EmailAddress.objects.filter(user=user, verified=True).exists()
    assert Account.objects.get(name="Globex").closed_at


def test_password_of_a_stranger_opens_no_account_that_an_operator_adds_them_to(
    unconfirmed: User, account: Account, client: Client
) -> None:
    operator = UserFactory.create(is_staff=True, is_superuser=True)
    client.force_login(operator, "django.contrib.auth.backends.ModelBackend")
    sent = {"account": account.pk, "user": unconfirmed.pk, "role": Role.ADMINISTRATORS.value}

    answer = client.post(reverse("admin:accounts_membership_add"), sent)

    assert answer.status_code == 302
    unconfirmed.refresh_from_db()
    assert not unconfirmed.has_usable_password()
    assert registration.discard_late_sign_ups(at=datetime.now(UTC) + timedelta(days=90)) == 0
    assert [each.account for each in unconfirmed.memberships.all()] == [account]
    account.refresh_from_db()
    assert account.closed_at is None


@pytest.mark.parametrize(("email", "typed"), [("ops", NEW_PASSWORD), ("ops@example.com", "short")])
def test_operator_that_makes_no_sense_is_not_made(
    db: None, pipes: Callable[[str], None], email: str, typed: str
) -> None:
    pipes(typed)

    with pytest.raises(CommandError):
        run("create_operator", email, "--password-stdin")

    assert not User.objects.exists()


# --- createsuperuser, changepassword ---


@pytest.mark.parametrize("arguments", [(), ("--noinput", "--email", "ops@example.com")])
def test_djangos_own_way_to_an_operator_is_closed(db: None, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="create_operator"):
        run("createsuperuser", *arguments)

    assert not User.objects.exists()


def test_password_is_changed_on_the_record(
    client: Client,
    engineer: Membership,
    sign_in: SignIn,
    pipes: Callable[[str], None],
    events: Events,
) -> None:
    sign_in(client, engineer)
    pipes(NEW_PASSWORD)

    run("changepassword", engineer.user.email.upper(), "--password-stdin")

    engineer.user.refresh_from_db()
    assert engineer.user.check_password(NEW_PASSWORD)
    page = reverse("apitokens:list", args=[engineer.account_id])
    assert client.get(page).status_code == 302  # the session has ended
    (event,) = events("user.password_set", subject_id=engineer.user_id)
    assert (event.user, event.through) == (None, "command")


def test_new_password_is_asked_for_twice(engineer: Membership, types: Callable[..., None]) -> None:
    types(NEW_PASSWORD, NEW_PASSWORD)

    run("changepassword", engineer.user.email)

    engineer.user.refresh_from_db()
    assert engineer.user.check_password(NEW_PASSWORD)


@pytest.mark.parametrize("typed", ["", "short"])
def test_weak_password_is_not_set(
    engineer: Membership, pipes: Callable[[str], None], typed: str
) -> None:
    pipes(typed)

    with pytest.raises(CommandError, match="Password: "):
        run("changepassword", engineer.user.email, "--password-stdin")

    engineer.user.refresh_from_db()
    assert engineer.user.check_password(PASSWORD)


@pytest.mark.parametrize("email", ["nobody@example.com", "half \udcff character"])
def test_password_of_nobody_is_not_set(db: None, email: str) -> None:
    with pytest.raises(CommandError, match=r"no user with the email address|not valid UTF-8"):
        run("changepassword", email, "--password-stdin")


@pytest.mark.parametrize(
    "words",
    [
        ("create_operator", "ops@example.com", "--password-stdin"),
        ("create_account", "Globex", "--administrator", "a@example.com", "--password-stdin"),
    ],
)
def test_command_at_a_database_without_tables_says_where_it_looks(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)
    with pytest.raises(CommandError, match="same DATA_DIR as the portal") as refusal:
        call_command(*words)
    assert str(settings.DATA_DIR) in str(refusal.value)
