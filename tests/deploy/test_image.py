"""The image is built and run: read-only, as a user that it does not know."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import give_up
from tests.deploy import images
from tests.deploy.images import BASE, IMAGE_WITH_EXTRAS, Builder, Image
from tests.launcher.portal import wait_until

pytestmark = [pytest.mark.long, pytest.mark.images, pytest.mark.timeout(1800)]
LARGEST = 250_000_000
"""Bytes over the base."""
PASSWORD = "a password of the reader's own"
SENT_TO = {
    "SENTRY_DSN": "https://key@sentry.example.com/1",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
}
"""Settings that need packages which the image has only if it is built with them."""


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[Builder, Image]]:
    if reason := images.missing():
        give_up(reason)
    with images.built() as made:
        yield made


@pytest.fixture(scope="module")
def image(built: tuple[Builder, Image]) -> Image:
    """The image, with a database that is prepared."""
    _builder, image = built
    image.manage("migrate", "--noinput")
    image.manage(
        *("create_account", "My Company", "--administrator", "maria@example.com"),
        *("--name", "Maria", "--password-stdin"),
        typed=f"{PASSWORD}\n",
    )
    return image


def ask(
    image: Image, method: str, path: str, token: str, sent: dict[str, Any] | None = None
) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{image.port}{path}",
        method=method,
        data=None if sent is None else json.dumps(sent).encode(),
        headers={"Authorization": f"APIKey {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"null")


def size(root: Path) -> int:
    """Bytes of all files, and of no other file system."""
    done = subprocess.run(["du", "-sxb", str(root)], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


def test_image_is_small_and_has_no_tools_in_it(
    built: tuple[Builder, Image], record_property: Any
) -> None:
    builder, image = built

    more = size(image.root) - size(builder.root_of(BASE))

    record_property("image, MB over its base", round(more / 1e6))
    assert more < LARGEST
    site = image.root / "opt/permatoken/.venv/lib"
    assert [name for name in ("pip", "setuptools") if [*site.glob(f"*/site-packages/{name}")]] == []
    assert not list((image.root / "root").glob(".cache*"))
    assert not (image.root / "tmp" / "build").exists()
    assert not (image.root / "opt/permatoken/tests").exists()
    assert (image.root / "opt/permatoken/collected/staticfiles.json").exists()


def test_image_says_how_it_is_run(image: Image) -> None:
    assert image.facts["User"] == "10001:10001"
    assert image.facts["Entrypoint"] == ["permatoken"]
    assert image.facts["Cmd"] == ["web"]
    assert image.facts["Healthcheck"]["Test"] == ["CMD", "permatoken", "probe"]
    assert not [each for each in image.facts["Env"] if "SECRET" in each or "PEPPER" in each]


def test_seed_is_walked_by_api_in_the_running_container(image: Image) -> None:
    issued = image.manage(
        *("issue_token", "--account", "My Company", "--issuer", "maria@example.com"),
        *("--role", "Administrators", "--name", "First"),
    ).strip()
    with image.running() as web, image.running("worker") as worker, image.running("beat") as beat:
        for role in ("web", "worker", "beat"):
            wait_until(lambda it=role: image.probe(it) == 0)  # type: ignore[misc]
        users = {each.first.uids().real for each in (web, worker, beat)}
        assert users == {images.USER}

        _status, account = ask(image, "GET", "/iam/clients/me", issued)
        tokens = f"/iam/v2/clients/{account['id']}/tokens"
        wanted = {
            "name": "Deploys",
            "exp_date": f"{(datetime.now(UTC) + timedelta(days=30)).date()}T23:59:59Z",
            "client_user": {"role": {"name": "Users"}},
        }
        made, told = ask(image, "POST", tokens, issued, wanted)
        assert made in (200, 201), told
        token = told["token"]
        token_id = token.partition("_")[0]
        assert ask(image, "GET", "/iam/auth/verify", token)[0] == 200
        names = {each["name"] for each in _entries(ask(image, "GET", tokens, issued)[1])}
        assert names == {"First", "Deploys"}
        assert ask(image, "DELETE", f"{tokens}/{token_id}", issued)[0] in (200, 204)

        refused, why = ask(image, "GET", "/iam/auth/verify", token)

        assert (refused, why["code"]) == (401, "deleted")
        assert [web.stop(), worker.stop(), beat.stop()] == [0, 0, 0]
    assert image.probe("web") == 1


def _entries(answer: Any) -> list[dict[str, Any]]:
    return list(answer["results"] if isinstance(answer, dict) else answer)


def test_wrong_setting_ends_the_container_with_a_sentence(image: Image) -> None:
    done = image.having(WEB_THREADS="many").run("web")

    assert done.returncode == 2
    assert done.stderr == (
        "The settings can't be used: WEB_THREADS must be a number from 4 to 256, not 'many'.\n"
    )


@pytest.mark.parametrize("name", SENT_TO)
def test_setting_without_its_packages_says_how_the_image_gets_them(image: Image, name: str) -> None:
    done = image.having(**{name: SENT_TO[name]}).run("web")

    assert done.returncode == 2
    assert f"{name} must be left out" in done.stderr
    assert "build its image with --build-arg EXTRAS=1." in done.stderr


def test_image_with_extras_serves_with_these_settings(built: tuple[Builder, Image]) -> None:
    builder, image = built
    builder.build(IMAGE_WITH_EXTRAS, "--build-arg", "EXTRAS=1")
    root = builder.root_of(IMAGE_WITH_EXTRAS)
    image = Image(root, builder.facts(IMAGE_WITH_EXTRAS), image.data).having(**SENT_TO)

    image.manage("migrate", "--noinput")
    with image.running() as web:
        wait_until(lambda: image.probe("web") == 0)
        assert web.stop() == 0

    assert not [*(root / "opt/permatoken/.venv/lib").glob("*/site-packages/pip")]


def test_nothing_else_can_be_written_to(image: Image) -> None:
    code = "import pathlib; pathlib.Path('/opt/permatoken/config/x').touch()"

    done = image.run("manage", "shell", "-c", code)

    assert done.returncode != 0
    assert "Read-only file system" in done.stderr
