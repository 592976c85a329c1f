"""Every setting is taken as it is written, or refused with a sentence that names it."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.throttling.redis_cache import RedisCache
from config.env.variables import VARIABLES
from tests.launcher.portal import ROOT, environment_of

PEPPER = "0a" * 32
SLIPS = ['"/data"', "'/data'", "var\r"]
"""As some programs read a file of variables."""
SECRET = "swordfish"
UNANSWERED = ["my_portal", "[fe80::1%eth0]"]
"""Names of machines that Django refuses in each request."""
OTHERWISE = "faß.example"
"""Python takes it for fass.example, and browsers for xn--fa-hia.example."""
NOT_A_NUMBER = ["-1", "x", "1.5", "$PORT", "٣", "1" * 40]
BAD: dict[str, list[str]] = {
    "ALLOWED_HOSTS": [
        "https://tokens.example.com",
        "a:80",
        "a b",
        "a/b",
        "$host",
        "[::1",
        "-a",
        *UNANSWERED,
    ],
    "BASE_URL": [
        *("tokens.example.com", "ftp://a.example", "https://", "https://a.example:port", "$URL"),
        *("https://a.example/tokens", "https://a.example?x", "https://a.example#x", "https://a b"),
        *(
            "https://me@a.example",
            "https://a.example:0",
            "https:a.example",
            "https://a..example",
            "https://a\nb",
        ),
        *("https://my_portal", "https://[fe80::1%25eth0]", f"https://{OTHERWISE}"),
        *('"https://a.example"', "https://a.example\r"),
    ],
    "CONN_MAX_AGE": NOT_A_NUMBER,
    "CORS_ALLOWED_ORIGINS": ["*", "app.example.com", "https://a/b", "null", "$ORIGIN"],
    "DATABASE_URL": [
        *(
            SECRET,
            "mysql://a/b",
            "sqlite://",
            "sqlite://host/path",
            "sqlite:permatoken.sqlite3",
            "sqlite:///a?timeout=1",
            "$URL",
        ),
        *("postgres://a", "postgres://a/", "postgres://a/b/c", "postgres://a:port/b"),
        *("postgres://a:0/b", "postgres://u:p#ss@a/b", "postgres://u:p ss@a/b", "postgres://a/b#c"),
        *("postgres://a/b?ssl_mode=require", "postgres://a/b?sslmode", "postgres://a/b?CONN_MAX=1"),
        *("postgres://a/b?sslmode=disable&sslmode=require", "postgres://a/b?password=x"),
        *("postgres://a/b?sslmode=requier", "postgres://a/b?connect_timeout=abc"),
        *("postgres://a/b?target_session_attrs=writer", "postgres://a/b?keepalives=yes"),
        *("sqlite:////tmp", "sqlite:////nowhere/permatoken.sqlite3", "sqlite:////dev/null/x"),
        *("postgres://a/%00", "postgres://u:%00@a/b", "postgres://a/b?options=%00"),
        *(
            "postgres://$HOST/b",
            "postgres://a:1:2/b",
            "postgres://2001:db8::1/b",
            "sqlite:////a%00",
        ),
        *("postgres://a/b?host=/run/x", "postgres:///b?client_encoding=latin1"),
        *(f"postgres://u:{SECRET}/@a/b", "postgres://[::1/b"),
    ],
    "DATA_DIR": [
        *SLIPS,
        "/dev/null",
        "/dev/null/below",
        "/proc/permatoken",
        "~nobody-of-this-name/x",
    ],
    "DEBUG": ["maybe", "$DEBUG", "flase", "2"],
    "EMAIL_TIMEOUT": ["0", "121", *NOT_A_NUMBER],
    "EMAIL_URL": [
        *(SECRET, "smtp://", "http://a", "smtp://a:port", "smtp://a?timeout=5", "smtp://a/path"),
        *(f"smtp://u:{SECRET}#x@a", "smtp://u:p@a b", "filemail://folder/x", "$EMAIL_URL"),
        *("smtp://us%C3%A4r:p@a", "smtp://user@a", "smtps://u:p@a:465", "smtp://a:0", "smtp://a;x"),
        *("dummymail://", "memorymail://", f"smtp://{OTHERWISE}", "filemail:///a%00"),
    ],
    "FROM_EMAIL": [
        *(
            "Permatoken",
            "a@",
            "@b",
            "a@b\nBcc: c@d",
            "a@b.example\r",
            "a@$DOMAIN",
            f"a@{OTHERWISE}",
        ),
        *('"Permatoken <a@b.example>"', "Permatoken a@b.example", "a@b.example?x"),
    ],
    "HOST": ["a" * 64, "a b", "http://a", "a:80", "$HOST", "[::1]", "a..b"],
    "HSTS_INCLUDE_SUBDOMAINS": ["maybe"],
    "HSTS_PRELOAD": ["maybe"],
    "INVITATIONS_PER_DAY": NOT_A_NUMBER,
    "LOG_LEVEL": ["info", "VERBOSE", "$LEVEL", "20"],
    "LOG_FORMAT": ["JSON", "xml"],
    "LOG_VERIFY": ["none", "$x"],
    "METRICS_TOKEN": [
        *("0123456789abcdef ", " 0123456789abcdef", " " * 20),
        "short",
        "ä" * 20,
        "a line\nand another one",
    ],
    "NOTICES_EVERY_SECONDS": ["0", "3601", *NOT_A_NUMBER],
    "OPERATORS_NEED_TWO_FACTORS": ["enabled"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": [
        *("collector:4318", "ftp://a", "http://u:p@a", "http://", "http://$HOST:4318"),
        *("http://a b:4318", "http://a:4318?x=1", "http://a:4318#x"),
    ],
    "PASSKEY_ORIGINS": [
        "tokens.example.com",
        "https://a/b",
        "https://a,,x",
        "https://evil.example",
        "http://tokens.example.com",
    ],
    "PORT": ["0", "65536", *NOT_A_NUMBER],
    "REDIS_URL": [
        *(SECRET, "redis://", "redis://a:port", "redis://a/x", "redis://a/0?db=1", "$REDIS_URL"),
        *(f"redis://:{SECRET}#x@a/0", "redis://a/0?ssl_cert_reqs=none", "rediss://a/0?ssl=1"),
        *(
            "unix:///run/redis.sock",
            "redis+socket:///run/redis.sock",
            "redis://a b/0",
            "redis://a/-1",
        ),
        *("redis://$HOST/0", "redis://a,b/0", "redis://-a/0"),
    ],
    "REFUSAL_RATE": NOT_A_NUMBER,
    "SECRET_KEY": [" "],
    "SENTRY_DSN": [
        *(SECRET, "https://sentry.example.com/1", "https://key@a/x", "ftp://key@a/1"),
        *("https://key@$HOST/1", "https://key@a b/1", "https://key@a/1?x=1", "https://key@a/1#x"),
    ],
    "SERVES": ["Everything", "pages", "$x"],
    "SIGN_UP": ["Open", "ajar", "$SIGN_UP"],
    "SSL_REDIRECT": ["maybe"],
    "SSO_METADATA_ORIGINS": ["idp.example.com", "https://a/b", "https://a,,x", "https://$a/", "$A"],
    "SSO_NEW_PEOPLE_PER_DAY": NOT_A_NUMBER,
    "STATIC_DIR": [*SLIPS, "/dev/null", "/dev/null/below", "~nobody-of-this-name/x"],
    "TOKEN_PEPPERS": [
        SECRET,
        f"1:{PEPPER},1:{PEPPER}",
        f"0:{PEPPER}",
        "$TOKEN_PEPPERS",
        "1:$x",
        f"1:{PEPPER},2:{PEPPER}",
    ],
    "TOKEN_RATE": NOT_A_NUMBER,
    "TRUSTED_PROXIES": [
        "everybody",
        "10.0.0.0/33",
        "10.0.0.0/8,$x",
        "localhost",
        "10.0.0.0/8;::1",
        "fe80::1%eth0",
    ],
    "UNCERTAIN_DELIVERY": ["Hold", "$x"],
    "UNCONFIRMED_SIGN_UP_DAYS": ["0", "366", *NOT_A_NUMBER],
    "USAGE_FLUSH_SECONDS": ["0", "61", *NOT_A_NUMBER],
    "VERIFY_CACHE_SECONDS": ["1_0e-1", "٠.٥", "-0.1", "1.1", "nan", "x", "$x"],
    "WEB_THREADS": ["3", "257", "x", "-1", "$x"],
    "WEB_WORKERS": ["0", "257", "x", "-1", "$x"],
}
ANY_TEXT = {"SECRET_KEY_FALLBACKS"}
"""Every text is one."""
HTTPS = {"BASE_URL": "https://tokens.example.com"}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`load(NAME=value, …)`: the settings that a process with this environment has."""

    def act(**environment: str) -> dict[str, Any]:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in {"DATA_DIR": str(tmp_path / "data"), **environment}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(ROOT / "config" / "settings.py"))

    return act


