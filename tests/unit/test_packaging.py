"""What makes it a package: entry points, pinned versions, lazy names, and the commands that set it up."""

from __future__ import annotations

import ast
import configparser
import email
import json
import os
import re
import shutil
import subprocess
import sys
from email.message import Message
from fnmatch import fnmatch
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import altegio_provider

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("airflow", "pandas", "pyarrow", "pydantic", "requests", "fastapi", "sqlalchemy", "orjson")


def python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg")
    return parser


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_importing_the_package_loads_nothing_heavy():
    loaded = json.loads(
        python("import json, sys, altegio_provider; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))")
    )
    assert not set(HEAVY) & set(loaded)


def test_every_public_name_is_there_and_found_by_its_own_module():
    for name in altegio_provider.__all__:
        value = getattr(altegio_provider, name)
        assert name == "__version__" or value.__name__ == name
    assert dir(altegio_provider) == sorted(altegio_provider.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="AltegioCleint"):
        altegio_provider.AltegioCleint  # noqa: B018


def test_every_entry_point_leads_to_something(setup_cfg):
    groups = setup_cfg["options.entry_points"]
    assert {"apache_airflow_provider", "airflow.plugins", "pytest11"} <= set(groups)
    for group in groups.values():
        for line in lines_of(group):
            module, _, attribute = line.partition("=")[2].strip().partition(":")
            loaded = import_module(module)
            assert not attribute or callable(getattr(loaded, attribute))


def test_every_file_of_the_package_is_packaged(setup_cfg):
    """An editable install has them all, so only a user would notice."""
    patterns = lines_of(setup_cfg["options.package_data"]["*"])
    package = REPOSITORY / "altegio_provider"
    for path in package.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert any(fnmatch(path.name, pattern) for pattern in patterns), path
    for folder in {path.parent for path in package.rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), f"{folder} is not found as a package"


def requirements(setup_cfg: configparser.ConfigParser, extra: str) -> list[Requirement]:
    """The package's own requirements with one of its extras, which may name other extras of the package."""
    found = [Requirement(line) for line in lines_of(setup_cfg["options.extras_require"][extra])]
    own = setup_cfg["metadata"]["name"]
    inner = [r for used in found if used.name == own for e in used.extras for r in requirements(setup_cfg, e)]
    return [r for r in found if r.name != own] + inner


def pins(file: Path) -> dict[str, str]:
    """The versions that a constraints file pins for the Python that runs."""
    found = [Requirement(line) for line in lines_of(file.read_text())]
    return {canonicalize_name(r.name): str(r.specifier) for r in found if not r.marker or r.marker.evaluate()}


def test_constraints_pin_all_that_the_demo_and_the_tests_install(setup_cfg):
    """``make test-matrix`` says which file an environment was installed with."""
    pinned = pins(REPOSITORY / os.environ.get("CONSTRAINTS", "constraints.txt"))
    waiting = [Requirement(line) for line in lines_of(setup_cfg["options"]["install_requires"])]
    waiting += requirements(setup_cfg, "dev")
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        assert name in pinned, f"{name} is installed but not pinned: make lock"
        installed = metadata.distribution(name)
        assert pinned[name] == f"=={installed.version}", f"{name} {installed.version} is installed"
        for line in installed.requires or []:
            needed = Requirement(line)
            # The empty name stands for "without extras".
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in {"", *wanted.extras}):
                waiting.append(needed)
    assert len(seen) > 100


def test_constraints_pin_what_every_extra_asks_for(setup_cfg):
    pinned = pins(REPOSITORY / "constraints.txt")
    for extra in setup_cfg["options.extras_require"]:
        wanted = {canonicalize_name(r.name) for r in requirements(setup_cfg, extra)}
        assert wanted <= set(pinned), f"extra {extra}: make lock"
    assert {"setuptools", "uv"} <= set(pinned)


