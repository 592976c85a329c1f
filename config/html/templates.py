"""Loads the portal's own templates without their indentation: it is an eighth of a page's weight,
even compressed."""

import re

from django.template import Origin
from django.template.loaders import filesystem

_INDENTATION = re.compile(r"\n[ \t]+")


class Loader(filesystem.Loader):
    """Django's, for HTML in which white space is white space: what counts is in variables. Lines
    keep their numbers."""

    def get_contents(self, origin: Origin) -> str:
        contents: str = super().get_contents(origin)
        return _INDENTATION.sub("\n", contents) if origin.name.endswith(".html") else contents
