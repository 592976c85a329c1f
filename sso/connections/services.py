"""Services of connections, for an account's Administrators.

Each locks the account's row, then re-authorizes the actor and reads the connection again. Only
Administrators in person are allowed, with no API token or JWT; operators can only switch off.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization import recheck
from accounts.authorization.actor import Actor
from accounts.authorization.shown import fingerprint, refuse_changed
from accounts.members import suspension
from accounts.models import Account
from accounts.roles import Role
from sso.models import Certificate, Connection, Subject
from sso.saml.certificates import SigningCertificate
from sso.saml.metadata import MAX_CERTIFICATES, Metadata

PROVIDER = ("entity_id", "sso_url", "slo_url")
SETTINGS = (
    *("name", "email_attribute", "name_attribute", "role_attribute"),
    *("takes_new_people", "default_role", "may_make_administrators"),
)


def connection_of(account_id: int) -> Connection | None:
    """The account's connection, if there is one."""
    return Connection.objects.filter(account=account_id).select_related("account").first()


@transaction.atomic
def set_up(*, account: Account, by: Actor, at: datetime) -> Connection:
    """Create the account's connection, so that the portal's URLs for its provider exist. Nobody can
    sign in by it yet. Idempotent."""
    recheck.lock_account(account.pk)
    by = _require_administrator_in_person(account.pk, by, at)
    connection, is_new = Connection.objects.get_or_create(
        account=account, defaults={"name": account.name, "created_at": at}
    )
    if is_new:
        _record("sso.set_up", connection, by=by, at=at)
    return connection


@transaction.atomic
def set_provider(
    *,
    connection: Connection,
    metadata: Metadata,
    keep_certificates: bool = False,
    shown: str | None = None,
    by: Actor,
    at: datetime,
) -> Connection:
    """Trust the provider of these metadata, with its certificates instead of the present ones, or
    beside them (`keep_certificates`, for a rollover; never with another entity ID).

    Another entity ID, another SSO URL, or none of the present certificates among the new switches
    the connection off until the next dry run. Another entity ID also deletes the links to members:
    they are NameIDs of another provider. Raises `ValidationError` if `shown` is no longer the
    `snapshot`.
    """
    connection, by = lock_connection(connection, by, at)
    refuse_changed(shown, snapshot(connection))
    is_another = connection.entity_id != metadata.entity_id
    present = {each.fingerprint for each in _valid_certificates(connection, at)}
    kept = present if keep_certificates and not is_another else set()
    trusted = _trusted_fingerprints(metadata, kept)
    is_unproven = (
        is_another or connection.sso_url != metadata.sso_url or present.isdisjoint(trusted)
    )
    changed = _update_addresses(connection, metadata) | _replace_certificates(
        connection, metadata.certificates, trusted, at
    )
    if is_another:
        Subject.objects.filter(connection=connection).delete()
    if changed:
        _record(
            "sso.provider_changed",
            connection,
            by=by,
            at=at,
            entity_id=metadata.entity_id,
            certificates=len(trusted),
        )
    if is_unproven:
        _require_new_dry_run(connection, by=by, at=at)
    return connection


@transaction.atomic
def remove_certificate(*, certificate: Certificate, by: Actor, at: datetime) -> None:
    """Stop trusting a certificate. Idempotent.

    Raises `ValidationError` for the last valid one of a connection that is switched on.
    """
    connection, by = lock_connection(certificate.connection, by, at)
    others = [each for each in _valid_certificates(connection, at) if each.pk != certificate.pk]
    if connection.is_on and not others:
        raise ValidationError(
            _(
                "No one could sign in without this certificate. Add the next one first, or turn "
                "off single sign-on."
            ),
            code="last_certificate",
        )
    deleted, _rows = Certificate.objects.filter(connection=connection, pk=certificate.pk).delete()
    if deleted:
        if not others:
            _require_new_dry_run(connection, by=by, at=at)
        _record(
            "sso.certificate_removed",
            connection,
            by=by,
            at=at,
            fingerprint=certificate.fingerprint,
        )


