from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.warehouses import KINDS, WarehouseTarget, place


@pytest.fixture(params=KINDS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WarehouseTarget]:
    """An empty warehouse of each kind."""
    pytest.importorskip("duckdb")
    with place(request.param, tmp_path) as made:
        yield made
