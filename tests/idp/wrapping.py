"""XML signature wrapping: the signed element moves aside, and a false one takes its place."""

from __future__ import annotations

import uuid
from copy import deepcopy
from enum import StrEnum

from lxml import etree

from tests.idp.mutations import (
    ASSERTION,
    NAMESPACES,
    RESPONSE,
    SIGNATURE,
    Element,
    Mutation,
    find,
    mutate,
    parse,
    serialize,
)
from tests.idp.signatures import remove_signatures, signed_paths


class Wrapping(StrEnum):
    """Where the signed element goes."""

    IN_SIGNATURE = "into the signature, which the false one has"
    BESIDE = "beside the false one, which has the signature"
    IN_OBJECT = "into an Object of the signature, which the false one has"
    IN_EXTENSIONS = "whole, into the extensions"
    INSIDE = "whole, inside the false one"
    AFTER = "whole, after the false one"


def wrap(xml: bytes, variant: Wrapping, mutation: Mutation) -> bytes:
    """Wrap a response: it has the mutation, and still contains everything that was signed."""
    true, false = parse(xml), parse(xml)
    mutation(false)
    if ASSERTION in signed_paths(true):
        _wrap_assertion(find(true, ASSERTION), false, variant)
    if RESPONSE in signed_paths(true):
        _wrap_response(parse(xml), false, variant)
    return serialize(false)


def _wrap_assertion(true: Element, response: Element, variant: Wrapping) -> None:
    false = _strip_identity(find(response, ASSERTION))
    true = deepcopy(true)
    match variant:
        case Wrapping.BESIDE:
            _move_signature(true, false)
            false.addnext(true)
        case Wrapping.IN_EXTENSIONS:
            _extensions(response).append(true)
        case Wrapping.AFTER:
            false.addnext(true)
        case _:
            _wrap_within(true, false, variant)


def _wrap_response(true: Element, false: Element, variant: Wrapping) -> None:
    _strip_identity(false)
    match variant:
        case Wrapping.BESIDE:
            _move_signature(true, false)
            false.append(true)
        case Wrapping.IN_EXTENSIONS:
            _extensions(false).append(true)
        case Wrapping.AFTER:
            find(false, ASSERTION).addnext(true)
        case _:
            _wrap_within(true, false, variant)


def _wrap_within(true: Element, false: Element, variant: Wrapping) -> None:
    if variant is Wrapping.INSIDE:
        false.append(true)
        return
    signature = _move_signature(true, false)
    if variant is Wrapping.IN_OBJECT:
        signature = etree.SubElement(signature, f"{{{NAMESPACES['ds']}}}Object")
    signature.append(true)


def _strip_identity(false: Element) -> Element:
    """Remove the signature, and give another ID."""
    signature = false.find(SIGNATURE, NAMESPACES)
    if signature is not None:
        false.remove(signature)
    false.set("ID", f"_{uuid.uuid4().hex}")
    return false


def _move_signature(true: Element, false: Element) -> Element:
    signature = find(true, SIGNATURE)
    find(false, "saml:Issuer").addnext(signature)
    return signature


def _extensions(response: Element) -> Element:
    extensions = response.find("samlp:Extensions", NAMESPACES)
    if extensions is None:
        extensions = etree.Element(f"{{{NAMESPACES['samlp']}}}Extensions")
        find(response, "samlp:Status").addprevious(extensions)
    return extensions


def duplicate_id(xml: bytes, mutation: Mutation) -> bytes:
    """Insert a false assertion before the true one, with the same ID."""
    root, false = parse(xml), parse(xml)
    mutation(false)
    assertion = find(parse(remove_signatures(serialize(false))), ASSERTION)
    find(root, ASSERTION).addprevious(assertion)
    return serialize(root)


def nest_response(xml: bytes, mutation: Mutation) -> bytes:
    """Nest the response in another one, beside a false assertion."""
    root, outer = parse(xml), parse(remove_signatures(mutate(xml, mutation)))
    outer.set("ID", f"_{uuid.uuid4().hex}")
    assertion = find(outer, ASSERTION)
    assertion.set("ID", f"_{uuid.uuid4().hex}")
    assertion.addprevious(root)
    return serialize(outer)
