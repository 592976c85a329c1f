"""Where the portal is and where its mail goes, as operators write it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env.urls import (
    origin_of,
    parse_base_url,
    parse_email_url,
    parse_origins,
    parse_sender,
)
from notifications.email.transport import PATIENCE
from tests.launcher.portal import ROOT, environment_of

SECRET = "swordfish"


def settings_of(tmp_path: Path, *names: str, **environment: str) -> list[object]:
    """What a process of its own reads from this environment."""
    done = start(tmp_path, names, **environment)
    assert done.returncode == 0, done.stderr
    values: list[object] = json.loads(done.stdout)
    return values


def start(
    tmp_path: Path, names: tuple[str, ...], **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Any process of the portal: all read the settings first."""
    program = "import json, sys, config.settings as s; " + (
        "print(json.dumps([getattr(s, name) for name in sys.argv[1:]]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *names],
        cwd=ROOT,
        env=environment_of(tmp_path, port=8000, **environment),
        capture_output=True,
        text=True,
    )


# --- BASE_URL ---


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://tokens.example.com/", "https://tokens.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://bücher.example:8000", "http://xn--bcher-kva.example:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("HTTPS://Tokens.Example.com.:443", "https://tokens.example.com"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://tokens.example.com:", "https://tokens.example.com"),
    ],
)
def test_address_of_the_portal_is_in_ascii(written: str, meant: str) -> None:
    assert parse_base_url(written).geturl() == meant


@pytest.mark.parametrize("url", ["https://a..bücher.example", "http://localhost:port"])
def test_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^BASE_URL must look like "):
        parse_base_url(url)


def test_every_process_speaks_of_an_international_portal_in_ascii(tmp_path: Path) -> None:
    base_url, hosts, origins = settings_of(
        tmp_path,
        *("BASE_URL", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"),
        BASE_URL="https://bücher.example",
    )
    assert base_url == "https://xn--bcher-kva.example"
    assert isinstance(hosts, list)
    assert "xn--bcher-kva.example" in hosts
    assert origins == [base_url]


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_where_there_is_https_cookies_travel_by_it_alone(scheme: str, tmp_path: Path) -> None:
    is_https = scheme == "https"
    for cookie in ("SESSION_COOKIE", "CSRF_COOKIE"):
        is_secure, name = settings_of(
            tmp_path, f"{cookie}_SECURE", f"{cookie}_NAME", BASE_URL=f"{scheme}://tokens.example"
        )
        assert is_secure is is_https
        assert str(name).startswith("__Host-") is is_https


# --- EMAIL_URL ---


def test_mail_server_is_read() -> None:
    facts = parse_email_url("smtp+tls://portal:p%40ss@mail.example.com:587")
    assert (facts["EMAIL_HOST"], facts["EMAIL_PORT"]) == ("mail.example.com", 587)
    assert (facts["EMAIL_HOST_USER"], facts["EMAIL_HOST_PASSWORD"]) == ("portal", "p@ss")
    assert facts["EMAIL_USE_TLS"]


@pytest.mark.parametrize(
    ("scheme", "port"), [("smtp", 25), ("smtp+tls", 587), ("smtp+ssl", 465), ("SMTP+SSL", 465)]
)
def test_mail_server_has_the_port_of_its_kind(scheme: str, port: int) -> None:
    assert parse_email_url(f"{scheme}://bücher.example")["EMAIL_PORT"] == port


@pytest.mark.parametrize("url", ["filemail://", "filemail:///var/mail", "consolemail://"])
def test_mail_without_a_server_is_read(url: str) -> None:
    assert parse_email_url(url)["EMAIL_BACKEND"]


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "smtp://",
        f"smtp+tls://user:{SECRET}@",
        f"smtp://user:{SECRET}@mail..example.com",
        f"smtp://user:{SECRET}@localhost:port",
        f"smtp://user:{SECRET}@localhost:99999",
        f"smtp://user:{SECRET}ä@localhost",
        f"smtp://us%C3%A4r:{SECRET}@localhost",
    ],
)
def test_mail_server_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^EMAIL_URL must look like ") as caught:
        parse_email_url(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("login", ["portal", "portal:", ":password"])
def test_half_a_login_is_refused_because_nobody_would_log_in(login: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^EMAIL_URL must have a user and a password, "):
        parse_email_url(f"smtp+tls://{login}@mail.example.com:587")


def test_mail_server_may_do_without_a_login() -> None:
    facts = parse_email_url("smtp://mail.example.com:25")
    assert not facts["EMAIL_HOST_USER"]
    assert not facts["EMAIL_HOST_PASSWORD"]


# --- FROM_EMAIL ---


@pytest.mark.parametrize(
    "text",
    [
        "noreply@example.com",
        "Permatoken <noreply@localhost>",
        "Bücher <noreply@bücher.example>",
        '"Tokens, Inc." <tokens@example.com>',
    ],
)
def test_sender_is_read(text: str) -> None:
    assert parse_sender(text) == text


@pytest.mark.parametrize(
    "text", ["", "Permatoken", "noreply@", "@example.com", "a@[", "a@b\nBcc: c@d"]
)
def test_sender_without_an_address_is_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^FROM_EMAIL must look like "):
        parse_sender(text)


# --- All of them, at the start of whatever process ---


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("EMAIL_URL", "smtp+tls://user:pass@"),
        ("EMAIL_TIMEOUT", "0"),
        ("EMAIL_TIMEOUT", "-1"),
        ("FROM_EMAIL", "Permatoken"),
        ("NOTICES_EVERY_SECONDS", "0"),
        ("INVITATIONS_PER_DAY", "-1"),
    ],
)
def test_every_process_refuses_to_start_with_nonsense(
    name: str, wrong: str, tmp_path: Path
) -> None:
    done = start(tmp_path, (), **{name: wrong})
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"django.core.exceptions.ImproperlyConfigured: {name} must ")


