"""The one settings file. It reads the environment, and needs nothing of it.

With nothing set this is the embedded shape: SQLite, filesystem broker, mail into files, all below
`DATA_DIR`, reachable on loopback only, DEBUG off, secrets made on first start. The README explains
every variable; `config/env` has their list and their parsers.
"""

import os
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from config.api_docs.spectacular import spectacular_settings
from config.beat_schedule import beat_schedule
from config.env import read
from config.env.databases import parse_database_url, sqlite_database
from config.env.networks import parse_allowed_hosts, parse_host, parse_networks
from config.env.peppers import parse_peppers
from config.env.secret_files import (
    data_folder,
    parse_fallbacks,
    parse_metrics_token,
    parse_secret,
    read_secret,
)
from config.env.urls import (
    ehlo_name,
    origin_of,
    parse_base_url,
    parse_email_url,
    parse_origins,
    parse_passkey_origins,
    parse_redis_url,
    parse_sender,
)
from config.env.variables import refuse_former_names, refuse_slips
from config.logs.extras import parse_collector, parse_dsn
from config.logs.setup import logging_settings

refuse_former_names(os.environ)
refuse_slips(os.environ)

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = data_folder(read.text("DATA_DIR") or BASE_DIR / "var")
PORT = read.number("PORT", default=8000, lowest=1, highest=65535)
# These are for `config.launcher`, which reads them itself. They are checked with all others.
HOST = parse_host("HOST", read.text("HOST") or "127.0.0.1")
WEB_WORKERS = read.number("WEB_WORKERS", default=2, lowest=1, highest=256)
# `accounts.throttling.threads` divides them. Of fewer than four none may be left for probes.
WEB_THREADS = read.number("WEB_THREADS", default=16, lowest=4, highest=256)

# What a web process serves: "verification" leaves out pages and API.
SERVES = read.choice("SERVES", "everything", "verification")

# The public URL of the portal. Links in mails, cookies and host checks follow from it.
_base = parse_base_url(read.text("BASE_URL") or f"http://localhost:{PORT}")
BASE_URL = _base.geturl()
_is_https = _base.scheme == "https"

DEBUG = read.flag("DEBUG")
_host = f"[{_base.hostname}]" if ":" in (_base.hostname or "") else _base.hostname
ALLOWED_HOSTS = parse_allowed_hosts(
    read.texts(
        "ALLOWED_HOSTS",
        default=sorted({_host or "localhost", "localhost", "127.0.0.1", "[::1]"}),
    )
)
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"] if _is_https else []

# --- Secrets -----------------------------------------------------------------------------------

# Those that are set nowhere are made, in files of DATA_DIR.
SECRET_KEY_MADE_IN = None if read.text("SECRET_KEY") else DATA_DIR / "secret_key"
SECRET_KEY = parse_secret(read.text("SECRET_KEY")) or read_secret(DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS = parse_fallbacks(read.text("SECRET_KEY_FALLBACKS"))

# Peppers key the digests of API tokens: "2:<64 hex>,1:<64 hex>", new digests by the first listed.
TOKEN_PEPPERS_MADE_IN = None if read.text("TOKEN_PEPPERS") else DATA_DIR / "token_peppers"
TOKEN_PEPPERS = parse_peppers(
    read.text("TOKEN_PEPPERS") or read_secret(DATA_DIR / "token_peppers", prefix="1:")
)

# --- Applications ------------------------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.OperatorsSite",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "config.apps.StaticFiles",
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
    "upgrades",
    "notifications",
    "accounts",
    "sso",
    "apitokens",
    "operations",
    "django.contrib.auth",  # after accounts, whose commands of the same names go first
]

