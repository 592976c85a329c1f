"""`permatoken ROLE …`: what containers, units and operators call (`deploy/permatoken`).

Settings are looked at before anything starts: one that cannot be used is told in a sentence, and
ends the process with code 2. Then the process becomes the server, so that it gets the signals.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import django
from django.conf import settings

from config.command_line import probe
from config.env.start import WRONG_SETTING, load_settings
from config.launcher import servers
from config.launcher.preflight import (
    DiskFull,
    NotReady,
    WrongSetting,
    check_port,
    make_data_dir,
)

ROOT = Path(__file__).resolve().parents[2]
USAGE = """Usage: permatoken ROLE [OPTION …]

  web         serve pages, API and verification; HOST, PORT, WEB_WORKERS and WEB_THREADS say how
  worker      do background work; options are those of Celery's worker (--hostname, --concurrency)
  beat        send background work when it is due; options are those of Celery's beat (--schedule)
  migrate     bring the database up to this release, and collect static files if they are not here
  manage …    run a command of operators: permatoken manage doctor
  probe ROLE  end with 0 if the web, worker or beat of this machine is well; without ROLE, that of
              this container
"""
Options = Sequence[str]


def main(words: Sequence[str]) -> int:
    """The exit code, if the process does not become another program."""
    signal.signal(signal.SIGTERM, _end)  # the first process of a container has no default for it
    role, *options = words or ("",)
    if role in ("help", "--help", "-h"):
        sys.stdout.write(USAGE)
        return 0
    if role not in _ROLES:
        sys.stderr.write(USAGE)
        return WRONG_SETTING
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("PGAPPNAME", f"permatoken-{role}")  # PostgreSQL says so of connections
    try:
        return _ROLES[role](options)
    except NotReady as reason:
        sys.stderr.write(f"{reason}\n")
        return reason.exit_code


def _web(options: Options) -> int:
    _look_at_settings()
    check_port(settings.HOST, settings.PORT, choose="PORT={}")
    command = servers.web(
        host=settings.HOST,
        port=settings.PORT,
        workers=settings.WEB_WORKERS,
        threads=settings.WEB_THREADS,
    )
    return _become([*command[:-1], *options, command[-1]])


def _worker(options: Options) -> int:
    _refuse_folder_of_other_code()
    _look_at_settings()
    if os.geteuid() == 0:
        os.environ.setdefault("PYTHONWARNINGS", servers.NO_WARNING_OF_ROOT)
    return _become([*servers.worker(), *options])


def _beat(options: Options) -> int:
    _refuse_folder_of_other_code()
    _look_at_settings()
    return _become([*servers.beat(), *options])


def _migrate(options: Options) -> int:
    load_settings()
    make_data_dir(settings.DATA_DIR)
    if settings.STATIC_ROOT.is_relative_to(settings.DATA_DIR):
        collect = _command("collectstatic", "--noinput", "--verbosity", "0")
        if code := subprocess.run(collect, check=False).returncode:  # noqa: S603  # it is ours
            return code
    return _become(_command("migrate", "--noinput", *options))


def _manage(options: Options) -> int:
    return _become(_command(*options))


def _refuse_folder_of_other_code() -> None:
    """Celery imports from the folder that it is started in before any other. Raises
    `WrongSetting` if it would find there, in another release perhaps, what is ours."""
    here = Path.cwd()
    own = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    found = [name for name in own if (here / name).is_dir() or (here / f"{name}.py").exists()]
    if found and not here.samefile(ROOT):
        raise WrongSetting(
            f"{here} has code of its own by the name {found[0]}, which would be run instead of the "
            "portal's. Start this in another folder."
        )


def _look_at_settings() -> None:
    """End the process if it could not serve with them."""
    load_settings()
    with contextlib.suppress(DiskFull):  # tokens are verified all the same
        make_data_dir(settings.DATA_DIR)
    django.setup()
    from apitokens.pepper_checks import PepperGuard  # needs the apps
    from config.database.wal import existing_only

    with existing_only():
        refusal = PepperGuard().refusal_at_start()
    if refusal:
        sys.stderr.write(f"This process does not serve. {refusal}\n")
        sys.exit(WRONG_SETTING)


def _command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *words]


def _become(command: list[str]) -> NoReturn:
    """Go on as this program, under the same number: supervisors signal it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606  # commands are ours, none comes from a stranger


def _end(_signal: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


_ROLES: dict[str, Callable[[Options], int]] = {
    "web": _web,
    "worker": _worker,
    "beat": _beat,
    "migrate": _migrate,
    "manage": _manage,
    "probe": probe.main,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
