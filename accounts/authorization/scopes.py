"""The scopes of the portal's own API: built in, so that nobody can edit or remove them."""

READ, WRITE = "read", "write"

OWN_SCOPES = {
    "tokens": (READ, WRITE),
    "users": (READ, WRITE),
    "audit": (READ,),
}
"""By the service, which is a part of the API."""


def own_scope(service: str, *, is_reading: bool) -> str:
    """The scope that a call to this part of the API needs."""
    return f"{service}:{READ if is_reading else WRITE}"


TOKENS_WRITE = own_scope("tokens", is_reading=False)
