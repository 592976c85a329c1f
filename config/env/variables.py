"""The one list of environment variables that the portal reads.

`config.env.read` reads no other name, the README has a row for each, and the tests unset all of
them.
"""

from collections.abc import Container

from django.core.exceptions import ImproperlyConfigured

READ_BY_SETTINGS = (
    "ALLOWED_HOSTS",
    "BASE_URL",
    "CONN_MAX_AGE",
    "CORS_ALLOWED_ORIGINS",
    "DATABASE_URL",
    "DATA_DIR",
    "DEBUG",
    "EMAIL_TIMEOUT",
    "EMAIL_URL",
    "FROM_EMAIL",
    "HSTS_INCLUDE_SUBDOMAINS",
    "HSTS_PRELOAD",
    "INVITATIONS_PER_DAY",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "LOG_VERIFY",
    "METRICS_TOKEN",
    "NOTICES_EVERY_SECONDS",
    "OPERATORS_NEED_TWO_FACTORS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PASSKEY_ORIGINS",
    "PORT",
    "REDIS_URL",
    "REFUSAL_RATE",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SENTRY_DSN",
    "SERVES",
    "SIGN_UP",
    "SSL_REDIRECT",
    "SSO_METADATA_ORIGINS",
    "SSO_NEW_PEOPLE_PER_DAY",
    "STATIC_DIR",
    "TOKEN_PEPPERS",
    "TOKEN_RATE",
    "TRUSTED_PROXIES",
    "UNCERTAIN_DELIVERY",
    "UNCONFIRMED_SIGN_UP_DAYS",
    "USAGE_FLUSH_SECONDS",
    "VERIFY_CACHE_SECONDS",
)
READ_BY_LAUNCHER = ("HOST", "WEB_THREADS", "WEB_WORKERS")
"""`make run` and `permatoken web` alone use these."""
VARIABLES = READ_BY_SETTINGS + READ_BY_LAUNCHER

SECRETS = (
    "DATABASE_URL",
    "EMAIL_URL",
    "METRICS_TOKEN",
    "REDIS_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SENTRY_DSN",
    "TOKEN_PEPPERS",
)
"""These may stand in files: `SECRET_KEY_FILE` names one, and `CREDENTIALS` a folder of them."""
MAY_BE_EMPTY = ("SECRET_KEY_FALLBACKS", "SENTRY_DSN")
"""An empty file is as none: `deploy/make-secrets` makes one, so that all that start the portal can
name it before there is something in it."""
FILES = tuple(f"{name}_FILE" for name in SECRETS)
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""The folder of a unit's credentials. systemd sets it."""

FORMER_NAMES = {
    "NOTICES_IN_DOUBT": "UNCERTAIN_DELIVERY",
    "USES_EVERY_SECONDS": "USAGE_FLUSH_SECONDS",
    "VERIFY_STALE_SECONDS": "VERIFY_CACHE_SECONDS",
}


def refuse_former_names(environment: Container[str]) -> None:
    """Refuse variables that were renamed: ignored, they would leave a default in force."""
    renamed = [f"{old} is now {new}" for old, new in FORMER_NAMES.items() if old in environment]
    if renamed:
        raise ImproperlyConfigured(f"Some variables have new names: {', '.join(renamed)}.")


def refuse_slips(environment: Container[str]) -> None:
    """Refuse names that nothing reads and that can mean nothing else: a file for what is no secret,
    and a name in the singular or the plural that is read in the other."""
    for name in VARIABLES:
        if name not in SECRETS and f"{name}_FILE" in environment:
            raise ImproperlyConfigured(
                f"{name}_FILE is not read: only secrets may stand in files. Set {name} itself."
            )
        slip = _singular(name) if name.endswith("S") else f"{name}S"
        if "_" in name and slip in environment and slip not in VARIABLES:
            raise ImproperlyConfigured(f"{slip} is not read. You may mean {name}.")


def _singular(name: str) -> str:
    return f"{name.removesuffix('IES')}Y" if name.endswith("IES") else name.removesuffix("S")
