"""Mutations of SAML responses. Each starts with a real response and leaves its signatures
untouched, as an attacker without the key would."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any

from lxml import etree

Element = Any
Mutation = Callable[[Element], None]
"""Changes the root of a response in place."""

NAMESPACES = {
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


def parse(xml: bytes) -> Element:
    return etree.fromstring(xml)


def serialize(root: Element) -> bytes:
    return bytes(etree.tostring(root))


def find(root: Element, path: str) -> Element:
    found = root.find(path, NAMESPACES)
    assert found is not None, f"there is no {path} in {etree.tostring(root)!r}"
    return found


def mutate(xml: bytes, *changes: Mutation) -> bytes:
    """Apply the mutations to a response."""
    root = parse(xml)
    for change in changes:
        change(root)
    return serialize(root)


def set_text(path: str, text: str) -> Mutation:
    """Replace the text of the first matching element."""

    def change(root: Element) -> None:
        element = find(root, path)
        del element[:]
        element.text = text

    return change


def set_subject(text: str) -> Mutation:
    return set_text(SUBJECT, text)


def set_attribute_value(name: str, text: str) -> Mutation:
    return set_text(f".//saml:Attribute[@Name='{name}']/saml:AttributeValue", text)


def set_xml_attribute(path: str, attribute: str, value: str | None) -> Mutation:
    """Set an XML attribute of each matching element, or remove it (None)."""

    def change(root: Element) -> None:
        elements = [root] if path == RESPONSE else root.findall(path, NAMESPACES)
        assert elements, path
        for element in elements:
            if value is None:
                element.attrib.pop(attribute, None)
            else:
                element.set(attribute, value)

    return change


def remove(path: str) -> Mutation:
    def change(root: Element) -> None:
        elements = root.findall(path, NAMESPACES)
        assert elements, path
        for element in elements:
            element.getparent().remove(element)

    return change


def duplicate(path: str) -> Mutation:
    """Duplicate the first matching element."""

    def change(root: Element) -> None:
        element = find(root, path)
        element.addnext(deepcopy(element))

    return change


def insert_comment(path: str, *, before: str) -> Mutation:
    """Insert a comment into a text: canonicalization drops it, and careless readers stop there."""

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


def set_validity(
    *, not_before: datetime | None = None, not_on_or_after: datetime | None = None
) -> Mutation:
    """Set the validity period, wherever an assertion has one."""

    def change(root: Element) -> None:
        for path in (CONDITIONS, CONFIRMATION):
            if not_before and path == CONDITIONS:
                set_xml_attribute(path, "NotBefore", format_instant(not_before))(root)
            if not_on_or_after:
                set_xml_attribute(path, "NotOnOrAfter", format_instant(not_on_or_after))(root)

    return change


def format_instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- DOCTYPE and entities ------------------------------------------------------------------------


def with_doctype(xml: bytes, declaration: str = "") -> bytes:
    return f"<!DOCTYPE samlp:Response{declaration}>".encode() + _without_declaration(xml)


def with_entity(xml: bytes, text: str) -> bytes:
    """Name the subject by an entity with the true value: the signature stays valid."""
    named = mutate(xml, set_subject("ENTITY")).replace(b">ENTITY<", b">&who;<")
    return with_doctype(named, f' [<!ENTITY who "{text}">]')


def with_outside_entity(xml: bytes, address: str) -> bytes:
    """Name the subject by an external entity (XXE)."""
    named = mutate(xml, set_subject("ENTITY")).replace(b">ENTITY<", b">&who;<")
    return with_doctype(named, f' [<!ENTITY who SYSTEM "{address}">]')


def with_many_entities(xml: bytes) -> bytes:
    """Nested entities that expand to gigabytes (billion laughs)."""
    rows = ['<!ENTITY e0 "ha">']
    rows += [f'<!ENTITY e{each} "{f"&e{each - 1};" * 10}">' for each in range(1, 12)]
    named = mutate(xml, set_subject("ENTITY")).replace(b">ENTITY<", b">&e11;<")
    return with_doctype(named, f" [{''.join(rows)}]")


def _without_declaration(xml: bytes) -> bytes:
    """Remove the XML declaration, which must come before the DOCTYPE."""
    return xml[xml.index(b"?>") + 2 :] if xml.startswith(b"<?xml") else xml
