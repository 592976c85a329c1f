"""`manage.py issue_token`: issue an API token in the name of a member."""

import argparse
import json
from datetime import date, datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import as_command_error, find_account, show_once, storable
from accounts.models import Account, Membership
from accounts.roles import ROLE_NAMES, Role
from apitokens.pages.creation.periods import a_year_after
from apitokens.pepper_checks import WrongPeppers, require_right_peppers
from apitokens.tokens import services as token_services
from apitokens.tokens.services import Issued
from notifications.time_zones import end_of_day, zone_of

NEVER = "never"


class Command(BaseCommand):
    help = (
        "Issues an API token. Only the token goes to standard output, once; details about it go "
        "to standard error, so you can pipe the token into a file or a vault."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--account", metavar="ID|NAME", required=True)
        parser.add_argument("--issuer", metavar="EMAIL", required=True)
        parser.add_argument("--role", required=True, help=f"One of: {', '.join(ROLE_NAMES)}.")
        parser.add_argument("--name", required=True, help="What the token is for.")
        parser.add_argument("--description", default="")
        parser.add_argument(
            "--expires",
            metavar="YYYY-MM-DD|never",
            help="The last day, where the issuer is. A year from now unless given.",
        )
        parser.add_argument(
            "--scope",
            metavar="SERVICE:SCOPE",
            action="append",
            help="Limit the token to this scope; as often as needed. Otherwise it has all that its "
            "role allows.",
        )
        parser.add_argument(
            "--allowed-address",
            metavar="ADDRESS|NETWORK",
            action="append",
            help="Let the token work from here only; as often as needed. Otherwise it works from "
            "everywhere.",
        )
        parser.add_argument(
            "--json", action="store_true", help="Print the token and its facts as one JSON object."
        )

    @sensitive_variables("issued")
    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        issuer = _find_issuer(find_account(options["account"]), storable(options["issuer"]))
        role = Role.find(options["role"])
        if role is None:
            raise CommandError(f"There is no such role. The roles are: {', '.join(ROLE_NAMES)}.")
        try:
            require_right_peppers(at=at)
            issued = token_services.issue(
                by=Actor.operator(through=EntryPoint.COMMAND),
                issuer=issuer,
                name=options["name"],
                description=options["description"],
                role=role,
                expires_at=_end(options["expires"], issuer, at=at),
                scopes=options["scope"],
                allowed_addresses=options["allowed_address"] or (),
                at=at,
            )
        except (ValidationError, PermissionDenied) as refusal:
            raise as_command_error(refusal) from None
        except WrongPeppers as wrong:
            raise CommandError(str(wrong)) from None
        self._tell(issued, as_json=options["json"])

    @sensitive_variables()
    def _tell(self, issued: Issued, *, as_json: bool) -> None:
        facts, token = _facts(issued), issued.key.spell()
        shown = json.dumps({**facts, "token": token}) if as_json else token
        show_once(self, shown, facts, tells=not as_json)


def _find_issuer(account: Account, email: str) -> Membership:
    members = (
        Membership.everyone.present().filter(account=account).select_related("user", "account")
    )
    issuer = members.filter(user__email=email.strip().lower()).first()
    if issuer is None:
        raise CommandError(
            f"{email} can't issue tokens in “{account.name}”: they aren't a member of it, the "
            "user is deactivated, or the account is closed."
        )
    return issuer


def _end(text: str | None, issuer: Membership, *, at: datetime) -> datetime | None:
    """The last second of the day, where the issuer is; None is never."""
    if text == NEVER:
        return None
    zone = zone_of(issuer.user.time_zone)
    try:
        day = a_year_after(at.astimezone(zone).date()) if text is None else date.fromisoformat(text)
    except ValueError:
        raise CommandError(
            "--expires must be a date that exists, such as 2030-12-31, or the word never."
        ) from None
    return end_of_day(day, zone)


def _facts(issued: Issued) -> dict[str, Any]:
    token = issued.token
    return {
        "id": token.pk,
        "name": token.name,
        "account": token.issuer.account.name,
        "issued_by": token.issuer.user.email,
        "role": token.held_role.label,
        "scopes": token.held_scopes,
        "allowed_addresses": token.allowed_addresses.split(),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
    }
