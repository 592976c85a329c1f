"""A migration's operations one by one, and what is before it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import migrations
from django.db.migrations import RunSQL, SeparateDatabaseAndState
from django.db.migrations.state import ProjectState

from upgrades import operations as own_operations


class Step(NamedTuple):
    """An operation, the models before and after it, and whether it changes the database."""

    operation: Any
    before: Any
    after: Any
    touches_database: bool

    @property
    def name(self) -> str:
        return type(self.operation).__name__


class Past(NamedTuple):
    """What is before a migration of an app: the models, and the migrations in order. And the
    release since which, as it says, nothing uses what goes."""

    app: str
    models: Any
    migrations: Sequence[Any]
    release: str | None
    is_contraction: bool

    def search_indices(self) -> Iterator[Any]:
        """The operations that made them: models say nothing of them."""
        for migration in self.migrations:
            for operation in migration.operations if migration.app_label == self.app else ():
                if isinstance(operation, own_operations.AddSearchIndexConcurrently):
                    yield operation

    def removal(self, has: Callable[[Any], bool]) -> str | None:
        """The path of the last migration that took something out of the models."""
        state, had, path = ProjectState(), False, None
        for migration in self.migrations:
            state = migration.mutate_state(state, preserve=False)
            if had and not has(state):
                path = f"{migration.app_label}/migrations/{migration.name}.py"
            had = has(state)
        return path


def steps_of(
    app: str, operations: Sequence[Any], state: Any, *, on_database: bool = True
) -> Iterator[Step]:
    """Each operation, those of SeparateDatabaseAndState apart, and what RunSQL says of the models.
    Changes the state."""
    for operation in operations:
        if type(operation) is SeparateDatabaseAndState:
            yield from steps_of(
                app, operation.database_operations, state.clone(), on_database=on_database
            )
            yield from steps_of(app, operation.state_operations, state, on_database=False)
        elif type(operation) is RunSQL and operation.state_operations:
            yield Step(operation, state.clone(), state.clone(), on_database)
            yield from steps_of(app, operation.state_operations, state, on_database=False)
        else:
            before = state.clone()
            if type(operation).__name__ != "RemoveField" or _has_field(app, operation, state):
                operation.state_forwards(app, state)
            yield Step(operation, before, state.clone(), on_database)


def _has_field(app: str, operation: Any, state: Any) -> bool:
    model = state.models.get((app, operation.model_name_lower))
    return model is not None and operation.name in model.fields


def is_known(operation: Any) -> bool:
    """Whether it is what its name says: a kind that is derived may do anything else beside."""
    name = type(operation).__name__
    return type(operation) in (getattr(migrations, name, None), getattr(own_operations, name, None))
