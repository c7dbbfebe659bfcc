"""The rings: imports point inwards only, and each ring works where the outer ones are not installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "altegio_provider"
ROOT = Path(__file__).resolve().parents[2] / PACKAGE

# What each inner part may import of this package, and what of the outside world it must not even need.
MAY_IMPORT = {
    "common": {"common"},
    "api": {"api", "common"},
    "tables": {"tables", "common"},
    "imports": {"imports", "api", "tables", "common"},
    "triggers.conditions": {"api", "common"},
    "triggers.changes": {"api", "common"},
    "triggers.polling": {"api"},
    "transfers.history": {"api", "tables", "common"},
    "sandbox": {"sandbox"},
}
DOES_WITHOUT = {
    "common": {"airflow", "pandas", "pyarrow", "requests", "pydantic"},
    "api": {"airflow", "pandas", "pyarrow", "fastapi"},
    "tables": {"airflow", "requests", "fastapi"},
    "imports": {"airflow", "fastapi"},
    "triggers.conditions": {"airflow", "pandas", "pyarrow", "pydantic", "fastapi"},
    "triggers.changes": {"airflow", "pandas", "pyarrow", "pydantic", "fastapi"},
    "triggers.polling": {"airflow", "pandas", "pyarrow", "pydantic", "fastapi"},
    "transfers.history": {"airflow", "pandas", "pyarrow", "pydantic", "fastapi"},
    "sandbox": {"airflow", "pandas", "pyarrow", "requests"},
}
PARTS = list(MAY_IMPORT)


def modules_of(part: str) -> list[Path]:
    path = ROOT.joinpath(*part.split("."))
    return sorted(path.rglob("*.py")) or [path.with_suffix(".py")]


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> Iterator[str]:
    """The full names of all that a file imports, wherever in the file: inside functions and for types too."""
    here = dotted(path).split(".")
    package = here if path.name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # `from altegio_provider import api` names the part only in the alias.
            yield from ([f"{source}.{alias.name}" for alias in node.names] if source == PACKAGE else [source])


def test_the_scan_sees_every_form_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path / PACKAGE)
    path = tmp_path / PACKAGE / "api" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import a.b\nfrom altegio_provider import tables\nfrom ..imports import c\n"
        "from . import d\ndef f():\n    from altegio_provider.hooks.altegio import e\n"
    )
    assert list(imports_of(path)) == [
        "a.b",
        "altegio_provider.tables",
        "altegio_provider.imports",
        "altegio_provider.api",
        "altegio_provider.hooks.altegio",
    ]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_there(part):
    assert all(path.is_file() for path in modules_of(part))


def test_the_root_holds_only_what_every_part_shares():
    names = {path.name for path in ROOT.glob("*.py")}
    assert names == {"__init__.py", "assets.py", "compat.py", "get_provider_info.py", "plugin.py"}


def test_no_modules_import_each_other():
    """Imports for types and imports inside functions count too."""
    modules = {dotted(path): path for path in ROOT.rglob("*.py")}
    edges = {name: imported_modules(path, modules) - {name} for name, path in modules.items()}
    while free := [name for name, targets in edges.items() if not targets]:
        for name in free:
            del edges[name]
        for targets in edges.values():
            targets.difference_update(free)
    # What is left imports modules of a circle, or lies in one.
    assert sorted(edges) == []


def imported_modules(path: Path, modules: dict[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in full}
    return found & modules.keys()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_only_what_lies_inside_it(part):
    for path in modules_of(part):
        for name in imports_of(path):
            top, _, rest = name.partition(".")
            assert top not in DOES_WITHOUT[part], f"{path} imports {name}"
            if top == PACKAGE and rest:
                assert rest.split(".")[0] in MAY_IMPORT[part], f"{path} imports {name}"


def test_nothing_outside_the_sandbox_imports_it():
    sandbox = f"{PACKAGE}.sandbox"
    for path in ROOT.rglob("*.py"):
        if "sandbox" not in path.relative_to(ROOT).parts:
            assert not [name for name in imports_of(path) if name.startswith(sandbox)], path


@pytest.mark.parametrize("part", PARTS)
def test_a_part_works_without_what_lies_outside_it(part):
    names = [dotted(path) for path in modules_of(part) if path.name != "__main__.py"]
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(DOES_WITHOUT[part])!r}))\n"
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_only_compat_looks_at_the_version_of_airflow():
    for path in ROOT.rglob("*.py"):
        if path.name == "compat.py":
            continue
        text = path.read_text()
        for sign in ("AIRFLOW_V_", "airflow.version", "version_compat", "airflow.__version__"):
            assert sign not in text, f"{path} looks at Airflow's version ({sign}); let compat.py do it"


def test_no_two_classes_share_a_name():
    """The sandbox is apart: it may not know the client."""
    seen: dict[str, Path] = {}
    for path in sorted(ROOT.rglob("*.py")):
        if "sandbox" in path.relative_to(ROOT).parts:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert node.name not in seen, f"{node.name} is in {seen[node.name]} and in {path}"
                seen[node.name] = path
