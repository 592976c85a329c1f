"""What the first pages of a process find done already, and that doing it changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from config.warm_up import warm_up
from tests.portal import ROOT, prepared

FIRST_PAGES = """
import gc, json, sys
import config.wsgi
from collections import Counter
from asgiref.local import _DefaultLocal
from django.template.base import Template
from django.test import Client
from django.utils.translation import trans_real
from accounts.models import User

frozen, looked_through = gc.get_freeze_count(), len(gc.get_objects())
administrator = Client(SERVER_NAME="localhost")
administrator.force_login(User.objects.get(email="admin@example.com"))
stranger = Client(SERVER_NAME="localhost", headers={"Accept-Language": "az"})

asked_with_a_lock, ask = Counter(), _DefaultLocal.__getattr__
def count(local, name):
    asked_with_a_lock[name] += 1
    return ask(local, name)
_DefaultLocal.__getattr__ = count
modules, catalogues, templates = set(sys.modules), set(trans_real._translations), []
compile_nodelist = Template.compile_nodelist
def note(template):
    templates.append(template.name or "")
    return compile_nodelist(template)
Template.compile_nodelist = note
statuses = [
    administrator.get("/accounts/1/api-tokens/").status_code,
    administrator.get("/accounts/1/audit-log/").status_code,
    administrator.get("/iam/clients/me").status_code,
    stranger.get("/sign-in/").status_code,
    stranger.get("/readyz").status_code,
]
print(json.dumps({
    "statuses": statuses,
    "modules": sorted({*sys.modules} - modules),
    "catalogues": sorted({*trans_real._translations} - catalogues),
    "templates": sorted(templates),
    "looked through": looked_through / (looked_through + frozen),
    "asked with a lock": asked_with_a_lock,
}))
"""


def run(code: str, data_dir: Path) -> str:
    """What a process of its own prints, which serves as `config.wsgi` does."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "", "REDIS_URL": "", "DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_pages() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(FIRST_PAGES, prepared()))
    assert told["statuses"] == [200, 200, 401, 200, 200]
    return told


def test_first_pages_of_a_process_import_read_and_compile_nothing(
    first_pages: dict[str, Any],
) -> None:
    templates = first_pages["templates"]
    assert [name for name in first_pages["modules"] if not name.startswith("encodings.")] == []
    assert first_pages["catalogues"] == []
    assert [name for name in templates if not name.startswith("django/forms/")] == []
    # Of what was loaded, the garbage collector still looks at this much.
    assert first_pages["looked through"] < 0.1


def test_threads_that_render_pages_share_no_lock_for_language_zone_and_addresses(
    first_pages: dict[str, Any],
) -> None:
    """They would take it some thousand times for each page, and wait for each other."""
    assert sum(first_pages["asked with a lock"].values()) < 20


def test_missing_static_files_keep_no_process_from_verifying(tmp_path: Path) -> None:
    run("import config.wsgi", tmp_path)


@pytest.mark.django_db
def test_warming_up_asks_no_database(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        warm_up()
