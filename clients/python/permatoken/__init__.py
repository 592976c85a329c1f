"""Lets a Python service ask a Permatoken portal about the API tokens that it is sent."""

from permatoken.errors import TooMany, Unavailable
from permatoken.introspection import AsyncIntrospector, Introspector
from permatoken.requirements import requires
from permatoken.token import ROLES, Token

__all__ = [
    "ROLES",
    "AsyncIntrospector",
    "Introspector",
    "Token",
    "TooMany",
    "Unavailable",
    "requires",
]