@transaction.atomic
def change_settings(
    *,
    connection: Connection,
    name: str,
    email_attribute: str,
    name_attribute: str,
    role_attribute: str,
    takes_new_people: bool,
    default_role: Role,
    may_make_administrators: bool,
    by: Actor,
    at: datetime,
) -> Connection:
    """Change the attribute mapping and just-in-time provisioning. Idempotent. Raises
    `ValidationError` by field."""
    connection, by = lock_connection(connection, by, at)
    given = {
        "name": name.strip(),
        "email_attribute": email_attribute.strip(),
        "name_attribute": name_attribute.strip(),
        "role_attribute": role_attribute.strip(),
        "takes_new_people": takes_new_people,
        "default_role": default_role,
        "may_make_administrators": may_make_administrators,
    }
    changed = [field for field in SETTINGS if getattr(connection, field) != given[field]]
    for field in changed:
        setattr(connection, field, given[field])
    _refuse_administrators_by_default(default_role, may_make_administrators)
    connection.clean_fields(
        exclude={field.name for field in Connection._meta.fields} - set(SETTINGS)
    )
    if changed:
        connection.save(update_fields=changed)
        facts = {field: _audit_value(connection, field) for field in changed}
        _record("sso.settings_changed", connection, by=by, at=at, **facts)
    return connection


@transaction.atomic
def record_dry_run(
    *, connection: Connection, signs_messages: bool = False, by: Actor, at: datetime
) -> bool:
    """Record a successful dry run with the provider as `connection` has it. False if the provider
    was changed meanwhile.

    With `signs_messages` the provider must sign responses from now on."""
    tested = (connection.entity_id, connection.sso_url)
    connection, by = lock_connection(connection, by, at)
    if not connection.has_provider or tested != (connection.entity_id, connection.sso_url):
        return False
    connection.tested_at, connection.signs_messages = at, signs_messages
    connection.save(update_fields=["tested_at", "signs_messages"])
    _record("sso.tested", connection, by=by, at=at)
    return True


def obstacles_to_switching_on(connection: Connection, at: datetime) -> list[str]:
    """What must be done before the connection can be switched on, as sentences."""
    if not connection.has_provider:
        return [_("Add your identity provider's metadata first.")]
    obstacles = []
    if not _valid_certificates(connection, at):
        obstacles.append(
            _("None of the provider's certificates is currently valid. Upload new metadata.")
        )
    if connection.tested_at is None:
        obstacles.append(
            _("Test a sign-in first. Single sign-on can be turned on only after a successful test.")
        )
    return obstacles


def snapshot(connection: Connection) -> str:
    """A fingerprint of what the page shows of the connection: who is trusted, about whom, and what
    becomes of new people."""
    trusted = Certificate.objects.filter(connection=connection).values_list(
        "fingerprint", flat=True
    )
    approved = connection.domains.filter(approved_at__isnull=False).values_list("name", flat=True)
    return fingerprint(
        connection.slug,
        *(getattr(connection, field) for field in (*PROVIDER, *SETTINGS)),
        sorted(trusted),
        sorted(approved),
    )


def snapshot_of_switches(connection: Connection) -> str:
    """A fingerprint of what a list shows of the connection."""
    states = (connection.is_on, connection.is_forced)
    return fingerprint(connection.slug, connection.entity_id, *states)


@transaction.atomic
def switch_on(*, connection: Connection, shown: str | None = None, by: Actor, at: datetime) -> None:
    """Switch the connection on. Idempotent. Raises `ValidationError` with all obstacles, and if
    `shown` is no longer the `snapshot`."""
    connection, by = lock_connection(connection, by, at)
    refuse_changed(shown, snapshot(connection))
    _refuse_obstacles(obstacles_to_switching_on(connection, at), "not_ready")
    if _set_switches(connection, "sso.switched_on", is_on=True, by=by, at=at):
        _restart_inactivity_count(connection, at)


