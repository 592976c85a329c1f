"""Static files while processes of two releases serve them."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import brotli
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.http import HttpResponse
from django.test import RequestFactory
from whitenoise import storage as storage_module
from whitenoise.compress import Compressor

from config.server.static_files import Middleware, Storage


@pytest.fixture
def root(tmp_path: Path, settings: Any) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    return tmp_path / "static"


def collect(root: Path, name: str, text: str) -> str:
    """Collect one file, as a release that has no other; returns its hashed name."""
    storage = Storage(location=root, base_url="/static/")
    storage.save(name, ContentFile(text))
    list(storage.post_process({name: (storage, name)}))
    return storage.stored_name(name)  # type: ignore[no-any-return]  # it has no types


def test_older_process_serves_the_files_of_a_newer_one(root: Path) -> None:
    older = Middleware(lambda _request: HttpResponse(status=404))
    (root.parent / "secret.0123456789ab.css").write_text("not to be read")
    name = collect(root, "new.css", "a {}")

    def status(path: str) -> int:
        return older(RequestFactory().get(path)).status_code

    assert status(f"/static/{name}") == 200
    assert status(f"/static/{name}.gz") == 404
    assert status("/static/gone.0123456789ab.css") == 404
    assert status("/static/staticfiles.json") == 404
    assert status("/static/../secret.0123456789ab.css") == 404
    assert status("/static//secret.0123456789ab.css") == 404
    assert status(f"/static/{root.parent}/secret.0123456789ab.css") == 404


def test_older_process_that_starts_again_finds_its_files(root: Path) -> None:
    former = collect(root, "former.css", "a {}")
    collect(root, "renamed.css", "b {}")

    assert Storage(location=root, base_url="/static/").stored_name("former.css") == former


def test_file_that_is_gone_is_named_no_more(root: Path) -> None:
    former = collect(root, "former.css", "a {}")
    (root / former).unlink()
    collect(root, "renamed.css", "b {}")

    with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
        Storage(location=root, base_url="/static/").stored_name("former.css")


def test_what_is_compressed_is_compressed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = collect(root, "pages.css", "a { color: red }\n" * 99)
    compressions = list[str]()

    def compress(_self: Compressor, path: str) -> list[str]:
        compressions.append(Path(path).name)
        return []

    monkeypatch.setattr(Compressor, "compress", compress)

    assert compressed_anew(root, "pages.css", compressions) == []
    (root / f"{name}.br").write_bytes((root / f"{name}.br").read_bytes()[:-1])
    assert compressed_anew(root, "pages.css", compressions) == [name]
    (root / f"{name}.gz").unlink()
    assert compressed_anew(root, "pages.css", compressions) == [name]
    (root / "pages.css").write_text("a { color: blue }\n" * 99)
    assert "pages.css" in compressed_anew(root, "pages.css", compressions)


def test_same_content_is_compressed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its own name and under that with the hash."""
    compressed = list[bytes]()

    def compress(content: bytes) -> bytes:
        compressed.append(content)
        return brotli.compress(content)  # type: ignore[no-any-return]  # it has no types

    monkeypatch.setattr(Compressor, "compress_brotli", staticmethod(compress))
    monkeypatch.setattr(storage_module, "ThreadPoolExecutor", partial(ThreadPoolExecutor, 1))
    name = collect(root, "pages.css", "a { color: red }\n" * 99)

    assert len(compressed) == 1
    assert (root / "pages.css.br").read_bytes() == (root / f"{name}.br").read_bytes()
    assert (root / "pages.css.gz").read_bytes() == (root / f"{name}.gz").read_bytes()


def test_script_that_only_debugging_sends_is_not_compressed(root: Path) -> None:
    (root / "vendor.min.js").write_text("")
    name = collect(root, "vendor.js", "// a long remark\n" * 99)

    assert sorted(each.name for each in root.glob("vendor*")) == [
        name,
        "vendor.js",
        "vendor.min.js",
    ]


def test_files_of_pages_that_the_portal_does_not_have_are_not_collected() -> None:
    assert not (settings.STATIC_ROOT / "rest_framework").exists()
    assert (settings.STATIC_ROOT / "admin").exists()


def compressed_anew(root: Path, name: str, compressions: list[str]) -> list[str]:
    """What is compressed when the file is collected once more."""
    compressions.clear()
    storage = Storage(location=root, base_url="/static/")
    list(storage.post_process({name: (storage, name)}))
    return compressions
