"""The plaintext of a token is nowhere on disk, whatever was done with it."""

import base64
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from apitokens import keys
from apitokens.demo.seed import PASSWORD
from tests.portal import Portal

pytestmark = pytest.mark.contract

LIST = "/accounts/1/api-tokens/"

TOKEN = re.compile(r"[1-9][0-9]{8}[$_][0-9a-f]{72}")


@pytest.fixture(scope="module")
def tokens(portal: Portal) -> Iterator[list[str]]:
    """Two tokens, from page and API, that were used and misused in every way there is."""
    with closing(sqlite3.connect(database(portal))) as witness:
        witness.execute("SELECT count(*) FROM apitokens_apitoken")  # so that the -wal file stays
        yield lead_a_full_life(portal)


def lead_a_full_life(portal: Portal) -> list[str]:
    with httpx.Client(base_url=portal.url, timeout=60) as browser:
        sign_in(browser, PASSWORD)
        of_page = create_by_page(browser)
        of_api = create_by_api(portal, of_page)
        for token in (of_page, of_api):
            use(portal, token)
            misuse(portal, browser, token)
            break_the_portal(portal, token)
        page = f"{LIST}{keys.parse(of_page).id}/delete/"
        browser.post(page, data=csrf_of(browser))
    assert call(portal, of_page).json()["code"] == "deleted"
    return [of_page, of_api]


def csrf_of(browser: httpx.Client) -> dict[str, str]:
    name = next(name for name in browser.cookies if name.startswith("csrf"))
    return {"csrfmiddlewaretoken": browser.cookies[name]}


def sign_in(browser: httpx.Client, password: str) -> httpx.Response:
    browser.get("/sign-in/")
    form = {"login": "admin@example.com", "password": password, **csrf_of(browser)}
    return browser.post("/sign-in/", data=form)


def create_by_page(browser: httpx.Client) -> str:
    url = f"{LIST}create/"
    browser.get(url)
    form = {"name": "Of the page", "role": "1", "expiration": "never", "form_key": str(uuid4())}
    answer = browser.post(url, data={**form, **csrf_of(browser)})
    found = TOKEN.search(unescape(answer.text))
    assert found is not None
    return found[0]


def create_by_api(portal: Portal, token: str) -> str:
    asked: dict[str, object] = {"name": "Of the API", "exp_date": None, "client_user": {}}
    made = httpx.post(
        f"{portal.url}/iam/v2/clients/1/tokens",
        json=asked,
        headers={"Authorization": f"APIKey {token}"},
    )
    return str(made.json()["token"])


def call(portal: Portal, token: str) -> httpx.Response:
    return httpx.get(
        f"{portal.url}/iam/users/me", headers={"Authorization": f"APIKey {token}"}, timeout=60
    )


def use(portal: Portal, token: str) -> None:
    assert call(portal, token).status_code == 200


def misuse(portal: Portal, browser: httpx.Client, token: str) -> None:
    """Put the token wherever it does not belong."""
    api = f"{portal.url}/iam/clients"
    for header in (f"Bearer {token}", token, f"APIKey {token}x", f"APIKey {token[:-1]}"):
        assert httpx.get(f"{api}/me", headers={"Authorization": header}).status_code == 401
    for url in (f"{api}/{token}/tokens", f"{api}/me?key={token}", f"{portal.url}/{token}"):
        assert httpx.get(url).status_code in (401, 404)
    good = {"Authorization": f"APIKey {token}", "Content-Type": "application/json"}
    for body in (token, f'{{"name": "{token}', f'{{"client_user": {{"role": "{token}"}}}}'):
        assert httpx.post(f"{api}/1/tokens", content=body, headers=good).status_code == 400
    for name in ("Referer", "User-Agent", "X-Forwarded-For", "Origin", "Cookie"):
        httpx.get(f"{portal.url}/sign-in/", headers={name: token})
    assert httpx.get(f"{portal.url}/sign-in/", headers={"Host": token}).status_code == 400
    httpx.get(f"{portal.url}/healthz", headers={"Host": token})
    assert httpx.post(f"{portal.url}/sign-in/", data={"login": token}).status_code == 403
    for query in ("q", "issued_by", "sort", "page", "next"):
        browser.get(LIST, params={query: token})
    browser.get("/accounts/1/open/", params={"next": token})
    settings = "/accounts/1/notifications/settings/"
    browser.post(settings, data={"account": token, **csrf_of(browser)})
    with httpx.Client(base_url=portal.url, timeout=60) as stranger:
        sign_in(stranger, password=token)
        stranger.post(
            "/sign-in/",
            data={"login": f"{token}@example.com", "password": "x", **csrf_of(stranger)},
        )


