"""The operators' pages about API tokens and verifier keys."""

from apitokens.admin import tokens, verifier_keys  # noqa: F401  # register their pages