def test_no_cursor_is_left_in_a_connection_that_a_pooler_shares(load: Any) -> None:
    """Behind PgBouncer the next part of its rows would be asked of another connection."""
    settings = load(DATABASE_URL="postgresql://portal@db.example.com/portal")
    assert settings["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_redis_that_does_not_answer_is_not_waited_for(load: Any) -> None:
    """What stands in for it, and how long it is waited for, the tests of the cache look at."""
    settings = load(REDIS_URL="redis://redis.example.com/0")
    cache = settings["CACHES"]["default"]
    assert cache["BACKEND"] == f"{RedisCache.__module__}.{RedisCache.__qualname__}"
    assert 0 < cache["OPTIONS"]["socket_connect_timeout"] <= 1
    assert 0 < cache["OPTIONS"]["socket_timeout"] <= 1


def test_every_setting_is_walked() -> None:
    assert BAD.keys() | ANY_TEXT == set(VARIABLES)


@pytest.mark.parametrize(("name", "value"), [(n, value) for n in BAD for value in BAD[n]])
def test_bad_value_is_refused_with_a_sentence(load: Any, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"^{name} must .*") as refusal:
        load(**{**HTTPS, name: value})
    assert SECRET not in str(refusal.value).replace(f"not '{SECRET}'", "")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["TOKEN_PEPPERS", "EMAIL_URL"])
