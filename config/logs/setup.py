"""The value of `LOGGING`."""

from typing import Any

TELL_TOO_MUCH = ("django.template", "django.db.backends")
"""Below INFO they write down whole contexts of pages and parameters of statements: session keys,
recovery codes, secrets of authenticator apps, which no filter can tell from other text."""


def logging_settings(*, level: str, form: str) -> dict[str, Any]:
    """Everything goes to the standard error, without secrets, in lines of one form."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "add_request_id": {"()": "config.logs.formats.AddRequestId"},
            "refusals_once": {"()": "config.logs.formats.RefusalsOnce"},
            "shorten_outages": {"()": "config.database.log_lines.ShortenOutages"},
            "brief_refusals": {"()": "config.env.error_reports.BriefRefusals"},
            "redact_tokens": {"()": "apitokens.log_redaction.RedactTokens"},
        },
        "formatters": {
            "text": {
                "class": "config.logs.formats.TextLines",
                "format": "{asctime} {levelname} {name}: {message}",
                "style": "{",
            },
            "json": {"class": "config.logs.formats.JSONLines"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": [
                    "add_request_id",
                    "shorten_outages",
                    "brief_refusals",
                    "redact_tokens",
                    "refusals_once",
                ],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "INFO"} for name in TELL_TOO_MUCH if level == "DEBUG"},
    }
