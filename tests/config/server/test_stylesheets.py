"""Style sheets are served in one file for all pages, without what only their authors read."""

import re
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from config.server.static_files import Storage
from config.server.stylesheets import slim

CSS = sorted(Path("static/css").rglob("*.css"))
YOUNGER = re.compile(
    r"light-dark\(|color-mix\(|@media[^{]*[<>]|@scope|(?:^|[;{}])\s*&", re.MULTILINE
)


def test_style_sheet_has_its_imports_in_it_and_no_comments_or_needless_space() -> None:
    files = {"a.css": "/* A */\na {\n    color: red;\n}\n", "b.css": "b {\n}\n"}
    whole = slim('/* All */\n@import url("a.css");\n@import url("b.css");\n', files.__getitem__)
    assert whole == "a{color:red}b{}\n"


def test_spaces_that_mean_something_stay() -> None:
    rules = "a :is(b, i):hover {\n    --dark: ;\n    margin: calc(1px + 2px) 0;\n}\n"
    assert slim(rules, str) == "a :is(b, i):hover{--dark: ;margin:calc(1px + 2px) 0}\n"


def test_change_of_an_imported_sheet_changes_the_whole_one(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path / "static"
    source = FileSystemStorage(tmp_path / "source")
    storage = Storage(location=settings.STATIC_ROOT, base_url="/static/")
    source.save("css/portal.css", ContentFile('@import url("base.css");\n'))
    names = []
    for colour in ("red", "blue"):
        source.delete("css/base.css")
        source.save("css/base.css", ContentFile(f"a {{ color: {colour} }}"))
        paths = {name: (source, name) for name in ("css/portal.css", "css/base.css")}
        list(storage.post_process(paths))
        names.append(storage.stored_name("css/portal.css"))
        assert colour in (settings.STATIC_ROOT / names[-1]).read_text()
    assert len(set(names)) == 2


def test_style_sheets_need_no_browser_younger_than_2022() -> None:
    """What is younger leaves older browsers without colours, or with the layout of a wide screen.
    The README says which browsers are the oldest."""
    rules = {path.name: slim(path.read_text(), lambda _name: "") for path in CSS}
    assert {name: found for name, text in rules.items() if (found := YOUNGER.findall(text))} == {}
