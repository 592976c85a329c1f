"""Wrapping: what was signed moves aside, and something false takes its place."""

from __future__ import annotations

import uuid
from copy import deepcopy
from enum import StrEnum

from lxml import etree

from tests.idp.mutations import (
    ASSERTION,
    NAMES,
    RESPONSE,
    SIGNATURE,
    Change,
    Element,
    changed,
    find,
    read,
    write,
)
from tests.idp.signatures import signed_paths, unsigned


class Shape(StrEnum):
    """Where the signed element goes, while a false one takes its place."""

    IN_SIGNATURE = "into the signature, which the false one has"
    BESIDE = "beside the false one, which has the signature"
    IN_OBJECT = "into an Object of the signature, which the false one has"
    IN_EXTENSIONS = "whole, into the extensions"
    INSIDE = "whole, inside the false one"
    AFTER = "whole, after the false one"


def wrap(xml: bytes, shape: Shape, lie: Change) -> bytes:
    """A response that says something else, and still carries all that was signed."""
    true, false = read(xml), read(xml)
    lie(false)
    if ASSERTION in signed_paths(true):
        _wrap_assertion(find(true, ASSERTION), false, shape)
    if RESPONSE in signed_paths(true):
        _wrap_response(read(xml), false, shape)
    return write(false)


def _wrap_assertion(true: Element, response: Element, shape: Shape) -> None:
    false = _disguised(find(response, ASSERTION))
    true = deepcopy(true)
    match shape:
        case Shape.BESIDE:
            _give_signature(true, false)
            false.addnext(true)
        case Shape.IN_EXTENSIONS:
            _extensions(response).append(true)
        case Shape.AFTER:
            false.addnext(true)
        case _:
            _wrap_within(true, false, shape)


def _wrap_response(true: Element, false: Element, shape: Shape) -> None:
    _disguised(false)
    match shape:
        case Shape.BESIDE:
            _give_signature(true, false)
            false.append(true)
        case Shape.IN_EXTENSIONS:
            _extensions(false).append(true)
        case Shape.AFTER:
            find(false, ASSERTION).addnext(true)
        case _:
            _wrap_within(true, false, shape)


def _wrap_within(true: Element, false: Element, shape: Shape) -> None:
    if shape is Shape.INSIDE:
        false.append(true)
        return
    signature = _give_signature(true, false)
    if shape is Shape.IN_OBJECT:
        signature = etree.SubElement(signature, f"{{{NAMES['ds']}}}Object")
    signature.append(true)


def _disguised(false: Element) -> Element:
    signature = false.find(SIGNATURE, NAMES)
    if signature is not None:
        false.remove(signature)
    false.set("ID", f"_{uuid.uuid4().hex}")
    return false


def _give_signature(true: Element, false: Element) -> Element:
    signature = find(true, SIGNATURE)
    find(false, "saml:Issuer").addnext(signature)
    return signature


def _extensions(response: Element) -> Element:
    extensions = response.find("samlp:Extensions", NAMES)
    if extensions is None:
        extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
        find(response, "samlp:Status").addprevious(extensions)
    return extensions


def same_ids(xml: bytes, lie: Change) -> bytes:
    """A false assertion before the true one, with the ID of the true one."""
    root, false = read(xml), read(xml)
    lie(false)
    assertion = find(read(unsigned(write(false))), ASSERTION)
    find(root, ASSERTION).addprevious(assertion)
    return write(root)


def nested(xml: bytes, lie: Change) -> bytes:
    """A response in the place where an assertion belongs, beside a false assertion."""
    root, outer = read(xml), read(unsigned(changed(xml, lie)))
    outer.set("ID", f"_{uuid.uuid4().hex}")
    assertion = find(outer, ASSERTION)
    assertion.set("ID", f"_{uuid.uuid4().hex}")
    assertion.addprevious(root)
    return write(outer)
