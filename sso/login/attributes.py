"""Attribute mapping: e-mail address, name and role of an assertion, as the settings say."""

from django.core.exceptions import ValidationError

from accounts.email_addresses import known_email
from accounts.roles import Role
from accounts.text.folding import normal_text
from accounts.validators import validate_name
from sso.models import Connection
from sso.name_ids import EMAIL_FORMAT
from sso.saml.responses import Assertion

MAX_NAME_LENGTH = 150


def email_of(connection: Connection, assertion: Assertion) -> str | None:
    """The e-mail address in the assertion; None unless there is exactly one, and it is valid. Sent
    twice, also in other case, it is one; an empty value is none."""
    if connection.email_attribute:
        values = _attribute_values(assertion, connection.email_attribute)
    else:
        values = [assertion.name_id] if assertion.name_id_format == EMAIL_FORMAT else []
    addresses = {known_email(value) for value in values if value.strip()}
    return addresses.pop() if len(addresses) == 1 else None


def name_of(connection: Connection, assertion: Assertion) -> str:
    """The display name in the assertion; "" if there is none that is valid."""
    values = _attribute_values(assertion, connection.name_attribute)
    name = " ".join(dict.fromkeys(normal_text(value).strip() for value in values)).strip()
    try:
        validate_name(name)
    except ValidationError:
        return ""
    return name if len(name) <= MAX_NAME_LENGTH else ""


def role_of(connection: Connection, assertion: Assertion) -> Role:
    """The role of a new member: the highest that the assertion names, by name or ID, and that the
    settings allow; else the default role."""
    values = _attribute_values(assertion, connection.role_attribute)
    named = {role for text in values if (role := Role.find(text.strip())) is not None}
    if not connection.may_make_administrators:
        named.discard(Role.ADMINISTRATORS)
    return min(named, key=lambda role: role.rank, default=connection.given_role)


def _attribute_values(assertion: Assertion, attribute: str) -> list[str]:
    """The values of an attribute; none if the settings name no attribute."""
    return assertion.attributes.get(attribute, []) if attribute else []
