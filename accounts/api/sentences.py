"""Sentences of the API that more than one place says. They are the wire's, and not translated."""

BAD_REQUEST = "The request is not valid: see errors."
FORBIDDEN = "You do not have permission to perform this action."
MISSING = "Authentication credentials were not provided."
