"""Loads what requests need once in each process before it accepts any: nobody waits for it."""

import gc
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.template import Engine
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats, translation

from accounts.sign_in.forms import SignInForm
from apitokens.checks import static_files_are_collected
from config.server.verification_only import EVERYTHING
from operations.probes.readiness import newest_migrations


def warm_up() -> None:
    """Import what answers requests, which is most of it; and where pages are served, compile their
    templates and render one in each language. Asks no database, and changes nothing. Pages cannot
    be rendered while static files are missing, which `/readyz` tells.

    What is there then stays. The garbage collector leaves it alone: to look through 200,000 objects
    again would hold all threads up for a tenth of a second each time.
    """
    reverse("home")
    newest_migrations()  # which `/readyz` would import, while others wait for its answer
    if settings.SERVES == EVERYTHING:
        _compile_templates()
        for code, _name in settings.LANGUAGES if not static_files_are_collected() else ():
            with translation.override(code):
                formats.get_format("DATE_FORMAT")
                render_to_string("account/login.html", {"form": SignInForm()}, HttpRequest())
    gc.collect()
    gc.freeze()


def _compile_templates() -> None:
    engine = Engine.get_default()
    for folder in map(Path, engine.dirs):
        for file in folder.rglob("*.html"):
            engine.get_template(str(file.relative_to(folder)))
