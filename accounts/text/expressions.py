"""Searching and sorting of text in queries: the lookup `icontains`, and `in_order`.

The databases' own means differ: SQLite knows no case but that of ASCII and no order but that of
bytes, and PostgreSQL has those of a locale that was chosen when it was set up, often none. So both
compare what `accounts.text.folding` says: SQLite calls it, and PostgreSQL is told it in SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, F, Field, Func, Lookup, TextField
from django.db.models.expressions import Col, Combinable, OrderBy
from django.utils.translation import get_language

from accounts.text.folding import (
    CHINESE,
    DOUBLE,
    FORMER,
    GB18030,
    MARKS,
    PRESENT,
    SPACES,
    accented_letters,
    own_letters,
    patterns_of,
    sort_key,
)

FOLD, SORT_KEY = "text_fold", "text_sort_key"
"""Functions of each connection to SQLite, registered by `accounts.text.sqlite`."""

_CASES = "iäяə", "IÄЯƏ"
_COLLATIONS = ["pg_c_utf8", "und-x-icu", "C.utf8", "C.UTF-8", "en_US.utf8", "en_US.UTF-8"]
"""Collations with the letters of all languages, which a database without them may borrow."""
_collations: dict[tuple[Any, ...], str] = {}

Letter = tuple[str, str]
"""A letter, and what it is replaced by."""


@CharField.register_lookup
@TextField.register_lookup
class Contains(Lookup):  # type: ignore[type-arg]  # generic in the stubs only
    """`icontains`, wherever people search: without regard to case, accents and composition."""

    lookup_name = "icontains"
    place = "> 0"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        text, text_values = self.process_lhs(compiler, connection)
        words, word_values = self.process_rhs(compiler, connection)
        if connection.vendor == "sqlite":
            sql = f"instr({FOLD}({text}), {FOLD}({words})) {self.place}"
            return sql, (*text_values, *word_values)
        fold = _folded if self._has_index(connection) else _quickly_folded
        text_sql, text_times = fold(text, connection)
        folded_values = (*text_values,) * text_times
        patterns = self._patterns(connection)
        for pattern in patterns:
            # Not with AND: PostgreSQL would believe that nearly nothing is found, and read other
            # tables first.
            text_sql = f"CASE WHEN {text} ~ %s THEN {text_sql} ELSE '' END"
            folded_values = (*text_values, pattern, *folded_values)
        if patterns:
            text_sql, before = _quickly_in_ascii(text, text_sql)
            folded_values = (*(*text_values,) * before, *folded_values)
        words_sql, word_times = _folded(f"{words}::text", connection)
        sql = self._compared(text_sql, words_sql, connection)
        return sql, (*folded_values, *(*word_values,) * word_times)

    def _patterns(self, connection: BaseDatabaseWrapper) -> list[str]:
        """What a text must match so that it can have the words in it, if it is not of ASCII. Where
        no index finds them, every text is read, and looking for letters takes a tenth of the time
        of folding it."""
        if not isinstance(self.rhs, str) or self._has_index(connection):
            return []
        return patterns_of(self.rhs)

    def _compared(self, text: str, words: str, connection: BaseDatabaseWrapper) -> str:
        """As PostgreSQL compares the folded text with the folded words."""
        if self._has_index(connection):  # an index of trigrams finds patterns, where there is one
            return f"{text} LIKE '%%' || {_escaped(words)} || '%%'"
        return f"strpos({text}, {words}) > 0"

    def _has_index(self, connection: BaseDatabaseWrapper) -> bool:
        """True for words with three letters or digits together, as the database knows letters. For
        others it would read the whole index, which takes longer than the rows."""
        letters = re.ASCII if _collation(connection) else re.UNICODE
        return isinstance(self.rhs, str) and bool(re.search(r"[^\W_]{3}", self.rhs, letters))


@CharField.register_lookup
@TextField.register_lookup
class Has(Contains):
    """`ihas`: as `icontains`, for rows that are read one by one, whether or not an index could find
    the words among those of the whole portal."""

    lookup_name = "ihas"

    def _has_index(self, _connection: BaseDatabaseWrapper) -> bool:
        return False


@CharField.register_lookup
@TextField.register_lookup
class Begins(Contains):
    """`ibegins`: as `icontains`, but only where the text begins. An ordinary index answers it."""

    lookup_name = "ibegins"
    place = "= 1"

    def _has_index(self, _connection: BaseDatabaseWrapper) -> bool:
        return True

    def _compared(self, text: str, words: str, _connection: BaseDatabaseWrapper) -> str:
        return f"{text} LIKE {_escaped(words)} || '%%'"


def folded_column(column: str, connection: BaseDatabaseWrapper) -> str:
    """What a search compares of a column, as PostgreSQL is told it: what its index is made of."""
    return _folded(column, connection)[0]


def sorted_column(column: str, connection: BaseDatabaseWrapper) -> str:
    """What a sort compares of a column, in the languages that have no letters of their own in it:
    English, German and Russian."""
    return _folded(column, connection, own_letters(""))[0]


class SortKey(Func):
    """What a text is sorted by, for the reader of the active language."""

    output_field = TextField()

    def as_sqlite(
        self, compiler: Any, connection: BaseDatabaseWrapper, **_facts: Any
    ) -> tuple[str, tuple[Any, ...]]:
        text, values = compiler.compile(self.source_expressions[0])
        return f"{SORT_KEY}({text}, %s)", (*values, _language())

    def as_postgresql(
        self, compiler: Any, connection: BaseDatabaseWrapper, **_facts: Any
    ) -> tuple[str, tuple[Any, ...]]:
        (source,) = self.source_expressions
        text, values = compiler.compile(source)
        own_column = isinstance(source, Col) and source.target.model is compiler.query.model
        fold = _folded if own_column else _quickly_folded  # a list may have an index in its order
        sql, times = fold(text, connection, own_letters(_language()))
        if _language() == CHINESE:
            sql = f"convert_to({sql}, '{GB18030}')"
        return sql, (*values,) * times


class Folded(Func):
    """What a search compares of a text, which an index has in order: for texts such as addresses,
    which are sorted alike in all languages."""

    output_field = TextField()

    def as_sqlite(
        self, compiler: Any, connection: BaseDatabaseWrapper, **_facts: Any
    ) -> tuple[str, tuple[Any, ...]]:
        text, values = compiler.compile(self.source_expressions[0])
        return f"{FOLD}({text})", (*values,)

    def as_postgresql(
        self, compiler: Any, connection: BaseDatabaseWrapper, **_facts: Any
    ) -> tuple[str, tuple[Any, ...]]:
        text, values = compiler.compile(self.source_expressions[0])
        sql, times = _folded(text, connection)
        return sql, (*values,) * times


def in_alphabet(texts: Iterable[str]) -> list[str]:
    """The texts in the order in which `in_order` has rows."""
    language = _language()
    return sorted(texts, key=lambda text: (sort_key(text, language), text))


def in_order(*names: str | Combinable) -> list[OrderBy]:
    """The order of these texts as people expect it. Add one that decides between equal ones."""
    return [SortKey(F(each) if isinstance(each, str) else each).asc() for each in names]


def is_written(field: Field[Any, Any]) -> bool:
    """True for a column with a name or an address, which people sort as they read."""
    return isinstance(field, CharField) and field.name in ("name", "email")


def _language() -> str:
    return get_language() or ""


def _folded(text: str, connection: Any, letters: Sequence[Letter] = ()) -> tuple[str, int]:
    """`accounts.text.folding.fold` for PostgreSQL, after these letters were replaced; and how often
    it names the text. Both branches have the order of bytes. The first is for ASCII, which is most
    of what there is, and takes a tenth of the time. (Indices are made of it: it stays as it is.)"""
    composed = _replaced(f"normalize({text})", letters)
    plain = _replaced(_without_marks(composed), DOUBLE)
    plain = f"translate({plain}, {_quoted(FORMER)}, {_quoted(PRESENT)})"
    folded = (
        f"CASE WHEN {_is_ascii(text)} "
        f"THEN {_ascii_capitals(text, letters)} ELSE {_capitals(plain, connection)} END"
    )
    return f"regexp_replace({folded}, '{SPACES}', ' ', 'g')", 4


def _quickly_folded(text: str, connection: Any, letters: Sequence[Letter] = ()) -> tuple[str, int]:
    """The same where no index has it, in less than half of the time for names of most people: of
    their letters nothing but accents falls away."""
    accented = accented_letters("".join(letter for letter, _present in letters))
    whole, times = _folded(text, connection, letters)
    return (
        f"CASE WHEN strpos({text}, '  ') > 0 THEN {whole} "
        f"WHEN {_is_ascii(text)} THEN {_ascii_capitals(text, letters)} "
        f"WHEN {text} ~ '^[{accented}]*$' THEN {_capitals(_without_marks(text), connection)} "
        f"ELSE {whole} END"
    ), 2 * times + 6


def _quickly_in_ascii(text: str, otherwise: str) -> tuple[str, int]:
    """The fold of a text of ASCII, in two thirds of the time of looking for letters in it; SQL for
    other texts. And how often the text is named before that."""
    capitals = _ascii_capitals(text, ())
    return (
        f"CASE WHEN {text} = '' THEN '' WHEN {_is_ascii(text)} THEN CASE WHEN strpos({text}, '  ') "
        f"> 0 THEN regexp_replace({capitals}, '{SPACES}', ' ', 'g') ELSE {capitals} END "
        f"ELSE {otherwise} END"
    ), 6


def _is_ascii(text: str) -> str:
    return f"octet_length({text}) = char_length({text})"


def _ascii_capitals(text: str, letters: Sequence[Letter]) -> str:
    in_ascii = _replaced(text, [each for each in letters if each[0].isascii()])
    return f'upper(({in_ascii}) COLLATE "C")'


def _without_marks(text: str) -> str:
    return f"regexp_replace(normalize({text}, NFKD), '{MARKS}', '', 'g')"


def _capitals(text: str, connection: Any) -> str:
    return f'(upper({text}{_collation(connection)})) COLLATE "C"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _escaped(pattern: str) -> str:
    """The pattern without wildcards of LIKE. (After folding, which makes `%` of a wide one.)"""
    for sign in ("\\", "%%", "_"):
        pattern = f"replace({pattern}, '{sign}', '\\{sign}')"
    return pattern


def _replaced(text: str, replacements: Sequence[Letter]) -> str:
    for former, present in replacements:
        text = f"replace({text}, '{former}', '{present}')"
    return text


def _collation(connection: Any) -> str:
    """A COLLATE clause under which this server knows the capitals of all letters; none if that is
    so anyway, or if it has no such collation. Asked once in a process for each database."""
    settings = connection.settings_dict
    database = tuple(settings.get(name) for name in ("HOST", "PORT", "NAME"))
    if database not in _collations:
        connection.ensure_connection()
        # Not through Django's cursor: it is no query of the page that happens to be the first.
        ask = connection.connection.execute
        found = ask("SELECT collname FROM pg_collation WHERE collname = ANY(%s)", [_COLLATIONS])
        names = {name for (name,) in found.fetchall()}
        clauses = ["", *(f' COLLATE "{name}"' for name in _COLLATIONS if name in names)]
        small, large = _CASES
        _collations[database] = next(
            (
                clause
                for clause in clauses
                if ask(f"SELECT upper('{small}'{clause}) = '{large}'").fetchone()[0]
            ),
            "",
        )
    return _collations[database]