def test_commands_refuse_a_bad_value_with_that_sentence(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environment_of(tmp_path, port=8000) | {name: BAD[name][0]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"The settings can't be used: {name} must ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "value", ["$abc", "$SECRET_KEY", "${HOME}", "$", r"\$x", "a%20b", " a ", "ä"]
)
def test_secret_is_taken_as_it_is_written(load: Any, value: str) -> None:
    found = load(SECRET_KEY=value, SECRET_KEY_FALLBACKS=f"{value},b$c")
    assert found["SECRET_KEY"] == value
    assert {value, "b$c"} <= set(found["SECRET_KEY_FALLBACKS"])


@pytest.mark.parametrize(
    ("written", "meant"), [("a, b", ["a", "b"]), ("a,b", ["a,b"]), (" , ", []), ("a,", ["a"])]
)
def test_former_secret_is_found_however_the_list_is_written(
    load: Any, written: str, meant: list[str]
) -> None:
    found = load(SECRET_KEY_FALLBACKS=written)["SECRET_KEY_FALLBACKS"]
    assert set(meant) <= set(found)
    assert [each for each in found if not each.strip()] == []


def test_empty_value_is_none(load: Any) -> None:
    """As Compose passes on `${NAME:-}`."""
    base = HTTPS["BASE_URL"]
    unset = load(BASE_URL=base)
    empty = load(**dict.fromkeys(set(VARIABLES) - {"DATA_DIR"}, "") | {"BASE_URL": base})
    names = [name for name in unset if name.isupper()]
    assert {name: empty[name] for name in names} == {name: unset[name] for name in names}
    assert unset["SECURE_SSL_REDIRECT"] is True


def test_host_with_the_dot_of_the_root_is_answered(load: Any) -> None:
    found = load(BASE_URL="https://a.example.:443", ALLOWED_HOSTS="a.example.")
    assert (found["BASE_URL"], found["ALLOWED_HOSTS"]) == ("https://a.example", ["a.example"])


def test_ipv6_address_is_answered_however_it_is_written(load: Any) -> None:
    """Browsers ask for its one short form, and Django compares it as it is."""
    found = load(BASE_URL="https://[2001:DB8:0:0::1]:8443", ALLOWED_HOSTS="[2001:db8:0::0001]")
    assert found["BASE_URL"] == "https://[2001:db8::1]:8443"
    assert found["ALLOWED_HOSTS"] == ["[2001:db8::1]"]
    assert "[2001:db8::1]" in load(BASE_URL="https://[2001:DB8::01]")["ALLOWED_HOSTS"]


def test_redis_with_tls_is_known_in_capitals(load: Any) -> None:
    found = load(REDIS_URL="REDISS://Host/1")
    assert found["CELERY_BROKER_URL"] == "rediss://Host/1"
    assert "CELERY_BROKER_USE_SSL" in found


def test_passkeys_are_used_at_the_portal_and_where_an_operator_says(load: Any) -> None:
    portal = {"BASE_URL": "https://tokens.example.com:8443/"}
    also = "https://beta.tokens.example.com"

    assert load(**portal)["PASSKEY_ORIGINS"] == ["https://tokens.example.com:8443"]
    assert load(**portal, PASSKEY_ORIGINS=f"{also}/")["PASSKEY_ORIGINS"][1:] == [also]


def test_sender_is_taken_as_it_is_written(load: Any) -> None:
    assert load(FROM_EMAIL="$x <a$b@example.com>")["DEFAULT_FROM_EMAIL"] == "$x <a$b@example.com>"


def test_folder_is_taken_as_it_is_written(load: Any, tmp_path: Path) -> None:
    odd = tmp_path / "$HOME a?b#c%20d+e"
    found = load(DATA_DIR=str(odd))
    assert found["DATA_DIR"] == odd
    assert found["DATABASES"]["default"]["NAME"] == str(odd / "permatoken.sqlite3")


@pytest.mark.parametrize(
    ("url", "facts"),
    [
        (
            "postgres://$u:p%40%23%24$x+y@db.internal:5433/a+b%20c",
            ("db.internal", "5433", "$u", "p@#$$x+y", "a+b c"),
        ),
        ("postgresql://u@[::1]:5433/a", ("::1", "5433", "u", "", "a")),
        ("postgres://[::1]/a", ("::1", "", "", "", "a")),
        ("postgres://u:p@%2Frun%2FPostgreSQL/a", ("/run/PostgreSQL", "", "u", "p", "a")),
        ("postgres://u:p@%2Frun%2Fpg:5433/a", ("/run/pg", "5433", "u", "p", "a")),
        ("postgres://a:1,b:2/c", ("a,b", "1,2", "", "", "c")),
        ("postgres:///a", ("", "", "", "", "a")),
    ],
)
def test_database_is_taken_as_it_is_written(load: Any, url: str, facts: tuple[str, ...]) -> None:
    found = load(DATABASE_URL=url)["DATABASES"]["default"]
    assert tuple(found[name] for name in ("HOST", "PORT", "USER", "PASSWORD", "NAME")) == facts


def test_connection_parameters_are_taken_as_they_are_written(load: Any) -> None:
    url = "postgres://u@/a?host=/run/Pg&sslmode=require&sslrootcert=/etc/A+b%2Bc&connect_timeout=5"
    wanted = {
        "host": "/run/Pg",
        "sslmode": "require",
        "sslrootcert": "/etc/A+b+c",
        "connect_timeout": "5",
    }
    assert wanted.items() <= load(DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"].items()


def test_database_that_is_gone_is_noticed_within_seconds(load: Any) -> None:
    options = load(DATABASE_URL="postgres://a/b?keepalives_count=7")["DATABASES"]["default"][
        "OPTIONS"
    ]
    assert options["tcp_user_timeout"] == 20_000
    assert options["keepalives_idle"] == 15
    assert options["keepalives_count"] == "7"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////srv/a+b%20$c.sqlite3", "/srv/a+b $c.sqlite3"),
        ("sqlite:///a.sqlite3", "a.sqlite3"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite://:memory:", ":memory:"),
    ],
)
def test_file_of_the_database_is_taken_as_it_is_written(load: Any, url: str, name: str) -> None:
    assert load(DATABASE_URL=url)["DATABASES"]["default"]["NAME"] == name


@pytest.mark.parametrize(
    "url", ["redis://:$p@a:6379/3", "redis://a", "rediss://u:p@a/0?ssl_cert_reqs=none"]
)
def test_redis_is_taken_as_it_is_written(load: Any, url: str) -> None:
    assert load(REDIS_URL=url)["CELERY_BROKER_URL"] == url


def test_cookie_of_known_browsers_belongs_to_the_host_alone(load: Any) -> None:
    assert load(**HTTPS)["KNOWN_BROWSER_COOKIE_NAME"] == "__Host-known-browser"
    assert load(PORT="8001")["KNOWN_BROWSER_COOKIE_NAME"] == "known-browser-8001"


@pytest.mark.parametrize("query", ["Required", "CERT_NONE", "", "none&ssl_cert_reqs=required"])
def test_check_of_certificates_that_would_be_misread_is_refused(load: Any, query: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="ssl_cert_reqs is required, optional, none"):
        load(REDIS_URL=f"rediss://a/0?ssl_cert_reqs={query}")


def test_mail_server_is_taken_as_it_is_written(load: Any) -> None:
    found = load(EMAIL_URL="smtp+tls://$u:p%40$x+y@mail.example.com:587")
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("$u", "p@$x+y")


def test_folder_of_mails_is_taken_as_it_is_written(load: Any) -> None:
    assert load(EMAIL_URL="filemail:///srv/my+mail%20$x")["EMAIL_FILE_PATH"] == "/srv/my+mail $x"


def test_items_of_a_list_may_stand_apart(load: Any) -> None:
    found = load(
        ALLOWED_HOSTS=" a.example , .b.example,,[::1], *", TRUSTED_PROXIES=" ::1, 10.0.0.7 "
    )
    assert found["ALLOWED_HOSTS"] == ["a.example", ".b.example", "[::1]", "*"]
    assert [str(network) for network in found["TRUSTED_PROXIES"]] == ["::1/128", "10.0.0.7/32"]


@pytest.mark.parametrize(
    ("base_url", "sender", "name"),
    [
        ("https://tokens.example.com", "a@mail.example", "tokens.example.com"),
        ("https://192.0.2.1", "a@mail.example", "[192.0.2.1]"),
        ("https://[2001:db8::1]:8443", "a@mail.example", "[IPv6:2001:db8::1]"),
        ("http://localhost:8000", "Portal <a@mail.example>", "mail.example"),
        ("http://127.0.0.1:8000", "a@bücher.example", "xn--bcher-kva.example"),
        ("http://localhost:8000", "a@localhost", ""),
    ],
)
def test_mail_server_is_told_the_name_of_the_portal(
    load: Any, base_url: str, sender: str, name: str
) -> None:
    assert load(BASE_URL=base_url, FROM_EMAIL=sender)["EMAIL_EHLO_NAME"] == name


@pytest.mark.parametrize("name", ["secret_key", "token_peppers"])
@pytest.mark.parametrize("content", [b"", b" \n", b"\xff"])
def test_secret_in_a_file_that_is_none_is_refused(
    load: Any, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(content)
    with pytest.raises(ImproperlyConfigured, match=r"^DATA_DIR must "):
        load()
