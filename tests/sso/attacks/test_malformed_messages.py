"""Requests to the SAML endpoints that are no SAML messages, and XML attacks."""

from __future__ import annotations

import socket
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.idp import mutations
from tests.idp.login import LoginBrowser
from tests.idp.redirect_binding import deflate
from tests.sso.attacks.conftest import MARIA, assert_refused

pytestmark = [pytest.mark.samlp, pytest.mark.django_db]

MEGABYTE = 1024 * 1024
ZLIBS_OWN = zlib.decompressobj


def encoded(raw: bytes) -> str:
    return b64encode(raw).decode()


EMPTY = b'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>'
BODIES: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("nothing", {}),
    "empty": ("nothing", {"SAMLResponse": ""}),
    "a request": ("nothing", {"SAMLRequest": encoded(b"<a/>")}),
    "not base64": ("not_base64", {"SAMLResponse": "<samlp:Response/>"}),
    "bits of base64": ("not_base64", {"SAMLResponse": "PHNhbWxw!"}),
    "not ASCII": ("not_base64", {"SAMLResponse": "Ответ"}),
    "no text": ("encoding", {"SAMLResponse": encoded(bytes(range(256)))}),
    "UTF-16": ("encoding", {"SAMLResponse": encoded("<?xml version='1.0'?><a/>".encode("utf-16"))}),
    "UTF-7": (
        "encoding",
        {"SAMLResponse": encoded(b"<?xml version='1.0' encoding='UTF-7'?>+ADw-a/+AD4-")},
    ),
    "deflate bomb": ("encoding", {"SAMLResponse": encoded(deflate(bytes(20 * MEGABYTE)))}),
    "not XML": ("not_xml", {"SAMLResponse": encoded(b"Let me in.")}),
    "half of XML": ("not_xml", {"SAMLResponse": encoded(b"<samlp:Response")}),
    "deep": ("not_xml", {"SAMLResponse": encoded(b"<a>" * 10_000 + b"</a>" * 10_000)}),
    "other XML": ("not_a_response", {"SAMLResponse": encoded(b"<html><body/></html>")}),
    "empty response": ("not_a_response", {"SAMLResponse": encoded(EMPTY)}),
    "many attributes": (
        "not_a_response",
        {"SAMLResponse": encoded(b"<a %s/>" % b" ".join(b'a%d=""' % n for n in range(5000)))},
    ),
    "long relay state": (
        "not_a_response",
        {"SAMLResponse": encoded(b"<a/>"), "RelayState": "r" * 100_000},
    ),
}


@pytest.mark.parametrize(("code", "body"), BODIES.values(), ids=BODIES)
def test_body_that_is_no_response_is_refused(
    browser: LoginBrowser, code: str, body: dict[str, str]
) -> None:
    browser.start_login()

    assert_refused(browser, browser.post(body), code)


@pytest.mark.parametrize(("code", "body"), BODIES.values(), ids=BODIES)
def test_body_that_nobody_awaits_is_refused(
    browser: LoginBrowser, code: str, body: dict[str, str]
) -> None:
    assert_refused(browser, browser.post(body), code)


@pytest.mark.parametrize("field", ["SAMLResponse", "RelayState", "more"])
def test_body_of_ten_megabytes_is_refused(browser: LoginBrowser, field: str) -> None:
    browser.start_login()

    page = browser.post({"SAMLResponse": "", field: "A" * 10 * MEGABYTE})

    assert page.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    assert not browser.is_signed_in


def test_file_of_ten_megabytes_is_refused(browser: LoginBrowser) -> None:
    page = browser.client.post(
        browser.acs,
        b"A" * 10 * MEGABYTE,
        content_type="multipart/form-data; boundary=x",
    )

    assert page.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_responses_come_by_post_only(browser: LoginBrowser, method: str) -> None:
    response = browser.fetch_response(MARIA)

    page = getattr(browser.client, method)(f"{browser.acs}?{urlencode(response.fields)}")

    assert page.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert not browser.is_signed_in


def test_address_of_nobodys_provider_is_not_found(browser: LoginBrowser) -> None:
    response = browser.fetch_response(MARIA)

    page = browser.post(
        response.fields, acs=browser.acs.replace(browser.connection.slug, "0123456789abcdef")
    )

    assert page.status_code == HTTPStatus.NOT_FOUND


# --- DOCTYPE and entities ---------------------------------------------------


@pytest.mark.parametrize(
    "disguise",
    [
        mutations.with_doctype,
        lambda xml: mutations.with_doctype(xml, ' PUBLIC "x" "http://elsewhere.example/x.dtd"'),
        lambda xml: mutations.with_entity(xml, MARIA.subject),
        lambda xml: mutations.with_outside_entity(xml, "file:///etc/hostname"),
        mutations.with_many_entities,
    ],
    ids=["doctype", "doctype elsewhere", "entity", "file", "many entities"],
)
def test_document_type_is_refused(
    browser: LoginBrowser, signed: str, disguise: Callable[[bytes], bytes]
) -> None:
    response = browser.fetch_response(MARIA, signed=signed)

    assert_refused(browser, browser.submit_xml(disguise(response.xml), response), "doctype")


def test_nothing_is_fetched_for_a_document(browser: LoginBrowser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        response = browser.fetch_response(MARIA)

        browser.submit_xml(mutations.with_outside_entity(response.xml, address), response)

        with pytest.raises(TimeoutError):
            listener.accept()


# --- Signing out -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SAMLRequest", "SAMLResponse"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "Ответ",
        encoded(b"not deflated"),
        encoded(deflate(b"not XML")),
        encoded(deflate(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")),
        encoded(deflate(b"<a/>")),
    ],
    ids=["empty", "bits", "not ASCII", "not deflated", "not XML", "entity", "other XML"],
)
def test_signing_out_with_what_is_no_message_is_refused(
    browser: LoginBrowser, name: str, text: str
) -> None:
    browser.sign_in(MARIA)

    page = browser.client.get(browser.sls, {name: text})

    assert HTTPStatus.BAD_REQUEST <= page.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    assert browser.is_signed_in


class Inflater:
    """zlib's, which counts what it has inflated."""

    inflated = 0

    def __init__(self, *how: Any) -> None:
        self._inflater = ZLIBS_OWN(*how)

    def decompress(self, *what: Any) -> bytes:
        part = self._inflater.decompress(*what)
        Inflater.inflated += len(part)
        return part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inflater, name)


@pytest.mark.parametrize("megabytes", [10, 200])
@pytest.mark.parametrize("name", ["SAMLRequest", "SAMLResponse"])
def test_deflate_bomb_costs_neither_time_nor_memory(
    browser: LoginBrowser, name: str, megabytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decompression bomb: a thousandth is sent, and hardly any of it is inflated."""
    bomb = encoded(deflate(bytes(megabytes * MEGABYTE)))
    monkeypatch.setattr(Inflater, "inflated", 0)
    monkeypatch.setattr(zlib, "decompressobj", Inflater)
    tracemalloc.start()

    page = browser.client.get(browser.sls, {name: bomb})

    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert HTTPStatus.BAD_REQUEST <= page.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    assert most < 5 * MEGABYTE
    assert Inflater.inflated < MEGABYTE
