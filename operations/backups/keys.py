"""The secrets that a database needs, in a file apart from it: peppers, and the key that signs."""

import hmac
import json
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from apitokens.models import PepperCheck
from apitokens.peppers import check_value, secret_key_check_value
from operations.backups.archive import BackupError, name_of_former, write

SECRET_KEY = str(PepperCheck.SECRET_KEY)
Ring = dict[int, bytes]


def as_json() -> bytes:
    """The secrets of this process."""
    told = {
        "SECRET_KEY": settings.SECRET_KEY,
        "SECRET_KEY_FALLBACKS": settings.SECRET_KEY_FALLBACKS,
        "TOKEN_PEPPERS": in_words(settings.TOKEN_PEPPERS),
    }
    return json.dumps(told, indent=1).encode()


def in_words(ring: Mapping[int, bytes]) -> str:
    return ",".join(f"{number}:{pepper.hex()}" for number, pepper in ring.items())


def known_check_values() -> dict[str, str]:
    """What the database knows secrets by. One that no process has served knows none: then those of
    this process."""
    rows = PepperCheck.objects.values_list("number", "check_value")
    known = {str(number): bytes(value).hex() for number, value in rows}
    return known or {
        SECRET_KEY: secret_key_check_value(settings.SECRET_KEY).hex(),
        **{str(number): check_value(each).hex() for number, each in settings.TOKEN_PEPPERS.items()},
    }


@sensitive_variables()
def require_fitting(
    check_values: Mapping[str, str], *, ring: Mapping[int, bytes], secret_keys: list[str]
) -> None:
    """Raises `BackupError` if these are not the secrets that the backup needs."""
    for number, known in check_values.items():
        if number == SECRET_KEY:
            own = [secret_key_check_value(each).hex() for each in secret_keys]
            if not any(hmac.compare_digest(known, each) for each in own):
                raise BackupError(
                    "SECRET_KEY is not the one of the backup: set it, or name the file that "
                    "backup --secrets-to made (--secrets). If it is lost, restore with "
                    "--without-secrets and run manage.py accept_secret_key: people sign in again, "
                    "and second factors are lost."
                )
        elif not _has(ring, int(number), known):
            raise BackupError(
                f"Pepper {number} of the backup is not among TOKEN_PEPPERS: its tokens would be "
                "refused. Set it, or name the file that backup --secrets-to made (--secrets). "
                "If it is lost, restore with --without-secrets and end those tokens: "
                f"manage.py revoke_tokens --pepper {number}."
            )


def _has(ring: Mapping[int, bytes], number: int, known: str) -> bool:
    return number in ring and hmac.compare_digest(known, check_value(ring[number]).hex())


def require_replaceable() -> None:
    """Raises `BackupError` if the secrets of this process are set elsewhere."""
    for name, path in _places().items():
        if path is None:
            raise BackupError(
                f"{name} is set, and is not the one of the backup: set it to what {name} is in the "
                "file of its secrets, and restore without --secrets."
            )


def _places() -> dict[str, Path | None]:
    return {
        "SECRET_KEY": settings.SECRET_KEY_MADE_IN,
        "TOKEN_PEPPERS": settings.TOKEN_PEPPERS_MADE_IN,
    }


@sensitive_variables()
def put_back(secret_key: str, ring: Mapping[int, bytes]) -> list[Path]:
    """Write the secrets into DATA_DIR, where they are made otherwise. What is there is kept under
    another name."""
    texts = {"SECRET_KEY": secret_key, "TOKEN_PEPPERS": in_words(ring)}
    written = []
    for name, path in _places().items():
        assert path is not None  # `require_replaceable`
        text = texts[name]
        if path.exists():
            path.replace(name_of_former(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(path, f"{text}\n".encode())
        written.append(path)
    return written
