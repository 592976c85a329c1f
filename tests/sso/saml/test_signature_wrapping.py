"""Fuzzing of the structural checks: any input is parsed or refused, and never ambiguous."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from sso.saml.errors import Refused
from sso.saml.signature_wrapping import MAX_BASE64_LENGTH, parse_response, parse_xml

SP = "urn:oasis:names:tc:SAML:2.0"
NAMES = f'xmlns:samlp="{SP}:protocol" xmlns:saml="{SP}:assertion"'
CHARACTERS = st.text(st.characters(codec="utf-8"), max_size=50)


def encoded(xml: str) -> str:
    return b64encode(xml.encode()).decode()


def response(inside: str = "") -> str:
    return f'<samlp:Response {NAMES} Version="2.0" ID="_r">{inside}</samlp:Response>'


def code_of(text: str) -> str:
    with pytest.raises(Refused) as refusal:
        parse_response(text)
    return refusal.value.code


@given(st.text())
def test_any_text_is_refused_for_a_reason(text: str) -> None:
    assert code_of(text)


@given(st.binary())
def test_any_bytes_are_refused_for_a_reason(body: bytes) -> None:
    assert code_of(b64encode(body).decode())


@given(CHARACTERS)
def test_document_without_comments_is_read_as_one_text(text: str) -> None:
    node = etree.Element("a")
    try:
        node.text = text
    except ValueError:  # letters that XML has not
        return
    read = parse_xml(etree.tostring(node, encoding="utf-8"))

    assert "".join(read.itertext()) == (node.text or "")


@given(st.sampled_from(["utf-16", "utf-7", "latin-1", "ebcdic-cp-be", "UTF-32"]))
def test_other_encodings_than_utf8_are_refused(encoding: str) -> None:
    assert code_of(encoded(f'<?xml version="1.0" encoding="{encoding}"?>{response()}')) == (
        "encoding"
    )


@pytest.mark.parametrize(
    ("code", "text"),
    {
        "nothing": ("nothing", " \n"),
        "large": ("too_large", "A" * (MAX_BASE64_LENGTH + 1)),
        "not base64": ("not_base64", "%%%%"),
        "not UTF-8": ("encoding", b64encode(b"\xff\xfe<").decode()),
        "cut": ("not_xml", encoded(response()[:-5])),
        "doctype": ("doctype", encoded(f"<!DOCTYPE a>{response()}")),
        "entities": ("doctype", encoded(f'<!DOCTYPE a [<!ENTITY b "c">]>{response("&b;")}')),
        "comment": ("odd_node", encoded(response("<!-- -->"))),
        "comment behind": ("odd_node", encoded(f"{response()}<!-- -->")),
        "instruction": ("odd_node", encoded(response("<?php ?>"))),
        "other": ("not_a_response", encoded("<a/>")),
        "other version": ("not_a_response", encoded(response().replace('2.0"', '1.1"'))),
        "none": ("shape", encoded(response())),
        "two": ("shape", encoded(response("<saml:Assertion/><saml:Assertion/>"))),
        "deep": (
            "shape",
            encoded(response("<samlp:Extensions><saml:Assertion/></samlp:Extensions>")),
        ),
        "nested": ("shape", encoded(response(f"<saml:Assertion>{response()}</saml:Assertion>"))),
        "same id": ("duplicate_id", encoded(response('<saml:Assertion ID="_r"/>'))),
        "same id, other case": ("duplicate_id", encoded(response('<saml:Assertion Id="_r"/>'))),
        "encrypted": ("encrypted", encoded(response("<saml:EncryptedAssertion/>"))),
        "unsigned": ("unsigned", encoded(response('<saml:Assertion ID="_a"/>'))),
    }.values(),
)
def test_odd_documents_are_refused(code: str, text: str) -> None:
    assert code_of(text) == code
