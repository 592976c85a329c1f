"""Lets threads know for themselves what Django lets them share with coroutines.

The language, the zone, the prefix and the table of addresses are kept by Django in asgiref's
`Local`, which takes one lock of the process each time that it is read. A page reads them some 1,500
times, and threads that render pages at once stand in each other's way (docs/decisions/0066). The
portal is served by threads alone, for which `threading.local` says the same without a lock.
"""

import threading
from types import ModuleType

from asgiref.local import Local
from django.urls import base as addresses
from django.utils import timezone
from django.utils.translation import trans_real as translation

_SHARED: list[tuple[ModuleType, str]] = [
    (translation, "_active"),
    (timezone, "_active"),
    (addresses, "_prefixes"),
    (addresses, "_urlconfs"),
]


def keep_by_thread() -> None:
    """Call it before anything is served: what a thread knew before, it forgets."""
    for module, name in _SHARED:
        if isinstance(getattr(module, name), Local):
            setattr(module, name, threading.local())
