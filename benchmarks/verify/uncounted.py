"""The portal, of which this process counts nothing: no setting of the product does this."""

import django

from config.env.start import load_settings

load_settings()
django.setup()  # before imports that need its apps

from benchmarks.verify.without_counts import uncounted  # noqa: E402
from config.fast_path import shortcut  # noqa: E402

shortcut.shortcut = uncounted

from config.wsgi import application  # noqa: E402  # takes what stands there now

__all__ = ["application"]
