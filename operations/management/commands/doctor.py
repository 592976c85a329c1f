"""`manage.py doctor`: what is well, risky or broken in this installation, for a person."""

from typing import Any

from django.core.management.base import BaseCommand

from operations.doctor.examination import Finding, examine


class Command(BaseCommand):
    help = (
        "Examines this installation and says what is missing or risky. Changes nothing. Exits with "
        "1 if something is broken."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine()
        for finding in findings:
            self.stdout.write(f"{self._mark(finding)} {finding.topic}: {finding.sentence}")
            if finding.hint:
                self.stdout.write(f"          {finding.hint}")
        errors = sum(finding.is_error for finding in findings)
        warnings = sum(finding.is_warning for finding in findings)
        self.stdout.write(f"\n{errors} broken, {warnings} risky.")
        if errors:
            raise SystemExit(1)

    def _mark(self, finding: Finding) -> str:
        if finding.is_error:
            return self.style.ERROR("broken   ")
        if finding.is_warning:
            return self.style.WARNING("risky    ")
        return self.style.SUCCESS("well     ")
