"""What `make check` holds of folders, names and imports, shown by breaking it in a copy."""

import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: list[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]
APPS: list[str] = PROJECT["tool"]["importlinter"]["root_packages"]
APP_LAYERS = {
    contract["containers"][0]: contract for contract in CONTRACTS if contract.get("exhaustive")
}
CIRCLES = next(each["name"] for each in CONTRACTS if each["type"] == "acyclic_siblings")
FOLDERS, IMPORTS = "Folders of the apps", "Import contracts"
PLAIN = "import {}\n"
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the checks read."""
    for app in APPS:
        for file in (ROOT / app).rglob("*.py"):
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def check(tree: Path, step: str) -> tuple[int, str]:
    """The exit code and the output of one step of `make check` in the copy."""
    done = subprocess.run(
        [sys.executable, "scripts/check.py", step], cwd=tree, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def broken(tree: Path) -> list[str]:
    """The import contracts that do not hold."""
    _code, output = check(tree, IMPORTS)
    lines = (line.strip() for line in output.splitlines())
    return [line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")]


def plant(tree: Path, module: str, code: str) -> None:
    """Put code at the end of a module, which is made if it is not there."""
    path = tree.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    with file.open("a") as end:
        end.write(f"\n{code}")


def first_of(layer: str) -> str:
    return layer.split("|")[0].strip()


@pytest.mark.parametrize("step", [FOLDERS, IMPORTS])
def test_code_as_it_is_passes(tree: Path, step: str) -> None:
    code, output = check(tree, step)
    assert (code, output.startswith(f"✓ {step}")) == (0, True)


def test_step_that_is_none_is_an_error(tree: Path) -> None:
    assert check(tree, "Folders are large")[0] == 2


# --- Folders ---


@pytest.mark.parametrize(("modules", "code"), [(12, 0), (13, 1)])
def test_a_folder_holds_twelve_modules_and_not_thirteen(
    tree: Path, modules: int, code: int
) -> None:
    (tree / "accounts" / "planted").mkdir()
    for name in ("__init__", *(f"module_{number}" for number in range(modules))):
        (tree / "accounts" / "planted" / f"{name}.py").touch()

    found, output = check(tree, FOLDERS)

    assert found == code
    assert ("accounts/planted holds 13 modules, and may hold 12" in output) is bool(code)


def test_migrations_are_not_counted(tree: Path) -> None:
    for number in range(20):
        (tree / "accounts" / "migrations" / f"9{number:03}_planted.py").touch()
    assert check(tree, FOLDERS)[0] == 0


@pytest.mark.parametrize(("folder", "code"), [("one/two/three", 0), ("one/two/three/four", 1)])
def test_a_folder_lies_three_deep_below_its_app_and_not_four(
    tree: Path, folder: str, code: int
) -> None:
    planted = tree / "accounts" / folder
    planted.mkdir(parents=True)
    (planted / "views.py").touch()

    found, output = check(tree, FOLDERS)

    assert found == code
    assert (f"accounts/{folder} lies more than 3 folders below" in output) is bool(code)


def test_name_that_says_nothing_is_refused(tree: Path) -> None:
    names = ("utils", "helpers", "misc", "common", "base")
    shapes = ("sso/saml/{}.py", "notifications/{}/views.py", "sso/{}/__init__.py")
    for name in names:
        for shape in shapes:
            planted = tree / shape.format(name)
            planted.parent.mkdir(exist_ok=True)
            planted.touch()

    found, output = check(tree, FOLDERS)

    assert (found, output.count("has a name that says nothing")) == (1, len(names) * len(shapes))


def test_name_that_only_begins_like_one_is_not_refused(tree: Path) -> None:
    (tree / "sso" / "saml" / "base64_text.py").touch()
    assert check(tree, FOLDERS)[0] == 0


# --- Imports ---


def test_every_app_has_layers() -> None:
    assert sorted(APP_LAYERS) == sorted(APPS)


@pytest.mark.parametrize("code", [PLAIN, FOR_TYPES], ids=["plain", "for-types"])
def test_lowest_layer_of_an_app_does_not_import_its_highest(tree: Path, code: str) -> None:
    for app, contract in APP_LAYERS.items():
        lowest, highest = first_of(contract["layers"][-1]), first_of(contract["layers"][0])
        plant(tree, f"{app}.{lowest}", code.format(f"{app}.{highest}"))
    assert {contract["name"] for contract in APP_LAYERS.values()} <= set(broken(tree))


def test_module_outside_of_every_layer_is_refused(tree: Path) -> None:
    for app in APPS:
        plant(tree, f"{app}.planted", "")
    assert sorted(broken(tree)) == sorted(each["name"] for each in APP_LAYERS.values())


def test_app_does_not_import_a_higher_one(tree: Path) -> None:
    pairs = list(pairwise(reversed(APPS)))
    for lower, higher in pairs:
        plant(tree, f"{lower}.apps", PLAIN.format(f"{higher}.apps"))
    _code, output = check(tree, IMPORTS)
    assert "Knowing goes one way BROKEN" in output
    for lower, higher in pairs:
        assert f"{lower}.apps -> {higher}.apps" in output


def test_services_do_not_import_views(tree: Path) -> None:
    feature = next(
        file.parent for file in tree.glob("*/*/services.py") if file.with_name("views.py").exists()
    )
    package = ".".join(feature.relative_to(tree).parts)
    plant(tree, f"{package}.services", PLAIN.format(f"{package}.views"))
    assert "Inside a feature, services do not know their entry points" in broken(tree)


@pytest.mark.parametrize("code", [PLAIN, FOR_TYPES], ids=["plain", "for-types"])
def test_two_modules_do_not_import_each_other(tree: Path, code: str) -> None:
    folders = ("config.env", "accounts.models", "notifications.email")
    for folder in folders:
        plant(tree, f"{folder}.left", PLAIN.format(f"{folder}.right"))
        plant(tree, f"{folder}.right", code.format(f"{folder}.left"))
    found, output = check(tree, IMPORTS)
    assert (found, f"{CIRCLES} BROKEN" in output) == (1, True)
    assert output.count("- .right -> .left (1 import)") == len(folders)


def test_token_keys_stay_pure(tree: Path) -> None:
    plant(tree, "apitokens.keys", PLAIN.format("django.conf"))
    assert broken(tree) == ["The delicate part is pure"]