def test_commands_say_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "status"],
        cwd=ROOT,
        env=environment_of(tmp_path, port=8000, EMAIL_URL=f"smtp://user:{SECRET}@localhost:port"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("The settings can't be used: EMAIL_URL must look like ")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr


@pytest.mark.parametrize(("interval", "timeout"), [(30, 10), (3600, 120), (1, 1)])
def test_no_time_limit_strikes_within_a_hand_over(
    interval: int, timeout: int, tmp_path: Path
) -> None:
    soft, hard, broker = settings_of(
        tmp_path,
        *("CELERY_TASK_SOFT_TIME_LIMIT", "CELERY_TASK_TIME_LIMIT"),
        "CELERY_BROKER_TRANSPORT_OPTIONS",
        NOTICES_EVERY_SECONDS=str(interval),
        EMAIL_TIMEOUT=str(timeout),
        REDIS_URL="redis://localhost",
    )
    before_the_body, in_the_body = 17, 1 + PATIENCE
    assert isinstance(soft, int)
    assert isinstance(hard, int)
    assert soft > interval + (before_the_body + in_the_body) * timeout
    assert hard > soft
    assert isinstance(broker, dict)
    assert broker["visibility_timeout"] > hard


# --- SSO_METADATA_ORIGINS ---


@pytest.mark.parametrize(
    "origin",
    [
        "https://idp.example.com",
        "https://idp.example.com/",
        "http://10.0.0.7:8080",
        "https://[::1]:8443",
    ],
)
def test_origin_may_be_asked(origin: str) -> None:
    assert parse_origins("SSO_METADATA_ORIGINS", [origin]) == [origin]


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "idp.example.com", "//idp.example.com", "https://", "file:///etc"),
        *("https://idp.example.com/saml", "https://idp.example.com?x", "https://idp.example.com#x"),
        *("https://me@idp.example.com", "https://idp.example.com:port", "https://[::1"),
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^SSO_METADATA_ORIGINS must be "):
        parse_origins("SSO_METADATA_ORIGINS", ["https://idp.example.com", text])


def test_origins_come_from_the_environment(tmp_path: Path) -> None:
    written = "https://idp.example.com,https://login.example.org:8443"
    assert settings_of(tmp_path, "SSO_METADATA_ORIGINS", SSO_METADATA_ORIGINS=written) == [
        written.split(",")
    ]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://tokens.example.com", "https://tokens.example.com"),
        ("https://Tokens.Example.com:443", "https://tokens.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://localhost:80", "https://localhost:80"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_origin_is_written_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(parse_base_url(url)) == origin
