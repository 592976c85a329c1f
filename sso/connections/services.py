"""The verbs of connections: an account's Administrators say whom they trust, and how far.

Each locks the account's row and looks at the actor and the connection again after that. They act in
person: no API token and no program decides who may sign in. Operators can only take back.
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
from accounts.members import suspension
from accounts.models import Account
from accounts.roles import Role
from sso.models import Certificate, Connection, Subject
from sso.saml.certificates import Signer
from sso.saml.metadata import MOST_CERTIFICATES, Metadata

SETTINGS = (
    *("name", "email_attribute", "name_attribute", "role_attribute"),
    *("takes_new_people", "default_role", "may_make_administrators"),
)


def connection_of(account_id: int) -> Connection | None:
    """The connection of the account, if its Administrators have begun with one."""
    return Connection.objects.filter(account=account_id).select_related("account").first()


@transaction.atomic
def set_up(*, account: Account, by: Actor, at: datetime) -> Connection:
    """Begin: from now on the account has addresses that a provider can be told. Nobody can sign in
    by it yet. Dull if there is a connection already."""
    recheck.lock_account(account.pk)
    by = _in_person(account.pk, by, at)
    connection, made = Connection.objects.get_or_create(
        account=account, defaults={"name": account.name, "created_at": at}
    )
    if made:
        _record("sso.set_up", connection, by=by, at=at)
    return connection


@transaction.atomic
def describe_provider(
    *,
    connection: Connection,
    metadata: Metadata,
    keep_certificates: bool = False,
    by: Actor,
    at: datetime,
) -> Connection:
    """Trust the provider that these metadata describe, and its certificates instead of the present
    ones, or beside them (`keep_certificates`: one of its own follows another).

    What changes who is trusted has to be tested again, and until then nobody signs in by it:
    another entity ID, another address for signing in, or none of the present certificates among
    the new.
    With another entity ID the links to people go, too: these were another provider's names.
    """
    connection, by = locked(connection, by, at)
    is_another = connection.entity_id != metadata.entity_id
    kept = [] if is_another or not keep_certificates else _good(connection, at)
    signers = [*metadata.signers]
    known = {signer.fingerprint for signer in signers}
    trusted = known | {each.fingerprint for each in kept}
    if len(trusted) > MOST_CERTIFICATES:
        raise ValidationError(
            _("There would be more than %(most)d certificates. Do not keep the present ones.")
            % {"most": MOST_CERTIFICATES},
            code="too_many_certificates",
        )
    goes_on = any(each.fingerprint in trusted for each in _good(connection, at))
    is_new = is_another or connection.sso_url != metadata.sso_url or not goes_on
    changed = _describe(connection, metadata) | _replace_certificates(
        connection, signers, trusted, at
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
    if is_new:
        _distrust(connection, by=by, at=at)
    return connection


@transaction.atomic
def remove_certificate(*, certificate: Certificate, by: Actor, at: datetime) -> None:
    """Believe nothing more that is signed with it.

    Raises `ValidationError` for the last good one of a connection that is switched on.
    """
    connection, by = locked(certificate.connection, by, at)
    others = [each for each in _good(connection, at) if each.pk != certificate.pk]
    if connection.is_on and not others:
        raise ValidationError(
            _(
                "Nobody could sign in without this certificate. Add the next one first, or switch "
                "single sign-on off."
            ),
            code="last_certificate",
        )
    gone, _rows = Certificate.objects.filter(connection=connection, pk=certificate.pk).delete()
    if gone:
        if not others:
            _distrust(connection, by=by, at=at)
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
    """Say how the provider's words are understood, and what becomes of new people. Dull if it is so
    already. Raises `ValidationError` by field."""
    connection, by = locked(connection, by, at)
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
    if default_role is Role.ADMINISTRATORS and not may_make_administrators:
        raise ValidationError(
            {
                "default_role": ValidationError(
                    _("Choose another role, or allow that new people become Administrators."),
                    code="administrators",
                )
            }
        )
    connection.clean_fields(
        exclude={field.name for field in Connection._meta.fields} - set(SETTINGS)
    )
    if changed:
        connection.save(update_fields=changed)
        facts = {field: _fact(connection, field) for field in changed}
        _record("sso.settings_changed", connection, by=by, at=at, **facts)
    return connection


@transaction.atomic
def record_test(
    *, connection: Connection, signs_messages: bool = False, by: Actor, at: datetime
) -> bool:
    """Somebody has walked through a sign-in with the provider as `connection` says it is, and all
    was well. False if the provider was changed meanwhile: the test says nothing then.

    From now on the provider has to sign messages if it did so there (`signs_messages`)."""
    walked = (connection.entity_id, connection.sso_url)
    connection, by = locked(connection, by, at)
    if not connection.is_described or walked != (connection.entity_id, connection.sso_url):
        return False
    connection.tested_at, connection.signs_messages = at, signs_messages
    connection.save(update_fields=["tested_at", "signs_messages"])
    _record("sso.tested", connection, by=by, at=at)
    return True


def obstacles_to_switching_on(connection: Connection, at: datetime) -> list[str]:
    """What has to be done before people can sign in, in sentences; empty if nothing."""
    if not connection.is_described:
        return [_("Bring the metadata of your identity provider first.")]
    obstacles = []
    if not _good(connection, at):
        obstacles.append(_("No certificate of the provider is valid now. Bring new metadata."))
    if connection.tested_at is None:
        obstacles.append(_("Test one sign-in first: only what was seen to work is switched on."))
    return obstacles


@transaction.atomic
def switch_on(*, connection: Connection, by: Actor, at: datetime) -> None:
    """Let people sign in by it. Dull if they can. Raises `ValidationError` with all obstacles."""
    connection, by = locked(connection, by, at)
    _refuse(obstacles_to_switching_on(connection, at), "not_ready")
    if _switch(connection, "sso.switched_on", is_on=True, by=by, at=at):
        _count_absence_anew(connection, at)


@transaction.atomic
def switch_off(*, connection: Connection, by: Actor, at: datetime) -> bool:
    """Nobody signs in by it any more; who has a password uses that, and nobody is forced. False if
    it was off."""
    connection, by = locked(connection, by, at, operators_too=True)
    return _switch(connection, "sso.switched_off", is_on=False, is_forced=False, by=by, at=at)


def obstacles_to_forcing(connection: Connection, by: Actor, at: datetime) -> list[str]:
    """What has to be done before people can be made to sign in by it only."""
    obstacles = obstacles_to_switching_on(connection, at)
    if not connection.is_on:
        obstacles.append(_("Switch single sign-on on first."))
    if not connection.domains.filter(approved_at__isnull=False).exists():
        obstacles.append(_("No e-mail domain is approved yet, so that nobody could be forced."))
    if not Subject.objects.filter(connection=connection, membership=by.membership).exists():
        obstacles.append(_("Sign in by single sign-on yourself first, so that you stay able to."))
    return obstacles


@transaction.atomic
def force(*, connection: Connection, by: Actor, at: datetime) -> None:
    """Let members of its approved domains sign in through the provider only. Dull if it is so.

    Raises `ValidationError` with all obstacles, so that nobody is left who can sign in.
    """
    connection, by = locked(connection, by, at)
    _refuse(obstacles_to_forcing(connection, by, at), "not_ready")
    _switch(connection, "sso.forced", is_forced=True, by=by, at=at)


@transaction.atomic
def stop_forcing(*, connection: Connection, by: Actor, at: datetime) -> bool:
    """Let everybody use the ways of signing in that they have. False if nobody was forced."""
    connection, by = locked(connection, by, at, operators_too=True)
    return _switch(connection, "sso.enforcement_disabled", is_forced=False, by=by, at=at)


@transaction.atomic
def remove(*, connection: Connection, by: Actor, at: datetime) -> None:
    """Forget the provider, its domains and who is linked to it. The people stay, and API tokens
    that were suspended until somebody comes through it work again.

    Raises `ValidationError` while it is switched on.
    """
    connection, by = locked(connection, by, at)
    if connection.is_on:
        _refuse([_("Switch single sign-on off first.")], "is_on")
    _record("sso.removed", connection, by=by, at=at, entity_id=connection.entity_id)
    suspension.resume_all(account_id=connection.account_id, by=by, at=at)
    connection.delete()


def locked(
    connection: Connection, by: Actor, at: datetime, *, operators_too: bool = False
) -> tuple[Connection, Actor]:
    """The connection and the actor as of now, with the account's row locked.

    Raises `PermissionDenied` unless an Administrator of the account asks in person, or an operator
    where they may, and `ValidationError` if the connection was removed.
    """
    account = recheck.lock_account(connection.account_id)
    if operators_too and by.is_operator:
        by = recheck.reauthorize(by, at)
    else:
        by = _in_person(account.pk, by, at)
    found = Connection.objects.filter(pk=connection.pk).select_related("account").first()
    if found is None:
        raise ValidationError(_("Single sign-on was removed meanwhile."), code="removed")
    return found, by


def _in_person(account_id: int, by: Actor, at: datetime) -> Actor:
    by = recheck.reauthorize(by, at)
    is_person = by.token_id is None and by.family_id is None
    if not (is_person and by.is_administrator_of(account_id)):
        raise PermissionDenied(_("Only Administrators look after single sign-on, in person."))
    return by


def _good(connection: Connection, at: datetime) -> list[Certificate]:
    return list(Certificate.objects.filter(connection=connection).good(at))


def _describe(connection: Connection, metadata: Metadata) -> bool:
    """Keep what the metadata say of addresses. True if it is new."""
    fields = ("entity_id", "sso_url", "slo_url")
    changed = [name for name in fields if getattr(connection, name) != getattr(metadata, name)]
    for name in changed:
        setattr(connection, name, getattr(metadata, name))
    if changed:
        connection.save(update_fields=changed)
    return bool(changed)


def _replace_certificates(
    connection: Connection, signers: Sequence[Signer], trusted: set[str], at: datetime
) -> bool:
    """Have exactly those that are trusted. True if others were there."""
    here = Certificate.objects.filter(connection=connection)
    present = set(here.values_list("fingerprint", flat=True))
    here.exclude(fingerprint__in=trusted).delete()
    Certificate.objects.bulk_create(
        Certificate(connection=connection, added_at=at, **signer._asdict())
        for signer in signers
        if signer.fingerprint not in present
    )
    return present != trusted


def _distrust(connection: Connection, *, by: Actor, at: datetime) -> None:
    """What was tested is not what stands there now: until the next test nobody signs in by it."""
    was_on = connection.is_on
    connection.tested_at, connection.is_on, connection.is_forced = None, False, False
    connection.save(update_fields=["tested_at", "is_on", "is_forced"])
    if was_on:
        _record("sso.switched_off", connection, by=by, at=at, code="provider_changed")


def _switch(connection: Connection, kind: str, *, by: Actor, at: datetime, **states: bool) -> bool:
    """Set the switches and record it. False if they stand so already."""
    if all(getattr(connection, name) is state for name, state in states.items()):
        return False
    for name, state in states.items():
        setattr(connection, name, state)
    connection.save(update_fields=list(states))
    _record(kind, connection, by=by, at=at)
    return True


def _count_absence_anew(connection: Connection, at: datetime) -> None:
    """While it was off nobody could come: that is nobody's absence."""
    if connection.idle_action_since is not None:
        connection.idle_action_since = at
        connection.save(update_fields=["idle_action_since"])


def _fact(connection: Connection, field: str) -> Any:
    """What a setting is now, for the audit log, which leaves out what is empty or not so."""
    return (
        connection.given_role.label
        if field == "default_role"
        else getattr(connection, field) or "-"
    )


def _record(kind: str, connection: Connection, *, by: Actor, at: datetime, **facts: Any) -> None:
    audit.record(kind, by=by, at=at, account_id=connection.account_id, subject=connection, **facts)


def _refuse(obstacles: list[str], code: str) -> None:
    if obstacles:
        raise ValidationError([ValidationError(each, code=code) for each in obstacles])
