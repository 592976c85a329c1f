"""The probes of web processes: /livez, /readyz and /healthz.

They are asked under any Host and without TLS (`config.middleware`), and never hang
(`config.server.probes`).
"""

import logging
from typing import Any

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apitokens.usage import flusher
from notifications.health.report import Health, health
from notifications.jobs import database_now
from operations.data_dir import refusal
from operations.probes.readiness import readiness
from operations.redis_answers import redis_answers

logger = logging.getLogger(__name__)

USAGE_WAITS_AT_MOST = 60.0
"""Seconds in which uses of tokens were not to be stored."""
RETRY_AFTER = "5"


@require_safe
@never_cache
def livez(_request: HttpRequest) -> HttpResponse:
    """Answer 200: this process runs. One that does not answer should be started anew."""
    return _answer({"status": "ok"}, is_well=True)


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 while this process can serve requests; else 503, and in `checks` what is amiss."""
    found = readiness()
    status = "ok" if found.is_ready else "not ready"
    return _answer({"status": status, "checks": found.checks}, is_well=found.is_ready)


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 while the database answers and people are told in time; else 503, with the status
    "unavailable", "misconfigured" (`faults` says why), "read only" (nothing can be changed),
    "unsettled" (a backup was put back, and restoring was broken off: no mail leaves), "late"
    (no worker does what is `overdue`), "held up" (no mail leaves), "no redis" (nothing is queued),
    "usage waits" (this process cannot store that tokens were used), or "disk refuses" (`data_dir`
    says why: counts of this machine stand still, and nobody is alerted by them)."""
    try:
        found = health(at=database_now())
    except Error:
        logger.exception("The database isn't responding.")
        return _answer({"status": "unavailable"}, is_well=False)
    is_queueing, usage_waits = redis_answers(), flusher.usage_flusher.waits_for
    refused = refusal()
    status = _status(found, is_queueing=is_queueing, usage_waits=usage_waits, refused=refused)
    return _answer(
        {
            "status": status,
            "last_scan_at": found.last_scan_at,
            "last_delivery_at": found.last_delivery_at,
            "last_backup_at": found.last_backup_at,
            "oldest_due_seconds": int(found.oldest_due_age.total_seconds()),
            "held_up_since": found.held_up_since,
            "waiting": found.waiting,
            "held": found.held,
            "failed": found.failed,
            "jobs": {job.name: job.finished_at for job in found.jobs},
            "overdue": found.overdue,
            "faults": found.faults,
            "redis": {True: "ok", False: "isn't responding", None: "not used"}[is_queueing],
            "usage_waits_seconds": int(usage_waits),
            "data_dir": refused or "ok",
        },
        is_well=status == "ok",
    )


def _status(found: Health, *, is_queueing: bool | None, usage_waits: float, refused: str) -> str:
    if not found.is_well:
        return found.status
    if is_queueing is False:
        return "no redis"
    if usage_waits > USAGE_WAITS_AT_MOST:
        return "usage waits"
    return "disk refuses" if refused else "ok"


def _answer(body: dict[str, Any], *, is_well: bool) -> HttpResponse:
    response = JsonResponse(
        body,
        status=200 if is_well else 503,
        json_dumps_params={"separators": (",", ":")},
    )
    if not is_well:
        response.headers["Retry-After"] = RETRY_AFTER
    return response
