"""``docs/operations.md`` against the code: every operation is in it, and all that it names is there."""

from __future__ import annotations

import re

import pytest

from altegio_provider.api import AltegioClient
from altegio_provider.api.routes import COMPANIES, LOCATIONS
from altegio_provider.hooks.altegio import AltegioHook


@pytest.fixture(scope="module")
def rows(repository):
    """The cells of each row of the table of operations."""
    page = (repository / "docs" / "operations.md").read_text()
    table = page[page.index("| client and hook method") : page.index("\n\nIf a family")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def names_in(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_every_operation_of_either_family_has_one_row(rows) -> None:
    assert sorted(names_in(row[0])[0] for row in rows) == sorted(COMPANIES.routes.keys() | LOCATIONS.routes.keys())


def test_every_route_is_the_one_that_the_client_uses(rows) -> None:
    for operation, companies, locations, *_ in rows:
        for cell, family in ((companies, COMPANIES), (locations, LOCATIONS)):
            route = family.routes.get(*names_in(operation))
            assert cell == ("-" if route is None else f"`{route.method} {route.path}`")


def test_the_client_and_the_hook_have_every_operation(rows) -> None:
    for operation, *_ in rows:
        for owner in (AltegioClient, AltegioHook):
            assert callable(getattr(owner, *names_in(operation)))


def test_every_operator_is_there(rows, repository) -> None:
    package = repository / "altegio_provider"
    sources = "\n".join(
        path.read_text()
        for kind in ["operators", "sensors", "transfers", "triggers"]
        for path in (package / kind).glob("*.py")
    )
    for row in rows:
        assert names_in(row[3])
        for name in names_in(row[3]):
            assert f"class {name}(" in sources


def test_every_test_is_there(rows, repository) -> None:
    for row in rows:
        assert names_in(row[4])
        for path in names_in(row[4]):
            assert (repository / path).is_file()


def test_every_module_of_the_page_is_there(repository) -> None:
    page = (repository / "docs" / "operations.md").read_text()
    for name in re.findall(r"`((?:api|imports)/\w*(?:\.py)?)`", page):
        assert (repository / "altegio_provider" / name).exists()
