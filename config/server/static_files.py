"""Static files while processes of two releases serve them (docs/upgrades.md)."""

import functools
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.compress import Compressor
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage

from config.server import scripts, stylesheets

_HASH = re.compile(r"\.[0-9a-f]{12}(?=\.\w+$)")
_HASHED = re.compile(r".+\.[0-9a-f]{12}\.\w+")


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    """WhiteNoise's, which makes our style sheets and scripts slim, and whose manifest keeps the
    files of the releases before: their processes still name them, and may start again."""

    hashed_files: dict[str, str]

    def create_compressor(self, **options: Any) -> Compressor:
        return _Compressor(**options)

    def compress_files(self, paths: set[str]) -> Iterator[Any]:
        yield from super().compress_files(paths)
        del self.compressor  # it remembers all it compressed, and this lives as the process does

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[Any]:
        if not dry_run:
            paths = {**paths, **self._make_slim(paths)}
        yield from super().post_process(paths, dry_run=dry_run, **options)

    def _make_slim(self, paths: dict[str, Any]) -> dict[str, Any]:
        """Write our style sheets and scripts anew, from where they were collected; returns where
        they are."""

        def text(name: str) -> str:
            storage, path = paths[name]
            with storage.open(path) as file:
                return str(file.read().decode())

        slimmed = {
            name: slim(text(name), lambda each, folder=folder: text(f"{folder}{each}"))  # type: ignore[misc]  # a lambda with a default
            for folder, slim in (("css/", stylesheets.slim), ("js/", scripts.slim))
            for name in paths
            if name.startswith(folder)
        }
        for name, content in slimmed.items():
            self.delete(name)
            self.save(name, ContentFile(content))
        return {name: (self, name) for name in slimmed}

    def save_manifest(self) -> None:
        former = {
            name: hashed for name, hashed in self.load_manifest()[0].items() if self.exists(hashed)
        }
        self.hashed_files = {**former, **self.hashed_files}
        super().save_manifest()


class _Compressor(Compressor):  # type: ignore[misc]  # it has no types
    """WhiteNoise's, which leaves what is compressed already and what only DEBUG sends, and
    compresses the same content once: each file is there by two names, of which one has the hash."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.compress_brotli = functools.cache(super().compress_brotli)
        self.compress_gzip = functools.cache(super().compress_gzip)

    def compress(self, path: str) -> list[str]:
        if _is_for_debugging(path):
            return []
        if _is_compressed(path):
            return [f"{path}.br", f"{path}.gz"]
        written: list[str] = super().compress(path)
        return written


def _is_for_debugging(path: str) -> bool:
    """True if there is a minified one beside it."""
    root, extension = os.path.splitext(_HASH.sub("", path))
    return os.path.exists(f"{root}.min{extension}")


def _is_compressed(path: str) -> bool:
    """True if both compressed files are whole, and of what the file holds now."""
    try:
        content = Path(path).read_bytes()
        return (
            gzip.decompress(Path(f"{path}.gz").read_bytes()) == content
            and brotli.decompress(Path(f"{path}.br").read_bytes()) == content
        )
    except (OSError, EOFError, zlib.error, brotli.error):  # missing, cut off, or of something else
        return False


class Middleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # it has no types
    """WhiteNoise's, which also finds the hashed files that were collected after it started: pages
    of a newer process name them."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if path.startswith(self.static_prefix) and path not in self.files:
            self._look_for(path)
        answer: HttpResponseBase = super().__call__(request)
        return answer

    def _look_for(self, path: str) -> None:
        root = os.path.join(os.path.abspath(self.static_root), "")
        file = os.path.join(root, path.removeprefix(self.static_prefix))
        is_inside = self.url_is_canonical(path) and self.path_is_child_of(file, root)
        if is_inside and _HASHED.fullmatch(path) and os.path.isfile(file):
            self.add_file_to_dictionary(path, file)
