"""Parsing of provider metadata: values, and refusals with their codes."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Words

from sso.saml.metadata import MAX_BYTES, Metadata, parse_metadata
from tests.idp.keys import certify_again
from tests.sso.metadata_documents import (
    BASE_URL,
    ENTITY_ID,
    POST,
    SIGN_IN,
    SIGN_OUT,
    certificate_base64,
    federation,
    key,
    key_descriptor,
    metadata,
    sign_metadata,
)

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def reading(document: str | bytes, base_url: str = BASE_URL) -> Metadata:
    return parse_metadata(document, base_url=base_url, at=NOW)


def reason(document: str | bytes, base_url: str = BASE_URL) -> str:
    """The code with which the document is refused."""
    with pytest.raises(ValidationError) as refusal:
        reading(document, base_url)
    return str(refusal.value.code)


def dated(not_before: datetime, not_after: datetime) -> str:
    return certify_again(key(), "idp", not_before=not_before, not_after=not_after).certificate


def certificate_of(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(private, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


# --- Values ---


def test_provider_is_read_with_its_addresses_and_certificate() -> None:
    found = reading(metadata())

    assert (found.entity_id, found.sso_url, found.slo_url) == (ENTITY_ID, SIGN_IN, SIGN_OUT)
    [certificate] = found.certificates
    expected = x509.load_pem_x509_certificate(key().certificate.encode())
    assert certificate.pem == key().certificate
    assert certificate.fingerprint == expected.fingerprint(hashes.SHA256()).hex()
    assert certificate.not_after == expected.not_valid_after_utc


def test_provider_without_sign_out_is_one_too() -> None:
    assert reading(metadata(sign_out="")).slo_url == ""


@pytest.mark.parametrize(
    "document",
    [
        "\ufeff  \n" + metadata(before='<?xml version="1.0"?>'),
        metadata(before='<?xml version="1.0" encoding="UTF-16"?>'),
        metadata(before="<!-- made by hand --><?xml-stylesheet href='x.xsl'?>"),
        metadata().encode(),
        metadata(before='<?xml version="1.0" encoding="utf-16"?>').encode("utf-16"),
        federation(metadata()),
        metadata(attributes=f'validUntil="{NOW + DAY:%Y-%m-%dT%H:%M:%SZ}"'),
    ],
    ids=["padded", "wrong encoding", "comments", "bytes", "utf-16", "one of many", "lasting"],
)
def test_documents_come_in_many_dresses(document: str | bytes) -> None:
    assert reading(document).entity_id == ENTITY_ID


def test_both_certificates_of_a_rollover_are_read() -> None:
    certificates = key().certificate, key("next").certificate
    assert [each.pem for each in reading(metadata(*certificates)).certificates] == [*certificates]


def test_certificate_for_everything_is_one_for_signing() -> None:
    assert reading(metadata(keys=key_descriptor(key().certificate, use=""))).certificates


def test_certificate_for_encryption_is_none_for_signing() -> None:
    others = key_descriptor(key("other").certificate, use=' use="encryption"')
    found = reading(metadata(keys=others + key_descriptor(key().certificate)))
    assert [each.pem for each in found.certificates] == [key().certificate]


def test_certificate_that_has_ended_is_left_out_beside_a_good_one() -> None:
    found = reading(metadata(dated(NOW - 9 * DAY, NOW - DAY), key().certificate))
    assert [each.pem for each in found.certificates] == [key().certificate]


def test_certificate_of_tomorrow_is_read_and_not_good_yet() -> None:
    found = reading(metadata(key().certificate, dated(NOW + DAY, NOW + 9 * DAY)))
    assert [each.is_valid(NOW) for each in found.certificates] == [True, False]


def test_elliptic_curve_is_strong_enough() -> None:
    assert reading(metadata(certificate_of(ec.generate_private_key(ec.SECP256R1())))).certificates


def test_certificate_may_hold_line_breaks() -> None:
    lines = "\n          ".join(key().certificate.splitlines()[1:-1])
    document = metadata().replace(certificate_base64(key().certificate), f"\n{lines}\n")
    assert reading(document).certificates[0].pem == key().certificate


def test_plain_http_is_for_a_portal_without_https() -> None:
    document = metadata(sign_in="http://localhost:7000/sso", sign_out="")
    assert reading(document, "http://localhost:8000").sso_url == "http://localhost:7000/sso"
    assert reason(document) == "address"


# --- Refusals ---


@pytest.mark.parametrize(
    "document",
    ["", "   ", "hello", "{}", "<md:EntityDescriptor", "<a><b></a>", b"\xff\xfe\x00", b"\x00" * 99],
)
def test_what_is_not_xml_is_refused(document: str | bytes) -> None:
    assert reason(document) == "not_xml"


@pytest.mark.parametrize("document", ["<html><body>Sign in</body></html>", "<EntityDescriptor/>"])
def test_other_xml_is_refused(document: str) -> None:
    assert reason(document) == "not_metadata"


def test_large_document_is_refused_unread() -> None:
    assert reason("<" * (MAX_BYTES + 1)) == "too_large"


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE x>",
        '<!DOCTYPE x [<!ENTITY e "text">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    ],
)
def test_doctype_is_refused(doctype: str) -> None:
    assert reason(metadata(before=doctype)) == "doctype"


def test_bomb_of_entities_is_refused() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha">{levels}]>'
    document = metadata(before=bomb, more="<a>&e11;</a>", attributes='x="&e11;"')
    assert reason(document) in ("doctype", "not_xml")


@pytest.mark.parametrize(
    "script",
    [
        '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>',
        '<md:Extensions><h:SCRIPT xmlns:h="urn:h">alert(1)</h:SCRIPT></md:Extensions>',
    ],
)
def test_script_is_refused(script: str) -> None:
    assert reason(metadata(more=script)) == "script"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "javascript:alert(1)",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "two words",
        "https://idp.example.com/&quot;onclick=",
        "x" * 1025,
    ],
)
def test_entity_id_that_is_no_name_is_refused(name: str) -> None:
    assert reason(metadata(entity_id=name)) == "entity_id"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,hello",
        "//idp.example.com/sso",
        "/sso",
        "https://",
        "https://user:secret@idp.example.com/sso",
        "https://idp.example.com:port/sso",
        "https://[::1/sso",
        "http://idp.example.com/sso",
        "ftp://idp.example.com/sso",
        "https://idp.example.com/a b",
    ],
)
def test_address_that_browsers_must_not_be_sent_to_is_refused(address: str) -> None:
    assert reason(metadata(sign_in=address)) == "address"
    assert reason(metadata(sign_out=address)) == "address"


@pytest.mark.parametrize(
    "ours",
    [
        {"entity_id": f"{BASE_URL}/sso/0123/metadata/"},
        {"entity_id": BASE_URL.upper()},
        {"sign_in": f"{BASE_URL}/sign-in/"},
        {"sign_out": f"{BASE_URL}:443/sign-out/"},
    ],
)
def test_portal_is_no_provider_of_its_own(ours: dict[str, str]) -> None:
    assert reason(metadata(**ours)) == "own_entity_id"


def test_service_is_no_provider() -> None:
    assert reason(metadata().replace("IDPSSODescriptor", "SPSSODescriptor")) == "no_provider"


def test_provider_of_another_protocol_is_refused() -> None:
    other = "urn:oasis:names:tc:SAML:1.1:protocol"
    assert reason(metadata().replace(Words.NS_SAMLP, other)) == "no_provider"


def test_one_of_several_providers_is_not_guessed() -> None:
    document = federation(metadata(), metadata(entity_id="https://other.example.com"))
    assert reason(document) == "several_providers"


def test_provider_without_redirect_binding_is_refused() -> None:
    assert reason(metadata(binding=POST)) == "no_sign_in_address"


@pytest.mark.parametrize(
    "keys",
    ["", "<md:KeyDescriptor/>", key_descriptor(key().certificate, use=' use="encryption"')],
    ids=["none", "empty", "for encryption"],
)
def test_provider_without_signing_certificate_is_refused(keys: str) -> None:
    assert reason(metadata(keys=keys)) == "no_certificate"


@pytest.mark.parametrize("body", ["", "AAAA", "not base64!", "MIIB" * 20, "ü"])
def test_certificate_that_is_none_is_refused(body: str) -> None:
    document = metadata().replace(certificate_base64(key().certificate), body)
    assert reason(document) == "certificate_unreadable"


def test_weak_key_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert reason(metadata(certificate_of(weak))) == "certificate_weak"


def test_provider_with_ended_certificates_only_is_refused() -> None:
    assert reason(metadata(dated(NOW - 9 * DAY, NOW - DAY))) == "certificate_ended"


def test_crowd_of_certificates_is_refused() -> None:
    many = [dated(NOW - DAY, NOW + DAY) for _ in range(5)]
    assert reason(metadata(*many)) == "too_many_certificates"


def test_metadata_that_were_good_until_yesterday_are_refused() -> None:
    late = f'validUntil="{NOW - DAY:%Y-%m-%dT%H:%M:%SZ}"'
    assert reason(metadata(attributes=late)) == "metadata_ended"


# --- Signatures ---


def saying_that_it_is_signed_by(certificate: str) -> str:
    """Signed metadata, with another certificate in the signature."""
    start, end = "<ds:X509Certificate>", "</ds:X509Certificate>"
    before, _start, rest = sign_metadata(metadata()).partition(start)
    assert "<ds:Signature" in before
    return before + start + certificate + end + rest.partition(end)[2]


@pytest.mark.parametrize("name", ["", 'ID="_1"'])
def test_signed_metadata_are_read(name: str) -> None:
    assert reading(sign_metadata(metadata(attributes=name))).entity_id == ENTITY_ID


def test_metadata_changed_after_signing_are_refused() -> None:
    changed = sign_metadata(metadata()).replace(SIGN_IN, "https://evil.example.com/sso")
    assert reason(changed) == "signature"


def test_metadata_signed_by_sha1_are_refused() -> None:
    assert (
        reason(sign_metadata(metadata(), method=Words.RSA_SHA1, digest=Words.SHA1)) == "signature"
    )


def test_signature_of_another_key_than_it_says_is_refused() -> None:
    assert (
        reason(saying_that_it_is_signed_by(certificate_base64(key("next").certificate)))
        == "signature"
    )


def test_signature_without_a_certificate_is_refused() -> None:
    assert reason(saying_that_it_is_signed_by("")) == "signature"


def test_signature_over_something_else_is_refused() -> None:
    """Signature wrapping: the real provider's signed part inside another document."""
    real = sign_metadata(metadata(attributes='ID="_1"'))
    real = real[real.index("<md:EntityDescriptor") :]
    forged = metadata(entity_id="https://evil.example.com")
    signature = real[real.index("<ds:Signature") : real.index("</ds:Signature>") + 15]
    wrapped = federation(
        forged.replace("<md:IDPSSODescriptor", f"{signature}<md:IDPSSODescriptor"),
        real.replace("IDPSSODescriptor", "PDPDescriptor").replace(signature, ""),
    )
    assert reason(wrapped) == "signature"


def test_two_elements_with_one_id_are_refused_in_signed_metadata() -> None:
    doubled = sign_metadata(metadata(attributes='ID="_1"')).replace(
        "<md:IDPSSODescriptor", '<md:IDPSSODescriptor ID="_1"'
    )
    assert reason(doubled) == "signature"


# --- Anything else ---


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_no_text_is_more_than_refused(document: str | bytes) -> None:
    with pytest.raises(ValidationError):
        reading(document)


@given(st.integers(0, 2000), st.text(max_size=8))
def test_no_damage_is_more_than_refused(place: int, damage: str) -> None:
    whole = metadata()
    try:
        found = reading(whole[:place] + damage + whole[place + len(damage) :])
    except ValidationError:
        return
    assert found.certificates
    assert found.sso_url.startswith("https://")
