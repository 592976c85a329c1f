"""The settings of the peers: each library as it comes, and nothing that would slow it down."""

import os

import environ

env = environ.Env()

SECRET_KEY = "only-for-measuring-" + "0" * 64
ALLOWED_HOSTS = ["*"]
DEBUG = False
USE_TZ = True
ROOT_URLCONF = "benchmarks.verify.peers.urls"
WSGI_APPLICATION = "benchmarks.verify.peers.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "rest_framework.authtoken",
    "knox",
    "rest_framework_api_key",
    "oauth2_provider",
]
# Kept open for good, and not asked whether they are well before each request.
DATABASES = {"default": {**env.db_url_config(os.environ["DATABASE_URL"]), "CONN_MAX_AGE": None}}
OAUTH2_PROVIDER = {"SCOPES": {"read": "Read"}}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
LOGGING = {"version": 1, "root": {"handlers": [], "level": "CRITICAL"}}
