"""The request or task that this thread works for: by its id lines of the log belong together."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LONGEST = 64
HEADER = "X-Request-ID"
_PLAIN = re.compile(rf"[\w.:+=/-]{{8,{LONGEST}}}", re.ASCII)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """Empty outside of a request and of what it has caused."""
    return _request_id.get()


def new_request_id() -> str:
    return secrets.token_hex(8)


def is_request_id(text: str) -> bool:
    """True for what a proxy may call a request."""
    return _PLAIN.fullmatch(text) is not None


@contextmanager
def working_for(identifier: str) -> Iterator[None]:
    """What is done in the block is done for this request."""
    token = _request_id.set(identifier)
    try:
        yield
    finally:
        _request_id.reset(token)
