"""Fields as the database has them."""

from typing import Any

from migration_rules.steps import Step


def field_of(step: Step, app: str, state: Any) -> Any:
    return state.models[app, step.operation.model_name_lower].fields[step.operation.name]


def column_of(name: str, field: Any) -> str:
    named = field.clone()
    named.set_attributes_from_name(name)
    return str(named.column)


def is_optional(field: Any) -> bool:
    return bool(field.null or field.many_to_many or field.has_db_default())
