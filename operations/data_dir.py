"""Asks the disk of DATA_DIR, for probes and metrics.

In the shape with PostgreSQL a full disk of this machine stops nobody. But its processes can no
longer write down what they count: rates of these counts fall to zero, and alerts about them stay
silent.
"""

import contextlib
import os
import shutil
import threading
from pathlib import Path

from django.conf import settings

PROBE_BYTES = 4096


def metrics_folder() -> Path:
    """Where the processes of this machine write what they count."""
    return Path(settings.DATA_DIR) / "metrics"


def refusal() -> str:
    """Why no file of counts can be written; empty if one can be."""
    probe = metrics_folder() / f"{os.getpid()}-{threading.get_ident()}.probe"
    try:
        probe.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        return error.strerror or "refused"
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return ""


def free_bytes() -> int | None:
    """What is left for users without privileges; None if there is no such folder."""
    try:
        return shutil.disk_usage(settings.DATA_DIR).free
    except OSError:
        return None