@transaction.atomic
def switch_off(
    *, connection: Connection, shown: str | None = None, by: Actor, at: datetime
) -> bool:
    """Switch the connection off, and forced SSO with it. False if it was off. Raises
    `ValidationError` if `shown` is no longer the `snapshot_of_switches`."""
    connection, by = lock_connection(connection, by, at, operators_too=True)
    if connection.is_on:
        refuse_changed(shown, snapshot_of_switches(connection))
    return _set_switches(connection, "sso.switched_off", is_on=False, is_forced=False, by=by, at=at)


def obstacles_to_forcing(connection: Connection, by: Actor, at: datetime) -> list[str]:
    """What must be done before SSO can be forced, as sentences."""
    obstacles = obstacles_to_switching_on(connection, at)
    if not connection.is_on:
        obstacles.append(_("Turn on single sign-on first."))
    if not connection.domains.filter(approved_at__isnull=False).exists():
        obstacles.append(
            _(
                "No email domain has been approved yet, so single sign-on can't be "
                "required for anyone."
            )
        )
    if not Subject.objects.filter(connection=connection, membership=by.membership).exists():
        obstacles.append(
            _("Sign in through single sign-on yourself first, so that you don't lock yourself out.")
        )
    return obstacles


@transaction.atomic
def force(*, connection: Connection, shown: str | None = None, by: Actor, at: datetime) -> None:
    """Make members of the approved domains sign in by SSO only. Idempotent.

    Raises `ValidationError` with all obstacles: the account must not lock itself out; and if
    `shown` is no longer the `snapshot`.
    """
    connection, by = lock_connection(connection, by, at)
    refuse_changed(shown, snapshot(connection))
    _refuse_obstacles(obstacles_to_forcing(connection, by, at), "not_ready")
    _set_switches(connection, "sso.forced", is_forced=True, by=by, at=at)


@transaction.atomic
def stop_forcing(
    *, connection: Connection, shown: str | None = None, by: Actor, at: datetime
) -> bool:
    """Allow all ways of signing in again. False if SSO was not forced. Raises `ValidationError` if
    `shown` is no longer the `snapshot_of_switches`."""
    connection, by = lock_connection(connection, by, at, operators_too=True)
    if connection.is_forced:
        refuse_changed(shown, snapshot_of_switches(connection))
    return _set_switches(connection, "sso.enforcement_disabled", is_forced=False, by=by, at=at)


@transaction.atomic
def remove(*, connection: Connection, shown: str | None = None, by: Actor, at: datetime) -> None:
    """Delete the connection with its domains and links. Members stay, and API tokens that the
    inactivity policy has suspended are resumed.

    Raises `ValidationError` while it is switched on, and if `shown` is no longer the `snapshot`.
    """
    connection, by = lock_connection(connection, by, at)
    refuse_changed(shown, snapshot(connection))
    if connection.is_on:
        _refuse_obstacles([_("Turn off single sign-on first.")], "is_on")
    _record("sso.removed", connection, by=by, at=at, entity_id=connection.entity_id)
    suspension.resume_all(account_id=connection.account_id, by=by, at=at)
    connection.delete()


def lock_connection(
    connection: Connection, by: Actor, at: datetime, *, operators_too: bool = False
) -> tuple[Connection, Actor]:
    """Lock the account's row, and return the connection and the actor as read after that.

    Raises `PermissionDenied` unless the actor is an Administrator of the account in person, or an
    operator where `operators_too`, and `ValidationError` if the connection was removed.
    """
    account = recheck.lock_account(connection.account_id)
    if operators_too and by.is_operator:
        by = recheck.reauthorize(by, at)
    else:
        by = _require_administrator_in_person(account.pk, by, at)
    found = Connection.objects.filter(pk=connection.pk).select_related("account").first()
    if found is None:
        raise ValidationError(_("Single sign-on has been removed in the meantime."), code="removed")
    return found, by