MIDDLEWARE = [
    "config.observability.requests.note_facts",
    "config.middleware.answer_when_in_force",
    "config.middleware.keep_secret_addresses",
    "config.middleware.read_forwarded_proto",
    "config.middleware.clean_user_agent",
    "config.middleware.bound_query",
    "config.middleware.keep_tokens_out_of_addresses",
    "accounts.http.cors.allow_listed_origins",
    "config.middleware.require_https_and_no_store_for_api",
    "config.middleware.refuse_compressed_bodies",
    "config.middleware.answer_while_busy",
    "config.middleware.skip_middleware_for_verification",
    "django.middleware.security.SecurityMiddleware",
    "config.server.static_files.Middleware",
    "csp.middleware.CSPMiddleware",
    "config.server.compression.Middleware",
    "config.database.limits.limit_waits",
    "config.middleware.limit_body_size",  # its page has all headers of a page
    "accounts.http.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "accounts.throttling.known_browsers.keep_known_browsers",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.http.middleware.personal_settings",
    "config.middleware.explain_refused_methods",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

FORM_RENDERER = "config.html.widgets.Renderer"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "config.html.templates.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": [
                "config.html.icons",
                "config.html.inline_code",
                "config.html.role_names",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.appearance.context_processors.appearance",
                "accounts.tenancy.context_processors.layout",
                "apitokens.pages.context_processors.expiring_badge",
                "notifications.inbox.context_processors.bell",
            ],
        },
    },
]

# --- Database and cache ------------------------------------------------------------------------

_database = read.text("DATABASE_URL")
_conn_max_age = read.number("CONN_MAX_AGE", default=600)
DATABASES = {
    "default": (
        parse_database_url(_database, conn_max_age=_conn_max_age)
        if _database
        else sqlite_database(DATA_DIR / "permatoken.sqlite3")
    )
}

REDIS_URL = read.text("REDIS_URL") and parse_redis_url(read.text("REDIS_URL"))
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "accounts.throttling.redis_cache.RedisCache",
            "LOCATION": REDIS_URL,
            "VERSION": 2,  # under 1, older processes keep what others can't read
            # Seconds. A Redis that does not answer must not stop the processes that call it.
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
        if REDIS_URL
        else {
            "BACKEND": "config.sqlite_cache.SQLiteCache",
            "LOCATION": DATA_DIR / "cache.sqlite3",
            # Rate limits live here: an entry that is lost too early allows one more try.
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    )
}

# --- People and sign-in ------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# SQLite leaves out what an index has beside its key, which only makes counting quicker.
SILENCED_SYSTEM_CHECKS = ["models.W040"]
if not _is_https:
    # They name settings that follow from BASE_URL; `operations.W003` says what to do about it.
    SILENCED_SYSTEM_CHECKS += [f"security.W{number}" for number in ("004", "008", "010", "016")]
AUTHENTICATION_BACKENDS = [
    "accounts.passwords.backend.PasswordBackend",
    "allauth.account.auth_backends.AuthenticationBackend",  # of sessions that began with it
]
PASSWORD_HASHERS = [
    "accounts.throttling.password_hashing.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["name", "email"]},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.passwords.strength.StrengthValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
# Whether people may sign up by themselves; they can always be invited.
SIGN_UP = read.choice("SIGN_UP", "open", "closed")
# After how many days a sign-up that nobody has confirmed is deleted.
UNCONFIRMED_SIGN_UP_DAYS = read.number("UNCONFIRMED_SIGN_UP_DAYS", default=7, lowest=1, highest=365)
# Invitations per account within 24 hours.
INVITATIONS_PER_DAY = read.number("INVITATIONS_PER_DAY", default=5)
# Whether operators must sign in with a second factor to use their pages.
OPERATORS_NEED_TWO_FACTORS = read.flag("OPERATORS_NEED_TWO_FACTORS")
# Origins from which accounts may have the metadata of their identity providers fetched. With none
# they paste it. Fetching from any URL would open the portal's own network (SSRF).
SSO_METADATA_ORIGINS = parse_origins("SSO_METADATA_ORIGINS", read.texts("SSO_METADATA_ORIGINS"))
# Users that an account's identity provider may create within 24 hours.
SSO_NEW_PEOPLE_PER_DAY = read.number("SSO_NEW_PEOPLE_PER_DAY", default=100)
SOCIALACCOUNT_ADAPTER = "sso.login.allauth_provider.ConnectionAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_AUTO_SIGNUP = False  # sso.login decides
PASSWORD_RESET_TIMEOUT = int(timedelta(hours=1).total_seconds())
ACCOUNT_ADAPTER = "accounts.sign_in.allauth_adapter.SignInAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 1
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that has signed up, and no other
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody may have the portal mail other people
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
# `accounts.throttling.sign_in_limits` counts what has None here, and passkeys.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": None,
    "signup": "10/m/ip,50/d/ip",
    "reset_password": None,
    "reset_password_from_key": "20/m/ip",
    "confirm_email": "1/3m/key",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
}
MFA_RATE_LIMITS = {"webauthn_login": None}
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

