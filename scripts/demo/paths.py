"""The paths of the demo's files."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / ".demo"
DATA = DEMO / "data"
INBOX = DATA / "inbox"
WAREHOUSE = DEMO / "warehouse.duckdb"
