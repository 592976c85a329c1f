"""The one settings file. Everything comes from the environment, and none of it is needed.

With nothing set this is the embedded shape: SQLite, filesystem broker, mail into files, all below
`DATA_DIR`, reachable on loopback only, DEBUG off, secrets made on first start. The README lists
every variable.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from celery.schedules import schedule
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from config.env.networks import parse_networks
from config.env.numbers import parse_number
from config.env.peppers import parse_peppers
from config.env.secret_files import read_or_make
from config.env.urls import parse_base_url, parse_email_url, parse_origins, parse_sender

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.str("DATA_DIR", default="") or BASE_DIR / "var").resolve()
PORT = env.int("PORT", default=8000)

# The address people type. Links in mails, cookies and host checks follow from it.
_base = parse_base_url(env.str("BASE_URL", default=f"http://localhost:{PORT}"))
BASE_URL = _base.geturl()
_is_https = _base.scheme == "https"

DEBUG = env.bool("DEBUG", default=False)
_host = f"[{_base.hostname}]" if ":" in (_base.hostname or "") else _base.hostname
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS",
    default=sorted({_host or "localhost", "localhost", "127.0.0.1", "[::1]"}),
)
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"] if _is_https else []

# --- Secrets -----------------------------------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY", default="") or read_or_make(DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])

# Peppers key the digests of API tokens: "2:<64 hex>,1:<64 hex>", the newest has the highest number.
TOKEN_PEPPERS_FILE = None if env.str("TOKEN_PEPPERS", default="") else DATA_DIR / "token_peppers"
TOKEN_PEPPERS = parse_peppers(
    env.str("TOKEN_PEPPERS", default="") or read_or_make(DATA_DIR / "token_peppers", prefix="1:")
)

# --- Applications ------------------------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.OperatorsSite",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.saml",
    "allauth.usersessions",
    "csp",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "notifications",
    "accounts",
    "sso",
    "apitokens",
    "django.contrib.auth",  # after accounts, whose commands of the same names go first
]

MIDDLEWARE = [
    "config.middleware.believe_trusted_proxies",
    "config.middleware.name_browsers_without_nul",
    "config.middleware.refuse_large_bodies",
    "config.middleware.api_rules",
    "config.middleware.skip_middleware_for_verification",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.http.middleware.personal_settings",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.tenancy.context_processors.layout",
                "apitokens.pages.context_processors.expiring_badge",
                "notifications.inbox.context_processors.bell",
            ],
        },
    },
]

# --- Database and cache ------------------------------------------------------------------------

DATABASES = {
    "default": env.db_url_config(
        env.str("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR}/permatoken.sqlite3"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets readers go on while one writes; IMMEDIATE takes the write lock before reading, so
    # that check-then-act is safe and "database is locked" cannot strike half way (measured, see
    # docs/decisions). FULL costs some milliseconds a commit; with NORMAL a power cut could undo the
    # last ones, and a deleted token would be back, or a mail that was sent would go again.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=600)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = env.str("REDIS_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            # Seconds. A Redis that does not answer must not stop whoever asks it.
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
        if REDIS_URL
        else {
            "BACKEND": "config.file_cache.SharedFileCache",
            "LOCATION": DATA_DIR / "cache",
            # Rate limits live here: what is forgotten too early would let somebody try again.
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    )
}

# --- People and sign-in ------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = reverse_lazy("apitokens:list")
# Whether strangers may open an account of their own; people can always be invited.
SIGN_UP = env.str("SIGN_UP", default="open")
if SIGN_UP not in ("open", "closed"):
    raise ImproperlyConfigured("SIGN_UP must be open or closed.")
# How many people an account may invite within 24 hours.
INVITATIONS_PER_DAY = env.int("INVITATIONS_PER_DAY", default=5)
if INVITATIONS_PER_DAY < 0:
    raise ImproperlyConfigured("INVITATIONS_PER_DAY must be a number from 0 on.")
# Whether the operators' pages open only to those who sign in with a second factor.
OPERATORS_NEED_TWO_FACTORS = env.bool("OPERATORS_NEED_TWO_FACTORS", default=False)
# Where accounts may have the metadata of their identity providers fetched from. None: they paste
# them. An address that anybody may name would be a way into the network that the portal stands in.
SSO_METADATA_ORIGINS = parse_origins(env.list("SSO_METADATA_ORIGINS", default=[]))
# How many new people an account's identity provider may bring within 24 hours.
SSO_NEW_PEOPLE_PER_DAY = env.int("SSO_NEW_PEOPLE_PER_DAY", default=100)
if SSO_NEW_PEOPLE_PER_DAY < 0:
    raise ImproperlyConfigured("SSO_NEW_PEOPLE_PER_DAY must be a number from 0 on.")
SOCIALACCOUNT_ADAPTER = "sso.login.allauth_provider.ConnectionAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_AUTO_SIGNUP = False  # sso.login.services decides
PASSWORD_RESET_TIMEOUT = int(timedelta(hours=1).total_seconds())
ACCOUNT_ADAPTER = "accounts.sign_in.adapter.SignInAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 1
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that has signed up, and no other
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # strangers must not have us write to strangers
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = None  # the form asks
ACCOUNT_REAUTHENTICATION_TIMEOUT = int(timedelta(minutes=5).total_seconds())
ACCOUNT_FORMS = {
    "login": "accounts.sign_in.forms.SignInForm",
    "signup": "accounts.sign_in.forms.SignUpForm",
    "reset_password": "accounts.sign_in.forms.ForgottenPasswordForm",
    "reset_password_from_key": "accounts.sign_in.forms.ForgottenPasswordKeyForm",
    "change_password": "accounts.sign_in.forms.OtherPasswordForm",
    "set_password": "accounts.sign_in.forms.OwnPasswordForm",
}
# Tries by one address ("ip"), by one user, or with one e-mail ("key"), in all processes together.
ACCOUNT_RATE_LIMITS = {
    "login": "60/m/ip",
    "login_failed": "20/m/ip,5/5m/key",
    "signup": "10/m/ip,50/d/ip",
    "reset_password": "10/m/ip,3/15m/key",
    "reset_password_from_key": "20/m/ip",
    "confirm_email": "1/3m/key",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
}
MFA_ADAPTER = "accounts.sign_in.mfa.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Permatoken"
MFA_TOTP_TOLERANCE = 1  # clocks of phones are up to half a minute off
MFA_FORMS = {
    "authenticate": "accounts.sign_in.mfa.SecondFactorForm",
    "reauthenticate": "accounts.sign_in.mfa.SecondFactorAgainForm",
    "activate_totp": "accounts.sign_in.forms.AppForm",
    "add_webauthn": "accounts.sign_in.passkey_forms.PasskeyForm",
    "edit_webauthn": "accounts.sign_in.passkey_forms.PasskeyNameForm",
    "authenticate_webauthn": "accounts.sign_in.passkey_forms.SecondStepPasskeyForm",
    "reauthenticate_webauthn": "accounts.sign_in.passkey_forms.PasskeyAgainForm",
    "login_webauthn": "accounts.sign_in.passkey_forms.SignInPasskeyForm",
}

# Whose X-Forwarded-For and X-Forwarded-Proto are believed.
TRUSTED_PROXIES = parse_networks(env.list("TRUSTED_PROXIES", default=[]))

# --- Cookies and headers -----------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Browsers keep cookies by host, not by port: two portals on one machine must not sign each other
# out.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (
    ("__Host-session", "__Host-csrf") if _is_https else (f"session-{PORT}", f"csrf-{PORT}")
)
SESSION_ENGINE = "accounts.http.session_backend"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_SSL_REDIRECT = _is_https and env.bool("SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if _is_https else 0
# What BASE_URL says of itself it must not decide for its whole domain: operators do.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Language and time -------------------------------------------------------------------------

LANGUAGE_CODE = "en"
# Each under its own name. accounts.models.Language has the same ones, in the API's codes.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("ru", "Русский"),
    ("zh-hans", "中文"),
    ("az", "Azərbaycanca"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Static files ------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Mail --------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = SERVER_EMAIL = parse_sender(
    env.str("FROM_EMAIL", default="Permatoken <noreply@localhost>")
)
_mail = parse_email_url(env.str("EMAIL_URL", default="") or "filemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail["EMAIL_HOST"] or "localhost"
EMAIL_PORT = _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = parse_number("EMAIL_TIMEOUT", env.str("EMAIL_TIMEOUT", default="10"), highest=120)
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"] or str(DATA_DIR / "mail")

# --- Background work ---------------------------------------------------------------------------

# How often the worker looks for notices that fall due, and for mails that wait.
NOTICES_EVERY_SECONDS = parse_number(
    "NOTICES_EVERY_SECONDS", env.str("NOTICES_EVERY_SECONDS", default="30"), highest=3600
)
CELERY_TASK_ACKS_LATE = True
# A run of sending begins no mail after an interval; the last one can take as long as a mail server
# that answers every step at the last moment, and that must be no reason to cut it off: nobody would
# know whether the mail has arrived. Up to the body these are 17 steps at the worst, with a
# connection that turns out to be dead; the answer to the body may take as long as six.
_hand_over = 24 * EMAIL_TIMEOUT
CELERY_TASK_SOFT_TIME_LIMIT = NOTICES_EVERY_SECONDS + _hand_over + 60
CELERY_TASK_TIME_LIMIT = CELERY_TASK_SOFT_TIME_LIMIT + 60
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
# Plain intervals: crontab schedules break at clock changes. A run that is late by a whole interval
# is dropped, because the next one does its work.
CELERY_BEAT_SCHEDULE = {
    "scan-expirations": {
        "task": "apitokens.tasks.scan_expirations",
        "schedule": schedule(timedelta(seconds=NOTICES_EVERY_SECONDS)),
        "options": {"expires": NOTICES_EVERY_SECONDS},
    },
    "deliver-mails": {
        "task": "notifications.tasks.deliver_mails",
        "schedule": schedule(timedelta(seconds=NOTICES_EVERY_SECONDS)),
        "options": {"expires": NOTICES_EVERY_SECONDS},
    },
    "clear-sessions": {
        "task": "accounts.tasks.clear_sessions",
        "schedule": schedule(timedelta(hours=6)),
        "options": {"expires": 6 * 3600},
    },
    "forget-token-families": {
        "task": "accounts.tasks.forget_token_families",
        "schedule": schedule(timedelta(hours=6)),
        "options": {"expires": 6 * 3600},
    },
    "forget-uses": {
        "task": "apitokens.tasks.forget_uses",
        "schedule": schedule(timedelta(hours=1)),
        "options": {"expires": 3600},
    },
    "watch-absences": {
        "task": "sso.tasks.watch_absences",
        "schedule": schedule(timedelta(hours=1)),
        "options": {"expires": 3600},
    },
    "forget-assertions": {
        "task": "sso.tasks.forget_assertions",
        "schedule": schedule(timedelta(hours=1)),
        "options": {"expires": 3600},
    },
    "warn-of-certificates": {
        "task": "sso.tasks.warn_of_certificates",
        "schedule": schedule(timedelta(hours=1)),
        "options": {"expires": 3600},
    },
    "forget-digests": {
        "task": "apitokens.tasks.forget_digests",
        "schedule": schedule(timedelta(hours=1)),
        "options": {"expires": 3600},
    },
}
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    # A message whose worker was killed comes back after this long, which is longer than any task
    # may run. The tasks may run twice, and beat rings again anyway: the ledger in the database
    # remembers, not the broker.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "visibility_timeout": 2 * CELERY_TASK_TIME_LIMIT
    }
else:
    # Without an event loop the pool's processes share one lock: one that is killed with the lock in
    # hand stops them all for good (seen in tests/faults). Alone, a worker that is killed is gone,
    # and whoever watches it starts another. SQLite has one writer at a time anyway.
    CELERY_WORKER_POOL = "solo"
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "queue"),
        "data_folder_out": str(DATA_DIR / "queue"),
        "control_folder": str(DATA_DIR / "queue-control"),
    }

# --- REST API ----------------------------------------------------------------------------------

# Short-lived tokens, as the field's documentation promises them.
JWT_ACCESS_LIFETIME = timedelta(hours=1)
JWT_REFRESH_LIFETIME = timedelta(hours=24)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apitokens.api.authentication.APITokenAuthentication",
        "accounts.api.authentication.BearerAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.errors.answer",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "UNAUTHENTICATED_USER": None,
    "NON_FIELD_ERRORS_KEY": "errors",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Permatoken API",
    "VERSION": "1.0.0",
    "DESCRIPTION": (
        "Permanent API tokens, and the people who issue them. Send your API token with every "
        "request, in the header Authorization: APIKey <token>. Or sign in for a token that lasts "
        "an hour, and send Authorization: Bearer <access token>."
    ),
    "OAS_VERSION": "3.0.3",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/iam",
    "SERVERS": [{"url": BASE_URL}],
    "ENUM_NAME_OVERRIDES": {"RoleName": "accounts.roles.ROLE_NAMES"},
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apitokens.api.schema_verify.add_verification",
    ],
    "TAGS": [
        {
            "name": "API tokens, v2",
            "description": "New tokens are spelled with an underscore, which every shell leaves "
            "alone. Use these addresses for new work.",
        },
        {
            "name": "API tokens",
            "description": "The same calls; new tokens are spelled with a dollar sign. Both "
            "spellings of a token are always accepted.",
        },
        {
            "name": "Account and users",
            "description": "The account that you work in, its people and their sign-ins. "
            "Administrators look after everybody, others see themselves.",
        },
        {
            "name": "Standard authorization",
            "description": "Sign in with e-mail and password for an access token, good for an "
            "hour, and a refresh token, good for a day and once. For programs that run "
            "unattended, an API token is the better choice.",
        },
        {
            "name": "Verification",
            "description": "Other systems ask whether a token is good, and for what.",
        },
    ],
}

# --- The product -------------------------------------------------------------------------------

TOKEN_DIGEST_RETENTION = timedelta(days=90)
# How long a process may go on believing what it has read of a token. 0: it asks every time.
VERIFY_CACHE_SECONDS = env.float("VERIFY_CACHE_SECONDS", default=1.0)
if not 0 <= VERIFY_CACHE_SECONDS <= 1:
    raise ImproperlyConfigured("VERIFY_CACHE_SECONDS must be a number from 0 to 1.")
# How often in a minute one address may be refused, and one token be used. 0: as often as they like.
REFUSAL_RATE = env.int("REFUSAL_RATE", default=300)
TOKEN_RATE = env.int("TOKEN_RATE", default=0)
if min(REFUSAL_RATE, TOKEN_RATE) < 0:
    raise ImproperlyConfigured("REFUSAL_RATE and TOKEN_RATE must be numbers from 0 on.")
# How often each process stores uses of tokens; one that is killed loses as many seconds of them.
USAGE_FLUSH_SECONDS = env.int("USAGE_FLUSH_SECONDS", default=10)
if not 1 <= USAGE_FLUSH_SECONDS <= 60:
    raise ImproperlyConfigured("USAGE_FLUSH_SECONDS must be a whole number from 1 to 60.")
# What happens to a mail of which nobody can know whether it arrived: "hold", "resend", or
# "default", which holds the 7-day notice (the 1-day notice follows) and sends the 1-day one again.
UNCERTAIN_DELIVERY = env.str("UNCERTAIN_DELIVERY", default="default")
if UNCERTAIN_DELIVERY not in ("default", "hold", "resend"):
    raise ImproperlyConfigured("UNCERTAIN_DELIVERY must be default, hold or resend.")

# --- Logging -----------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact_tokens": {"()": "apitokens.log_redaction.RedactTokens"}},
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["redact_tokens"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
