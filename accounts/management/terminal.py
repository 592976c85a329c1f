"""Parts that commands share: reading a password, finding accounts, wording refusals."""

import contextlib
import sys
from collections.abc import Mapping
from getpass import getpass
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.views.decorators.debug import sensitive_variables

from accounts.models import Account
from accounts.validators import parse_id


def is_interactive() -> bool:
    """True if a person sits at the terminal."""
    return sys.stdin.isatty()


@sensitive_variables()
def read_password(*, from_stdin: bool) -> str:
    """Ask twice for a password without echo, or read the first line of the standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not is_interactive():
        raise CommandError(
            "There is no terminal to type a password in. Send it on standard input and add "
            "--password-stdin."
        )
    password = getpass("Password: ")
    if password != getpass("Confirm password: "):
        raise CommandError("The passwords don't match. Nothing was changed.")
    return password


def find_account(text: str) -> Account:
    """The account with this id, or else the only one with this name. Raises `CommandError`."""
    number = parse_id(text)
    account = Account.objects.filter(pk=number).first() if number is not None else None
    if account is not None:
        return account
    named = list(Account.objects.filter(name=storable(text)).order_by("pk"))
    if not named:
        raise CommandError(f"There is no account with the id or name “{text}”.")
    if len(named) > 1:
        ids = ", ".join(str(each.pk) for each in named)
        raise CommandError(f"Several accounts are called “{text}”. Give one of the ids: {ids}.")
    return named[0]


def storable(text: str) -> str:
    """The text, if a database can hold it: an argument that is no UTF-8 arrives in half characters.

    Raises `CommandError`.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CommandError("An argument is not valid UTF-8. Type it again.") from None
    return text


def as_command_error(refusal: ValidationError | PermissionDenied) -> CommandError:
    """A service's refusal as sentences for the terminal, each with the name of its field."""
    if isinstance(refusal, PermissionDenied):
        return CommandError(str(refusal))
    if not hasattr(refusal, "error_dict"):
        return CommandError(" ".join(refusal.messages))
    return CommandError(
        "\n".join(
            f"{field.replace('_', ' ').capitalize()}: {message}"
            for field, messages in refusal.message_dict.items()
            for message in messages
        )
    )


@sensitive_variables()
def show_once(
    command: BaseCommand, secret: str, facts: Mapping[str, Any], *, tells: bool = True
) -> None:
    """Print a secret that is kept nowhere; then, if it `tells` them, facts about it on the standard
    error. The secret comes first: a standard error that is closed must not take it away.

    Raises `CommandError` if the secret cannot be written.
    """
    try:
        command.stdout.write(secret)
        command.stdout.flush()
    except (OSError, ValueError) as error:  # the second: a closed file
        raise CommandError(
            f"It was issued, with the id {facts['id']}, but can't be written ({error}). It "
            "can't be shown again: delete it, and issue a new one."
        ) from None
    with contextlib.suppress(OSError, ValueError):
        for name, value in facts.items() if tells else ():
            command.stderr.write(f"{name.replace('_', ' ')}: {value}", command.style.SUCCESS)
