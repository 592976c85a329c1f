"""A model of how the answer to a deletion waits, searched through whole (docs/decisions/0048).

One process deletes, another verifies: of the same host, or of another one, with messages or
without. Every order of their steps is tried, with any pause before each step, messages that are
late or lost, and processes that die: then somebody else deletes the same token. A state is wrong if
a deletion is answered and a look into memory says yes. Each rule of the protocol is also taken out:
then there must be such a state.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from apitokens.cache import hosts

LEASE, TRUSTED_FOR, RESPECTED_FOR = 1, 2, 3
"""Ticks. What has happened longer ago than any of these is all the same, so that there is no end of
time in this model, and yet an end of states."""
LONG_AGO = 5

RULES = {
    "an entry has the mark of before its read": "own host",
    "a lease counts from before its read": "another host",
    "no lease outlives the trust in the row": "another host",
    "trust counts from before the row is written": "another host",
    "trust ends before respect": "another host",
    "rows are read after the commit": "another host",
    "the wait counts from after the commit": "another host",
    "marks are changed before this is confirmed": "another host",
    "marks of the own host are changed before the answer": "own host",
    "who finds it deleted waits, too": "another host",
}


class State(NamedTuple):
    """All that is known anywhere, times as ticks before or after now."""

    is_deleted: bool = False  # in the database
    # The host that verifies.
    is_marked: bool = False
    row_age: int = LONG_AGO
    trusted_for: int = 0
    writing_age: int | None = None
    is_written: bool = False
    reading: tuple[int, bool, bool | None] | None = None  # lasts for, was marked, found good
    kept_for: int = 0  # an entry that says yes: nobody has changed its mark
    # The process that deletes.
    step: str = "begins"
    waits_since: int = 0
    must_wait: bool = False
    message: str = "none"

    @property
    def is_wrong(self) -> bool:
        return self.step == "answered" and self.kept_for > 0

    def marked(self) -> "State":
        """With the mark changed, which ends what was kept before."""
        return self if self.is_marked else self._replace(is_marked=True, kept_for=0)

    def later(self) -> "State":
        """A tick later."""
        reading = self.reading and (max(0, self.reading[0] - 1), *self.reading[1:])
        writing = None if self.writing_age is None else min(self.writing_age + 1, LONG_AGO)
        return self._replace(
            row_age=min(self.row_age + 1, LONG_AGO),
            trusted_for=max(0, self.trusted_for - 1),
            writing_age=writing,
            reading=reading,
            kept_for=max(0, self.kept_for - 1),
            waits_since=min(self.waits_since + 1, LONG_AGO),
        )


class Model(NamedTuple):
    is_own_host: bool
    has_messages: bool
    without: str = ""

    def holds(self, rule: str) -> bool:
        assert rule in RULES
        return rule != self.without

    def steps(self, state: State) -> Iterator[State]:
        yield state.later()
        yield from self.verifies(state)
        yield from self.deletes(state)
        yield from self.repeats(state)
        if not self.is_own_host:
            yield from self.writes_row(state)
            yield from self.hears(state)

    def verifies(self, state: State) -> Iterator[State]:
        if state.reading is None:
            yield state._replace(reading=(self.lasts(state), state.is_marked, None))
            return
        lasts, was_marked, is_good = state.reading
        if is_good is None:
            yield state._replace(reading=(lasts, was_marked, not state.is_deleted))
            return
        if not self.holds("an entry has the mark of before its read"):
            was_marked = state.is_marked
        if not self.holds("a lease counts from before its read"):
            lasts = self.lasts(state)
        is_kept = is_good and was_marked == state.is_marked
        yield state._replace(reading=None, kept_for=lasts if is_kept else state.kept_for)
        yield state._replace(reading=None, kept_for=0)  # it dies, and another one starts

    def lasts(self, state: State) -> int:
        """How long a lease may last that begins now."""
        if self.is_own_host or not self.holds("no lease outlives the trust in the row"):
            return LEASE
        return min(LEASE, state.trusted_for)

    def writes_row(self, state: State) -> Iterator[State]:
        if state.writing_age is None:
            yield state._replace(writing_age=0)
        elif not state.is_written:
            yield state._replace(is_written=True, row_age=0)
        else:
            trust = TRUSTED_FOR if self.holds("trust ends before respect") else RESPECTED_FOR + 1
            if self.holds("trust counts from before the row is written"):
                trust = max(0, trust - state.writing_age)
            after = state._replace(writing_age=None, is_written=False)
            yield after._replace(trusted_for=trust)
            yield after  # it dies before it tells the others of its host

    def hears(self, state: State) -> Iterator[State]:
        """Nothing of this has to happen: messages are lost, and who hears them dies."""
        early = not self.holds("marks are changed before this is confirmed")
        if state.message == "sent":
            yield (
                state._replace(message="applied")
                if early
                else state.marked()._replace(message="applied")
            )
        elif state.message == "applied":
            yield state._replace(message="confirmed")
        elif early and state.message == "confirmed":
            yield state.marked()

    def deletes(self, state: State) -> Iterator[State]:
        if state.step == "begins":
            yield state._replace(
                step="in transaction", waits_since=0, must_wait=self.finds_row(state)
            )
        elif state.step == "in transaction":
            yield state._replace(step="committed", is_deleted=True)
        elif state.step == "committed":
            if self.holds("the wait counts from after the commit"):
                state = state._replace(waits_since=0)
            if self.is_own_host and self.holds(
                "marks of the own host are changed before the answer"
            ):
                state = state.marked()
            yield state._replace(step="marked")
        elif state.step == "marked":
            if self.holds("rows are read after the commit"):
                state = state._replace(must_wait=self.finds_row(state))
            yield state._replace(step="waits", message="sent" if self.has_messages else "none")
        elif state.step == "waits":
            is_heard = state.message == "confirmed"
            if not state.must_wait or is_heard or state.waits_since >= LEASE:
                yield state._replace(step="answered")

    def repeats(self, state: State) -> Iterator[State]:
        """Whoever deletes dies, or is only slow: who does it again knows nothing of that."""
        if state.step != "answered":
            yield state._replace(step="begins", waits_since=0, must_wait=False, message="none")
        if state.is_deleted and not self.holds("who finds it deleted waits, too"):
            yield state._replace(step="answered")

    def finds_row(self, state: State) -> bool:
        return not self.is_own_host and state.row_age < RESPECTED_FOR


def find_wrong(model: Model) -> State | None:
    """A state in which the deletion is answered and the token still accepted, if there is one."""
    seen, todo = {State()}, [State()]
    while todo:
        for state in model.steps(todo.pop()):
            if state.is_wrong:
                return state
            if state not in seen:
                seen.add(state)
                todo.append(state)
    return None


@pytest.mark.parametrize(
    "model",
    [Model(True, False), Model(False, False), Model(False, True)],
    ids=["own host", "another host, no messages", "another host, messages"],
)
def test_nobody_says_yes_after_the_answer(model: Model) -> None:
    assert find_wrong(model) is None


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    is_own_host, has_messages = RULES[rule] == "own host", "confirmed" in rule
    assert find_wrong(Model(is_own_host, has_messages, without=rule)) is not None


def test_figures_are_ordered_as_in_the_model() -> None:
    assert LEASE < TRUSTED_FOR < RESPECTED_FOR
    assert hosts.LONGEST_LEASE < hosts.RENEWED_AFTER < hosts.TRUSTED_FOR < hosts.RESPECTED_FOR
