"""Forms that several people may have open at the same moment."""

import hashlib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import Truncator
from django.utils.translation import gettext as _

CHANGED = "changed_meanwhile"
"""The code of a refusal because of what the page had not shown."""
SEEN = "seen"
"""The hidden field that says what the form showed when it was opened."""
_LONGEST = 100
"""Characters of a value that a sentence repeats."""


class ConcurrentEdits:
    """Mixin of an edit form: nobody takes back a change that they did not see.

    Its page sends `seen` along: a fingerprint of each value that was shown. A field that is sent as
    it was shown keeps the value that it has by now. A field that was changed here, and meanwhile
    elsewhere to something else, is refused once, and says what it was changed to. Without `seen`
    everything is taken as it is sent.
    """

    data: Any
    fields: dict[str, forms.Field]
    present: Mapping[str, Any] = MappingProxyType({})
    """The values as they are, of fields that begin with others."""
    kept_if_empty: Collection[str] = ()
    """Fields that begin empty, and change nothing then."""

    @property
    def seen(self) -> str:
        """Fingerprints of the values that the fields have now, for the page that shows them."""
        return " ".join(f"{name}={_fingerprint(self._present(name))}" for name in self.fields)

    def full_clean(self) -> None:
        overtaken = self._merge() if self.is_bound else []  # type: ignore[attr-defined]  # a form
        super().full_clean()  # type: ignore[misc]  # a form
        for name in overtaken:
            if name not in self.errors:  # type: ignore[attr-defined]  # a form
                self.add_error(name, self._overtaken(name))  # type: ignore[attr-defined]  # a form

    def untouched(self, sent: dict[str, str]) -> set[str]:
        """The fields whose values in `sent` are those that its page had shown."""
        seen = _read(sent.get(SEEN, ""))
        return {name for name, text in sent.items() if seen.get(name) == _fingerprint(text)}

    def _merge(self) -> list[str]:
        """Put the present value in the place of each that was sent as it was shown. Returns the
        fields that were changed both here and elsewhere."""
        seen, overtaken = _read(self.data.get(SEEN, "")), []
        for name, shown in seen.items():
            if name not in self.fields:
                continue
            present, sent = self._present(name), self[name].data  # type: ignore[index]  # a form
            if _text(sent) == _text(present) or shown == _fingerprint(present):
                continue
            if name in self.kept_if_empty and not _text(sent):
                continue
            if shown == _fingerprint(sent):
                self._send(name, present)
            else:
                overtaken.append(name)
        return overtaken

    def _present(self, name: str) -> Any:
        """The value that the field has now, as a page would send it."""
        value = self.present[name] if name in self.present else self[name].initial  # type: ignore[index]  # a form
        return self.fields[name].prepare_value(value)

    def _send(self, name: str, value: Any) -> None:
        """Have the form find this value in what was sent."""
        self.data = self.data.copy()
        if isinstance(value, (list, tuple)):
            self.data.setlist(name, [str(each) for each in value])
        elif value in (None, False):
            self.data.pop(name, None)
        else:
            self.data[name] = "on" if value is True else str(value)

    def _overtaken(self, name: str) -> ValidationError:
        if isinstance(self._present(name), (bool, list, tuple)):
            return overtaken("")
        present = _text(self._present(name))
        choices = dict(getattr(self.fields[name], "choices", []))
        labels = {str(value): str(label) for value, label in choices.items()}
        return overtaken(labels.get(present, present))


def overtaken(present: str) -> ValidationError:
    """The refusal of a change that would take back another one, which it has not shown: to what is
    there at present."""
    shown = Truncator(present).chars(_LONGEST)
    if not shown:
        return ValidationError(
            _("This was changed after you opened the page. Save again to replace it."),
            code=CHANGED,
        )
    return ValidationError(
        _("This was changed to “%(value)s” after you opened the page. Save again to replace it."),
        code=CHANGED,
        params={"value": shown},
    )


def _text(value: Any) -> str:
    """The value as text, by which what was shown and what was sent can be compared."""
    if isinstance(value, (list, tuple)):
        return "\n".join(sorted(map(str, value)))
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value).replace("\r\n", "\n").strip()


def _fingerprint(value: Any) -> str:
    return digest(_text(value), size=6)


def digest(text: str, *, size: int) -> str:
    """A text of so many bytes in hexadecimal digits, which is another one for another text."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=size).hexdigest()


def _read(seen: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in seen.split())
    return {name: fingerprint for name, _equals, fingerprint in pairs}
