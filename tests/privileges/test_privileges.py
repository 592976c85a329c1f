"""No order of invitations, role changes, tokens and switches of accounts escalates privileges: the
portal allows exactly what the rules allow."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import Settings as DjangoSettings

from tests.privileges.machine import Portal

STEPS = 50
LONG = (pytest.mark.long, pytest.mark.timeout(1_800))


@pytest.mark.django_db
@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=LONG)])
def test_portal_allows_exactly_what_the_rules_allow(
    examples: int, settings_of_django: DjangoSettings
) -> None:
    settings_of_django.INVITATIONS_PER_DAY = STEPS
    effort = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Portal, settings=effort)


@pytest.fixture
def settings_of_django(settings: DjangoSettings) -> DjangoSettings:
    """The name `settings` means those of hypothesis here."""
    return settings