# Origins of the pages that may ask for a passkey: the portal's own, and other ones of its host.
PASSKEY_ORIGINS = parse_passkey_origins(read.texts("PASSKEY_ORIGINS"), _base)

# Networks whose X-Forwarded-For and X-Forwarded-Proto are trusted.
TRUSTED_PROXIES = parse_networks(read.texts("TRUSTED_PROXIES"))

# --- Cookies and headers -----------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "accounts.http.stale_forms.csrf_failure"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Browsers keep cookies by host, not by port: two portals on one machine must not sign each other
# out.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (
    ("__Host-session", "__Host-csrf") if _is_https else (f"session-{PORT}", f"csrf-{PORT}")
)
# Of the browsers that people have signed in with before (`accounts.throttling.known_browsers`).
KNOWN_BROWSER_COOKIE_NAME = "__Host-known-browser" if _is_https else f"known-browser-{PORT}"
SESSION_ENGINE = "accounts.http.session_backend"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_SSL_REDIRECT = read.flag("SSL_REDIRECT", default=True) and _is_https
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|healthz)$"]
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if _is_https else 0
# Whether HSTS covers the whole domain of BASE_URL is for operators to decide.
SECURE_HSTS_INCLUDE_SUBDOMAINS = read.flag("HSTS_INCLUDE_SUBDOMAINS")
SECURE_HSTS_PRELOAD = read.flag("HSTS_PRELOAD")
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
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Language and time -------------------------------------------------------------------------

LANGUAGE_CODE = "en"
# Each in its own language. accounts.models.Language has the same ones, in the API's codes.
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
# Where they are collected. Images bring them, in a folder that nobody can write to.
STATIC_ROOT = data_folder(read.text("STATIC_DIR") or DATA_DIR / "static", name="STATIC_DIR")
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site has a use for these files
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.server.static_files.Storage"},
}

# --- Mail --------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = SERVER_EMAIL = parse_sender(
    read.text("FROM_EMAIL", default="Permatoken <noreply@localhost>")
)
_mail = parse_email_url(read.text("EMAIL_URL") or "filemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail["EMAIL_HOST"] or "localhost"
EMAIL_PORT = _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = read.number("EMAIL_TIMEOUT", default=10, lowest=1, highest=120)
# The name by which the portal introduces itself to the mail server; empty: the machine's.
EMAIL_EHLO_NAME = ehlo_name(_base.hostname or "", DEFAULT_FROM_EMAIL)
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"] or str(DATA_DIR / "mail")

# --- Background work ---------------------------------------------------------------------------

# How often the worker scans for due notices and delivers pending mails.
NOTICES_EVERY_SECONDS = read.number("NOTICES_EVERY_SECONDS", default=30, lowest=1, highest=3600)
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
# Without end: after 100 tries in vain a worker would end, some 50 minutes after Redis has gone.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A task that is not published is sent by beat soon after; nobody waits for a second try.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
CELERY_BEAT_MAX_LOOP_INTERVAL = 30  # seconds: it shows each time that it is alive
CELERY_BEAT_SCHEDULER = "config.celery:Scheduler"
CELERY_BEAT_SCHEDULE = beat_schedule(notices_every=timedelta(seconds=NOTICES_EVERY_SECONDS))
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    if REDIS_URL.startswith("rediss:"):
        # What the URL says of it goes first. Without either, kombu would check no certificate.
        CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    # A message whose worker was killed comes back after this long, which is longer than any task
    # may run. The tasks are idempotent, and beat sends them again anyway: the database says what is
    # due, not the broker.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "visibility_timeout": 2 * CELERY_TASK_TIME_LIMIT
    }
