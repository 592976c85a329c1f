"""The Chromium of this machine."""

import shutil

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first needs two thirds of the time of the others, which also draw a window nobody sees."""
MISSING = "needs a Chromium on the PATH; get one with: apt-get install chromium-headless-shell"


def path() -> str | None:
    """Where Chromium is, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)
