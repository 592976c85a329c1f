"""The image of deploy/Containerfile, built by buildah on a Debian of mmdebstrap, and containers.

Containers are chroots: their root file system is mounted read-only, but for DATA_DIR and TMPDIR,
and they run as a user that the image does not know.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.documentation.blocks import block_at
from tests.portal import ROOT, free_port

SUITE = "bookworm"
BASE, IMAGE = "localhost/python-base", "localhost/permatoken"
IMAGE_WITH_EXTRAS = f"{IMAGE}-with-extras"
USER = 12345
STRANGE_GROUP = 54321
_IN_ITS_OWN = """
set -e
mount --make-rprivate /
mount --bind "$ROOTFS" "$ROOTFS"
mount -o remount,bind,ro "$ROOTFS"
mount -t proc proc "$ROOTFS/proc"
mount --rbind /dev "$ROOTFS/dev"
mount -t tmpfs -o mode=1777 tmpfs "$ROOTFS/tmp"
mount --bind "$DATA" "$ROOTFS/data"
cd "$ROOTFS"
exec env -i "$@"
"""


class Builder:
    """buildah, with its images and containers in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._place = (
            *("--root", str(folder / "store"), "--runroot", str(folder / "run")),
            *("--storage-driver", "vfs"),
        )

    def call(self, *words: str) -> str:
        done = subprocess.run(
            ["buildah", *self._place, *words],
            cwd=ROOT,
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout.strip()

    def make_base(self) -> None:
        """A Debian with Python. TEST_BASE_TAR may name one that was made before."""
        tar = Path(os.environ.get("TEST_BASE_TAR") or self.folder / "base.tar")
        if not tar.exists():
            packages = "--include=python3,python3-venv,ca-certificates"
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", packages, SUITE, str(tar)],
                check=True,
            )
        container = self.call("from", "scratch")
        self.call("add", "-q", container, str(tar), "/")
        self.call("commit", "-q", container, BASE)
        self.call("rm", container)

    def build(self, image: str = IMAGE, *more: str) -> None:
        """Build as the page has it, with these words more."""
        wheels = self.folder / "wheels"
        if not wheels.exists():
            _download(wheels)
        block = block_at("docs/operations/containers.md: buildah build")
        program, build, *words = shlex.split(block.filled({"-t permatoken": f"-t {image}"}, {}))
        assert (program, build) == ("buildah", "build")
        self.call(
            *(build, "--pull-never", "--build-arg", f"BASE={BASE}"),
            *("--build-arg", "PIP_OPTIONS=--no-index --find-links /wheels"),
            *("-v", f"{wheels}:/wheels:ro", *more, *words),
        )

    def root_of(self, image: str) -> Path:
        """Where the files of the image are mounted."""
        return Path(self.call("mount", self.call("from", "--pull-never", image)))

    def facts(self, image: str) -> dict[str, Any]:
        """What the image says of how it is run."""
        told: dict[str, Any] = json.loads(self.call("inspect", "--type", "image", image))
        return dict(told["Docker"]["config"])


def _download(folder: Path) -> None:
    """The wheels, with whatever this machine's pip is set to: the build has no network of its own.
    Markers are left out, because the base may have an older Python than this one."""
    for name in ("requirements.txt", "requirements-extras.txt"):
        wanted = folder.with_name(name)
        wanted.write_text(
            re.sub(r" ; .*(?= \\$)", "", (ROOT / name).read_text(), flags=re.MULTILINE)
        )
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--require-hashes", "--only-binary=:all:", "--python-version", "3.11"),
                *("-d", str(folder), "-r", str(wanted)),
            ],
            check=True,
            capture_output=True,
        )


class Container(NamedTuple):
    """A running container: its first process, and the one that waits for it and ends as it does."""

    first: psutil.Process
    waiting: "subprocess.Popen[bytes]"

    def stop(self) -> int:
        """Ask it to end, as supervisors do; returns its exit code."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.first.terminate()
        return self.waiting.wait(timeout=40)


class Image:
    """The image, and how its containers are run."""

    def __init__(self, root: Path, facts: dict[str, Any], data: Path) -> None:
        self.root, self.facts, self.data = root, facts, data
        self.port = free_port()
        self.settings = {"HOST": "127.0.0.1", "PORT": str(self.port)}

    def having(self, **settings: str) -> "Image":
        """The same with these settings more."""
        image = Image(self.root, self.facts, self.data)
        image.settings |= settings
        return image

    def run(self, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command in a container of its own."""
        return subprocess.run(
            self._command(words),
            env=self._places(),
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def manage(self, *words: str, typed: str = "") -> str:
        done = self.run("manage", *words, typed=typed)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def running(self, *words: str) -> Iterator[Container]:
        """A container until the block ends."""
        with (self.data.parent / f"{words[0] if words else 'default'}.log").open("wb") as log:
            process = subprocess.Popen(
                self._command(words), env=self._places(), stdout=log, stderr=log
            )
        try:
            container = Container(_first_process(process), process)
            try:
                yield container
            finally:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    container.stop()
        finally:
            process.kill()
            process.wait()

    def probe(self, role: str) -> int:
        return self.run("probe", role).returncode

    def _command(self, words: tuple[str, ...]) -> list[str]:
        environment = [*self.facts["Env"], *(f"{n}={v}" for n, v in self.settings.items())]
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("bash", "-c", _IN_ITS_OWN, "bash", *environment),
            *("/usr/sbin/chroot", f"--userspec={USER}:{STRANGE_GROUP}", "--groups=", "."),
            *self.facts["Entrypoint"],
            *(words or self.facts["Cmd"]),
        ]

    def _places(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "ROOTFS": str(self.root), "DATA": str(self.data)}


def _first_process(waiting: "subprocess.Popen[bytes]") -> psutil.Process:
    while not (children := psutil.Process(waiting.pid).children()):
        assert waiting.poll() is None
    return children[0]


@contextlib.contextmanager
def built() -> Iterator[tuple[Builder, Image]]:
    """Build the image; what was stored for it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="permatoken-image-") as name:
        folder = Path(name)
        builder = Builder(folder)
        builder.make_base()
        builder.build()
        data = folder / "data"
        data.mkdir()
        data.chmod(0o1777)
        try:
            yield builder, Image(builder.root_of(IMAGE), builder.facts(IMAGE), data)
        finally:
            builder.call("umount", "--all")


def missing() -> str | None:
    """What is missing for it, in words."""
    lacking = [name for name in ("buildah", "mmdebstrap", "unshare") if shutil.which(name) is None]
    if lacking:
        return f"needs {', '.join(lacking)}; get them with: apt-get install buildah mmdebstrap"
    return None if os.geteuid() == 0 else "needs root, who may mount"