else:
    # Without an event loop the pool's processes share one lock: one that is killed with the lock in
    # hand stops them all for good (seen in tests/faults). Alone, a worker that is killed is gone,
    # and its supervisor starts another. SQLite has one writer at a time anyway.
    CELERY_WORKER_POOL = "solo"
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "queue"),
        "data_folder_out": str(DATA_DIR / "queue"),
        "control_folder": str(DATA_DIR / "queue-control"),
    }

# --- REST API ----------------------------------------------------------------------------------

# Origins of pages that may call the API from a browser.
CORS_ALLOWED_ORIGINS = [
    origin_of(urlsplit(text))
    for text in parse_origins("CORS_ALLOWED_ORIGINS", read.texts("CORS_ALLOWED_ORIGINS"))
]
# Lifetimes of the API's access and refresh tokens, as its documentation promises them.
JWT_ACCESS_LIFETIME = timedelta(hours=1)
JWT_REFRESH_LIFETIME = timedelta(hours=24)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apitokens.api.authentication.APITokenAuthentication",
        "accounts.api.authentication.BearerAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.api.authentication.HasScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.api.parsers.BoundedJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "accounts.api.parsers.JSONOfAnyKind",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.errors.answer",
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "NON_FIELD_ERRORS_KEY": "errors",
}
SPECTACULAR_SETTINGS = spectacular_settings(base_url=BASE_URL)

# --- The product -------------------------------------------------------------------------------

TOKEN_DIGEST_RETENTION = timedelta(days=90)
# How long a process may answer from its cache of a token. 0: it asks the database every time.
VERIFY_CACHE_SECONDS = read.decimal("VERIFY_CACHE_SECONDS", default=1, lowest=0, highest=1)
# Refused tokens per minute and address, and uses per minute and token. 0: no limit.
REFUSAL_RATE = read.number("REFUSAL_RATE", default=300)
TOKEN_RATE = read.number("TOKEN_RATE", default=0)
# How often each process writes its token usage; one that is killed loses as many seconds of it.
USAGE_FLUSH_SECONDS = read.number("USAGE_FLUSH_SECONDS", default=10, lowest=1, highest=60)
# What happens to a mail whose delivery cannot be known: "hold", "resend", or
# "default", which holds the 7-day notice (the 1-day notice follows) and sends the 1-day one again.
UNCERTAIN_DELIVERY = read.choice("UNCERTAIN_DELIVERY", "default", "hold", "resend")

# --- Error reports of DEBUG --------------------------------------------------------------------

DEFAULT_EXCEPTION_REPORTER = "config.server.error_pages.RequestReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.env.error_reports.SecretsFilter"

# --- Metrics -----------------------------------------------------------------------------------

# Who reads /metrics at the portal's own address must send it. Without one the page is not there.
METRICS_TOKEN = parse_metrics_token(read.text("METRICS_TOKEN"))

# --- Logging -----------------------------------------------------------------------------------

LOG_LEVEL = read.choice("LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
LOG_FORMAT = read.choice("LOG_FORMAT", "text", "json")
# Which verifications have a line: those that were refused (some of them, where there are many).
LOG_VERIFY = read.choice("LOG_VERIFY", "errors", "all")
LOGGING = logging_settings(level=LOG_LEVEL, form=LOG_FORMAT)
# Where errors are reported to, and where traces are collected.
SENTRY_DSN = parse_dsn(read.text("SENTRY_DSN"))
OTEL_EXPORTER_OTLP_ENDPOINT = parse_collector(read.text("OTEL_EXPORTER_OTLP_ENDPOINT"))