def break_the_portal(portal: Portal, token: str) -> None:
    """Let it fail in the middle of its work, so that it logs how."""
    with closing(sqlite3.connect(database(portal), timeout=30)) as saboteur:
        saboteur.execute("ALTER TABLE apitokens_apitoken RENAME TO hidden")
        saboteur.commit()
        try:
            good = {"Authorization": f"APIKey {token}"}
            assert httpx.get(f"{portal.url}/iam/clients/1/tokens", headers=good).status_code == 500
        finally:
            saboteur.execute("ALTER TABLE hidden RENAME TO apitokens_apitoken")
            saboteur.commit()


def database(portal: Portal) -> Path:
    return portal.data_dir / "permatoken.sqlite3"


def disguises(token: str) -> set[bytes]:
    """The secret as text, as bytes and in base64, wherever it may begin in a longer text."""
    text = re.split("[$_]", token)[1]
    secret = text[:64]
    forms = {text, text.upper(), secret, secret.upper(), secret[::-1]}
    whole = {form.encode() for form in forms} | {secret.encode("utf-16-le")}
    for content in (secret.encode(), bytes.fromhex(secret)):
        whole.add(content)
        for shift in range(3):
            encoded = base64.b64encode(bytes(shift) + content)[4:-4]
            whole |= {encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")}
    return whole


def files(portal: Portal) -> list[Path]:
    return [path for path in portal.data_dir.rglob("*") if path.is_file()]


def test_search_would_find_a_secret(tokens: list[str]) -> None:
    """What the search of the other tests is able to see."""
    secret = tokens[0][10:]
    header = base64.b64encode(f"APIKey {tokens[0]}".encode())
    assert any(form in header for form in disguises(tokens[0]))
    assert any(form in bytes.fromhex(secret) for form in disguises(tokens[0]))


def test_everything_that_should_be_searched_is_there(portal: Portal, tokens: list[str]) -> None:
    names = {path.name for path in files(portal)}
    assert {"permatoken.sqlite3", "permatoken.sqlite3-wal", "web.log"} <= names
    content = b"".join(path.read_bytes() for path in files(portal))
    for proof in (b"Of the page", b"Of the API", b"token.issued", b"token.deleted"):
        assert proof in content


@pytest.mark.parametrize("number", [0, 1], ids=["page", "API"])
def test_no_file_holds_the_secret(portal: Portal, tokens: list[str], number: int) -> None:
    for path in files(portal):
        content = path.read_bytes()
        for form in disguises(tokens[number]):
            assert form not in content, path


@pytest.mark.parametrize("number", [0, 1], ids=["page", "API"])
def test_no_row_holds_the_secret(portal: Portal, tokens: list[str], number: int) -> None:
    """A row may be spread over several pages of the database's file: so each is read whole."""
    with closing(sqlite3.connect(database(portal), timeout=30)) as connection:
        dump = "\n".join(connection.iterdump())
    assert f"'{'Of the page' if number == 0 else 'Of the API'}'" in dump
    for form in disguises(tokens[number]):
        assert form.decode("latin-1") not in dump
        assert form.hex() not in dump.lower()


def test_log_tells_what_happened_to_a_token_without_its_secret(
    portal: Portal, tokens: list[str]
) -> None:
    log = (portal.data_dir / "web.log").read_text()
    assert re.search(r"GET \S* ?404 in", log)  # its address is left out
    assert "no such table" in log
