"""Sessions in the database. A cookie that is no session key is not looked up."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str) -> bool:
        """As Django, and letters and digits only: PostgreSQL faults at the NUL that a cookie can
        smuggle in."""
        return bool(key) and len(key) >= 8 and key.isascii() and key.isalnum()
