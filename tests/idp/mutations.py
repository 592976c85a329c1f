"""Responses with other words in them. Each change begins with a real response, and leaves its
signatures as they were: so does somebody who holds one and no key."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any

from lxml import etree

Element = Any
Change = Callable[[Element], None]
"""Does something to the root of a response."""

NAMES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
RESPONSE, ASSERTION = ".", "saml:Assertion"
SUBJECT = f"{ASSERTION}/saml:Subject/saml:NameID"
CONFIRMATION = ".//saml:SubjectConfirmationData"
CONDITIONS = f"{ASSERTION}/saml:Conditions"
AUDIENCE = ".//saml:Audience"
SIGNATURE = "ds:Signature"


def read(xml: bytes) -> Element:
    return etree.fromstring(xml)


def write(root: Element) -> bytes:
    return bytes(etree.tostring(root))


def find(root: Element, path: str) -> Element:
    found = root.find(path, NAMES)
    assert found is not None, f"there is no {path} in {etree.tostring(root)!r}"
    return found


def changed(xml: bytes, *changes: Change) -> bytes:
    """The response after the changes, its signatures as they were."""
    root = read(xml)
    for change in changes:
        change(root)
    return write(root)


def say(path: str, text: str) -> Change:
    """Another text for the first element there."""

    def change(root: Element) -> None:
        element = find(root, path)
        del element[:]
        element.text = text

    return change


def say_subject(text: str) -> Change:
    return say(SUBJECT, text)


def say_attribute(name: str, text: str) -> Change:
    return say(f".//saml:Attribute[@Name='{name}']/saml:AttributeValue", text)


def put(path: str, attribute: str, value: str | None) -> Change:
    """Another value of an XML attribute, or none at all, at each element there."""

    def change(root: Element) -> None:
        elements = [root] if path == RESPONSE else root.findall(path, NAMES)
        assert elements, path
        for element in elements:
            if value is None:
                element.attrib.pop(attribute, None)
            else:
                element.set(attribute, value)

    return change


def drop(path: str) -> Change:
    def change(root: Element) -> None:
        elements = root.findall(path, NAMES)
        assert elements, path
        for element in elements:
            element.getparent().remove(element)

    return change


def double(path: str) -> Change:
    """The first element there stands twice."""

    def change(root: Element) -> None:
        element = find(root, path)
        element.addnext(deepcopy(element))

    return change


def comment_inside(path: str, *, before: str) -> Change:
    """A comment within a text: no signature covers it, and careless readers stop there."""

    def change(root: Element) -> None:
        element = find(root, path)
        head, found, tail = (element.text or "").partition(before)
        assert head, f"{before!r} is to be within the text"
        assert found, f"{before!r} is to be within the text"
        element.text = head
        comment = etree.Comment("")
        comment.tail = found + tail
        element.insert(0, comment)

    return change


def move_times(
    *, not_before: datetime | None = None, not_on_or_after: datetime | None = None
) -> Change:
    """Other bounds, wherever an assertion has them."""

    def change(root: Element) -> None:
        for path in (CONDITIONS, CONFIRMATION):
            if not_before and path == CONDITIONS:
                put(path, "NotBefore", instant(not_before))(root)
            if not_on_or_after:
                put(path, "NotOnOrAfter", instant(not_on_or_after))(root)

    return change


def instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- What is no message of SAML ----------------------------------------------------------------


def with_doctype(xml: bytes, declaration: str = "") -> bytes:
    return f"<!DOCTYPE samlp:Response{declaration}>".encode() + _bare(xml)


def with_entity(xml: bytes, text: str) -> bytes:
    """The subject is named by an entity, which stands for the true one: the signature holds."""
    named = changed(xml, say_subject("ENTITY")).replace(b">ENTITY<", b">&who;<")
    return with_doctype(named, f' [<!ENTITY who "{text}">]')


def with_outside_entity(xml: bytes, address: str) -> bytes:
    """The subject is named by an entity that lies elsewhere."""
    named = changed(xml, say_subject("ENTITY")).replace(b">ENTITY<", b">&who;<")
    return with_doctype(named, f' [<!ENTITY who SYSTEM "{address}">]')


def with_many_entities(xml: bytes) -> bytes:
    """A few lines that become gigabytes when somebody unfolds them."""
    rows = ['<!ENTITY e0 "ha">']
    rows += [f'<!ENTITY e{each} "{f"&e{each - 1};" * 10}">' for each in range(1, 12)]
    named = changed(xml, say_subject("ENTITY")).replace(b">ENTITY<", b">&e11;<")
    return with_doctype(named, f" [{''.join(rows)}]")


def _bare(xml: bytes) -> bytes:
    """Without the XML declaration, which must come first."""
    return xml[xml.index(b"?>") + 2 :] if xml.startswith(b"<?xml") else xml
