"""The tasks that Celery's beat sends, and how often."""

from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedstate, schedule

BY_SCHEDULE = "by_schedule"
"""The header of messages that beat sends because an interval has passed."""
_TASKS = (
    ("clear-sessions", "accounts.tasks.clear_sessions", timedelta(hours=6)),
    ("forget-token-families", "accounts.tasks.forget_token_families", timedelta(hours=6)),
    ("discard-late-sign-ups", "accounts.tasks.discard_late_sign_ups", timedelta(days=1)),
    ("forget-uses", "apitokens.tasks.forget_uses", timedelta(hours=1)),
    ("forget-digests", "apitokens.tasks.forget_digests", timedelta(hours=1)),
    ("enforce-inactivity-policies", "sso.tasks.enforce_inactivity_policies", timedelta(hours=1)),
    ("delete-expired-assertions", "sso.tasks.delete_expired_assertions", timedelta(hours=1)),
    ("notify-expiring-certificates", "sso.tasks.notify_expiring_certificates", timedelta(hours=1)),
)


class Interval(schedule):
    """An interval that has passed, too, if the clock was set back since."""

    def is_due(self, last_run_at: datetime) -> Any:
        if self.maybe_make_aware(last_run_at) > self.maybe_make_aware(self.now()):
            return schedstate(is_due=True, next=self.seconds)
        return super().is_due(last_run_at)


def beat_schedule(*, notices_every: timedelta) -> dict[str, dict[str, Any]]:
    """The value of `CELERY_BEAT_SCHEDULE`.

    Plain intervals: crontab schedules break at clock changes. Messages do not expire: the clocks of
    beat and worker differ. What piled up is left undone by the clock of the database (`Job`).
    """
    tasks = (
        ("scan-expirations", "apitokens.tasks.scan_expirations", notices_every),
        ("deliver-mails", "notifications.tasks.deliver_mails", notices_every),
        *_TASKS,
    )
    return {
        name: {
            "task": task,
            "schedule": Interval(every),
            "options": {"headers": {BY_SCHEDULE: True}},
        }
        for name, task, every in tasks
    }
