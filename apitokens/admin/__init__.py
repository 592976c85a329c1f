"""The operators' pages about API tokens, services and verifier keys."""

from apitokens.admin import services, tokens, verifier_keys  # noqa: F401  # register their pages