def test_the_lowest_constraints_are_the_lower_bounds(setup_cfg):
    """A bound that is raised without ``make lock`` would be proven by no run."""
    pinned = pins(REPOSITORY / "constraints-lowest.txt")
    assert {"setuptools", "uv"} <= set(pinned)
    wanted = [Requirement(line) for line in lines_of(setup_cfg["options"]["install_requires"])]
    wanted += requirements(setup_cfg, "dev")
    for requirement in wanted:
        bounds = [bound.version for bound in requirement.specifier if bound.operator == ">="]
        assert len(bounds) == 1, f"{requirement}: without a lower bound it promises every old version"
        lowest = Version(pinned[canonicalize_name(requirement.name)].removeprefix("=="))
        assert lowest in requirement.specifier, f"{requirement}: make lock"
        # A release of exactly that name need not be there (`>=3.1` is met by 3.1.0 first), but one of its line is.
        bound = Version(bounds[0])
        assert lowest.release[: len(bound.release)] == bound.release, f"{requirement}, but {lowest} is the lowest"


@pytest.mark.parametrize(
    "name", ["setup.cfg", "pyproject.toml", "constraints.txt", "Makefile", "Dockerfile", ".ci/run", "scripts"]
)
def test_no_file_that_installs_names_a_host(name):
    path = REPOSITORY / name
    for file in sorted(path.glob("*.sh")) if path.is_dir() else [path]:
        if file.is_file():
            text = re.sub(r"(?m)^project_urls =\n(?: +.*\n)+", "", file.read_text()).replace("http://127.0.0.1", "")
            assert "://" not in text.replace("redis://...", ""), (
                f"{file}: where packages come from is the user's choice"
            )


def test_every_module_the_package_imports_is_declared(setup_cfg):
    """What another package happens to bring may go with its next release."""
    declared = [Requirement(line) for line in lines_of(setup_cfg["options"]["install_requires"])]
    declared += [r for extra in setup_cfg["options.extras_require"] for r in requirements(setup_cfg, extra)]
    names = {canonicalize_name(requirement.name) for requirement in declared} | {"airflow-provider-altegio"}
    owners = metadata.packages_distributions()
    for file in (REPOSITORY / "altegio_provider").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for top in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"airflow"}:
                assert {canonicalize_name(owner) for owner in owners.get(top, [])} & names, f"{file}: {top}"


def test_make_help_lists_every_target():
    makefile = (REPOSITORY / "Makefile").read_text()
    assert len(makefile.splitlines()) <= 60
    # A make that runs these tests tells its children so, and they would print the folder's name too.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    help_ = subprocess.run(["make", "help"], cwd=REPOSITORY, env=env, capture_output=True, text=True, check=True)
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert {line.split()[1] for line in help_.stdout.splitlines()} == set(phony[1].split())
    assert {"help", "setup", "demo", "test", "test-matrix", "check", "bench", "sandbox"} <= set(phony[1].split())


@pytest.fixture(scope="module")
def built_metadata(tmp_path_factory) -> Message:
    """The metadata that a package index reads, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("build")
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / "altegio_provider").mkdir()
    (folder / "metadata").mkdir()
    shutil.copy(REPOSITORY / "altegio_provider" / "__init__.py", folder / "altegio_provider")
    build = "from setuptools.build_meta import prepare_metadata_for_build_wheel as p; p('metadata')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("metadata/*/METADATA")
    return email.message_from_string(path.read_text())


def test_the_links_of_the_long_description_are_absolute_and_lead_to_files(built_metadata):
    readme = (REPOSITORY / "README.md").read_text()
    source = dict(line.split(", ") for line in built_metadata.get_all("Project-URL"))["Source"]
    base = f"{source}/blob/v{altegio_provider.__version__}/"
    links = re.findall(r"\]\(([^)\s]+)\)", built_metadata.get_payload())
    assert len(links) == len(re.findall(r"\]\(([^)\s]+)\)", readme)) > 20
    assert [link for link in links if not link.startswith("https://")] == []
    paths = [link.removeprefix(base).partition("#")[0] for link in links if link.startswith(base)]
    assert len(paths) > 15
    assert [path for path in paths if not (REPOSITORY / path).is_file()] == []


def test_the_package_index_shows_where_the_source_the_changes_and_the_issues_are(built_metadata):
    urls = dict(line.split(", ") for line in built_metadata.get_all("Project-URL"))
    assert set(urls) == {"Changelog", "Documentation", "Issues", "Source"}
    assert all(url.startswith(urls["Source"]) for url in urls.values())