def _require_administrator_in_person(account_id: int, by: Actor, at: datetime) -> Actor:
    by = recheck.reauthorize(by, at)
    is_person = by.token_id is None and by.family_id is None
    if not (is_person and by.is_administrator_of(account_id)):
        raise PermissionDenied(
            _("Only Administrators can manage single sign-on, and only when signed in themselves.")
        )
    return by


def _valid_certificates(connection: Connection, at: datetime) -> list[Certificate]:
    return list(Certificate.objects.filter(connection=connection).valid_at(at))


def _trusted_fingerprints(metadata: Metadata, kept: set[str]) -> set[str]:
    """The fingerprints of all certificates to trust. Raises `ValidationError` over the limit."""
    trusted = kept | {each.fingerprint for each in metadata.certificates}
    if len(trusted) > MAX_CERTIFICATES:
        raise ValidationError(
            _("That would be more than %(most)d certificates. Don't keep the current ones.")
            % {"most": MAX_CERTIFICATES},
            code="too_many_certificates",
        )
    return trusted


def _update_addresses(connection: Connection, metadata: Metadata) -> bool:
    """Save entity ID and URLs. True if any has changed."""
    changed = [name for name in PROVIDER if getattr(connection, name) != getattr(metadata, name)]
    for name in changed:
        setattr(connection, name, getattr(metadata, name))
    if changed:
        connection.save(update_fields=changed)
    return bool(changed)


def _replace_certificates(
    connection: Connection,
    certificates: Sequence[SigningCertificate],
    trusted: set[str],
    at: datetime,
) -> bool:
    """Keep exactly the trusted certificates. True if the set has changed."""
    stored = Certificate.objects.filter(connection=connection)
    present = set(stored.values_list("fingerprint", flat=True))
    stored.exclude(fingerprint__in=trusted).delete()
    Certificate.objects.bulk_create(
        Certificate(connection=connection, added_at=at, **each._asdict())
        for each in certificates
        if each.fingerprint not in present
    )
    return present != trusted


def _require_new_dry_run(connection: Connection, *, by: Actor, at: datetime) -> None:
    """Discard the dry run and switch off: the tested provider is not the present one."""
    was_on = connection.is_on
    connection.tested_at, connection.is_on, connection.is_forced = None, False, False
    connection.save(update_fields=["tested_at", "is_on", "is_forced"])
    if was_on:
        _record("sso.switched_off", connection, by=by, at=at, code="provider_changed")


def _set_switches(
    connection: Connection, kind: str, *, by: Actor, at: datetime, **states: bool
) -> bool:
    """Set the switches and audit it. False if they are set already."""
    if all(getattr(connection, name) is state for name, state in states.items()):
        return False
    for name, state in states.items():
        setattr(connection, name, state)
    connection.save(update_fields=list(states))
    _record(kind, connection, by=by, at=at)
    return True


def _restart_inactivity_count(connection: Connection, at: datetime) -> None:
    """Count inactivity from now: while the connection was off nobody could sign in by it."""
    if connection.idle_action_since is not None:
        connection.idle_action_since = at
        connection.save(update_fields=["idle_action_since"])


def _refuse_administrators_by_default(default_role: Role, may_make_administrators: bool) -> None:
    if default_role is Role.ADMINISTRATORS and not may_make_administrators:
        raise ValidationError(
            {
                "default_role": ValidationError(
                    _("Choose another role, or allow new users to become Administrators."),
                    code="administrators",
                )
            }
        )


def _audit_value(connection: Connection, field: str) -> Any:
    """A setting's value for the audit log; "-" for empty and false, which the log would omit."""
    return (
        connection.given_role.label
        if field == "default_role"
        else getattr(connection, field) or "-"
    )


def _record(kind: str, connection: Connection, *, by: Actor, at: datetime, **facts: Any) -> None:
    audit.record(kind, by=by, at=at, account_id=connection.account_id, subject=connection, **facts)


def _refuse_obstacles(obstacles: list[str], code: str) -> None:
    if obstacles:
        raise ValidationError([ValidationError(each, code=code) for each in obstacles])
