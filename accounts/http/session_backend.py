"""Sessions in the database; what strangers need between two requests stays with their browser.

A stranger who could have a row written by each request would fill the database. So the state of a
sign-in that has proven nothing yet is no row: it is the cookie itself, signed, and good for an
hour. As soon as there is anything else to remember, a row is made.

A row has an end that no use puts off (`begin`): Django counts from when a session was saved last.
"""

from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.webauthn.internal.auth import STATE_SESSION_KEY
from allauth.socialaccount.internal.statekit import STATES_SESSION_KEY
from django.conf import settings
from django.contrib.messages.storage.session import SessionStorage
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.utils import timezone

STAYS_WITH_BROWSER = {STATES_SESSION_KEY, STATE_SESSION_KEY, SessionStorage.session_key}
"""What a browser may read, and bring back twice: the requests that it has sent to providers, the
challenge for a passkey, and sentences for the next page. What answers the former is used once
(`sso.login.replay_protection`, `accounts.sign_in.passkey_forms`)."""
LIFE = timedelta(hours=1)
LONGEST = 3_500
"""Characters of the cookie. Browsers take 4,096 with its name; what does not fit is not kept."""
_END = "_end"
_SALT = "accounts.http.session_backend"
_MARK = ":"


def begin(session: SessionBase, *, at: datetime) -> None:
    """A user has signed in: the session ends after `SESSION_COOKIE_AGE`, however it is used."""
    session[_END] = (at + timedelta(seconds=settings.SESSION_COOKIE_AGE)).isoformat()


class SessionStore(db.SessionStore):
    _is_row = False

    def _validate_session_key(self, key: str) -> bool:
        """As Django, and letters and digits only: PostgreSQL faults at the NUL that a cookie can
        smuggle in. Or a session that is the cookie itself."""
        if not (key and len(key) >= 8 and key.isascii()):
            return False
        return key.isalnum() or _is_cookie(key)

    def load(self) -> dict[str, Any]:
        if not _is_cookie(self.session_key):
            return super().load()
        try:
            found: dict[str, Any] = signing.loads(self.session_key or "", salt=_SALT, max_age=LIFE)
        except signing.BadSignature:
            self._session_key = None
            return {}
        return found

    def cycle_key(self) -> None:
        """Make a row, whatever is in it: a user is about to be signed in, whose sessions are
        listed by the name that this one has from now on."""
        self._is_row = True
        super().cycle_key()

    def flush(self) -> None:
        self._is_row = False
        super().flush()

    def save(self, must_create: bool = False) -> None:
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # stubs lack it
        if data.keys() - {_END} <= STAYS_WITH_BROWSER and not self._is_row:
            data.pop(_END, None)
            self._leave_with_browser(data)
            return
        if _is_cookie(self.session_key):
            self._session_key = None
        if _END not in data:
            begin(self, at=timezone.now())
        super().save(must_create=must_create)

    def get_expiry_date(self, **facts: Any) -> datetime:
        date: datetime = super().get_expiry_date(**facts)
        end = self.get(_END)
        return min(date, datetime.fromisoformat(end)) if end else date

    def get_expiry_age(self, **facts: Any) -> int:
        age: int = super().get_expiry_age(**facts)
        end = self.get(_END)
        if not end:
            return age
        left = datetime.fromisoformat(end) - facts.get("modification", timezone.now())
        return min(age, int(left.total_seconds()))

    def delete(self, session_key: str | None = None) -> None:
        if not _is_cookie(session_key or self.session_key):
            super().delete(session_key)

    def exists(self, session_key: str) -> bool:
        return not _is_cookie(session_key) and super().exists(session_key)

    def _leave_with_browser(self, data: dict[str, Any]) -> None:
        if self.session_key and not _is_cookie(self.session_key):
            super().delete(self.session_key)
        cookie = signing.dumps(data, salt=_SALT, compress=True)
        if len(cookie) > LONGEST:
            cookie = signing.dumps({}, salt=_SALT)
        self._session_key = cookie


def _is_cookie(key: str | None) -> bool:
    return _MARK in (key or "")
