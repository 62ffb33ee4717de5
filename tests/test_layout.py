"""The shape of the repository: names, sizes, packages, and what must not be written anywhere."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import BEGUN_FIRST

ROOT = Path(__file__).parents[1]
SERVER = ("service", "providers", "scheduler")
LONGEST = 400
"""Lines of a module; from 300 on, look for the second noun."""
FORBIDDEN_NAMES = ("utils", "helpers", "helper", "common", "base", "manager", "misc")
CORE_MAY_IMPORT = {
    "abc",
    "base64",
    "collections",
    "contextlib",
    "cryptography",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "orjson",
    "re",
    "service",
    "string",
    "typing",
    "unicodedata",
    "urllib",
}
REGISTRIES = re.compile(  # written in pieces, or this file would be the first to be found
    "|".join([r"pypi\.or" + "g", r"pythonhosted\.or" + "g", r"npmjs\.(or" + "g|com)", r"deb\.debian\.or" + "g"]), re.I
)


def tracked() -> list[Path]:
    """The files that git knows, and those that it would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    )
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


FILES = tracked()
MODULES = [file for file in FILES if file.suffix == ".py"]


def project() -> dict[str, object]:
    """pyproject.toml."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found


def packages_on_disk(root: Path, names: tuple[str, ...]) -> list[str]:
    """Every folder with modules, dotted."""
    found = {
        ".".join(file.parent.relative_to(root).parts)
        for file in MODULES
        if file.is_relative_to(root) and file.relative_to(root).parts[0] in names
    }
    return sorted(found)


@pytest.mark.parametrize("name", SERVER)
def test_nobody_else_owns_our_packages(name: str) -> None:
    owners = importlib.metadata.packages_distributions().get(name, [])
    assert set(owners) <= {"keywright-server"}
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert Path(str(spec.origin)).is_relative_to(ROOT)


def test_the_server_is_not_to_be_uploaded() -> None:
    classifiers = importlib.metadata.metadata("keywright-server").get_all("Classifier") or []
    assert "Private :: Do Not Upload" in classifiers


@pytest.mark.parametrize(("folder", "names"), [(".", SERVER), ("client", ("keywright",))])
def test_wheels_hold_every_package(folder: str, names: tuple[str, ...]) -> None:
    settings = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    assert sorted(listed) == packages_on_disk((ROOT / folder).resolve(), names)


@pytest.mark.parametrize("top", ["tests", *SERVER])
def test_every_folder_is_a_package(top: str) -> None:
    folders = {file.parent for file in MODULES if file.is_relative_to(ROOT / top)}
    folders |= {above for folder in folders for above in folder.parents if above.is_relative_to(ROOT / top)}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def test_modules_are_short() -> None:
    # A migration is a list of statements that nobody edits once it is out: there is no second noun in it.
    lists = ROOT / "service" / "ledger" / "migrations" / "versions"
    ours = [f for f in MODULES if not f.is_relative_to(ROOT / "tests") and not f.is_relative_to(lists)]
    lengths = {file: file.read_text(encoding="utf-8").count("\n") for file in ours}
    long = {str(f.relative_to(ROOT)): n for f, n in lengths.items() if n > LONGEST}
    assert long == {}


def test_modules_are_named_for_what_they_are_about() -> None:
    # Django looks for a database's backend in a module of this name.
    demanded = ROOT / "client" / "keywright" / "django"
    ours = [f for f in MODULES if not (f.is_relative_to(demanded) and f.stem == "base")]
    stems = {part for file in ours for part in (*file.relative_to(ROOT).parts[:-1], file.stem)}
    assert stems & set(FORBIDDEN_NAMES) == set()


def test_the_core_imports_only_what_is_pure() -> None:
    found = set()
    for file in (ROOT / "service" / "core").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    assert found - CORE_MAY_IMPORT == set()


def test_the_files_that_are_begun_first_exist() -> None:
    assert [file for file in BEGUN_FIRST if not (ROOT / file).is_file()] == []


def test_no_file_names_a_package_registry() -> None:
    found = []
    for file in FILES:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT)}: {match[0]}" for match in REGISTRIES.finditer(text)]
    assert found == []


def test_caches_and_data_stay_out_of_git() -> None:
    for name in (".import_linter_cache/x", ".venv-helm/x", "keywright-data/master.key", ".mypy_cache/x"):
        done = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False, timeout=30)
        assert done.returncode == 0, f"{name} is not ignored"


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert project()["project"]["license"] == "Apache-2.0"  # type: ignore[index]
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
