"""Files with people in them: who may read them, which are read at all, and that what was checked is what is booked."""

from __future__ import annotations

import csv
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.compat import AirflowFailException, Connection
from altegio_provider.hooks.connection import ConnectionSettings
from altegio_provider.imports.files import inbox
from altegio_provider.imports.files.open_source import open_source
from altegio_provider.imports.model import ImportFileError
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.tables.dataset.folder import Folder
from altegio_provider.tables.dataset.saved_answers import SavedAnswers
from altegio_provider.transfers.altegio_to_parquet import (
    AltegioActivitiesToParquetOperator,
    AltegioAppointmentsToParquetOperator,
)

LOCATION = 79
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
HEADINGS = ("event_id", "name", "surname", "phone", "email")
DAY = {"date_from": START.strftime("%Y-%m-%d"), "date_to": (START + timedelta(days=1)).strftime("%Y-%m-%d")}


@pytest.fixture(autouse=True)
def location(altegio_sandbox, monkeypatch):
    """A location with one event, and a process whose files anybody may read and write."""
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}])
    event = {"id": 501, "date": START.isoformat(), "staff_id": 1, "capacity": 30}
    altegio_sandbox.add_events(LOCATION, [event])
    connection = altegio_sandbox.airflow_connection(timezone="Europe/Riga", location_id=LOCATION)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    before = os.umask(0)
    yield
    os.umask(before)


def person(number: int = 1, **fields: Any) -> dict[str, Any]:
    given = {"event_id": 501, "name": f"Client{number}", "surname": "Ozols", "phone": f"+3712000{number:04}"}
    return {**given, "email": f"client{number}@example.com", **fields}


def table(path: Path, *rows: dict[str, Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADINGS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(folder: Path, source: Any, **options: Any) -> dict[str, Any]:
    given = {
        "source": str(source) if isinstance(source, Path) else source,
        "report_path": str(folder / "report"),
        "ledger_url": f"sqlite:///{folder / 'ledger.db'}",
        "settle_seconds": 0.05,
        **options,
    }
    summary: dict[str, Any] = AltegioCreateAppointmentsOperator(task_id="book", **given).execute({})
    return summary


def modes(folder: Path, pattern: str = "*") -> set[str]:
    return {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob(pattern) if path.is_file()}


@pytest.mark.parametrize(
    ("file_mode", "expected"), [(None, "0o600"), (0o640, "0o640"), ("0644", "0o644"), ("", "0o600")]
)
def test_reports_are_the_owners_unless_somebody_asks_for_more(tmp_path, file_mode, expected) -> None:
    summary = run(tmp_path, [person(1), person(2, phone="none")], max_rejected=1, file_mode=file_mode)
    assert (summary["created"], summary["rejected"]) == (1, 1)
    assert len(list((tmp_path / "report").iterdir())) == 3
    assert modes(tmp_path / "report") == {expected}


@pytest.mark.parametrize("file_mode", [640, "rw-r--r--", "0877", 0o440, True, -1, "1777"])
def test_permissions_that_cannot_be_right_are_named(tmp_path, file_mode) -> None:
    with pytest.raises(AirflowFailException, match="file_mode must"):
        run(tmp_path, [person()], file_mode=file_mode)
    with pytest.raises(AltegioValidationError, match="file_mode must"):
        extract(tmp_path, file_mode=file_mode)


def extract(folder: Path, kind: Any = AltegioAppointmentsToParquetOperator, **options: Any) -> None:
    given = {"output_path": str(folder / "data"), **DAY, **options}
    kind(task_id="extract", **given).execute({})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include_personal_data": True}, {"0o600"}),
        ({"include_personal_data": True, "file_mode": "0640"}, {"0o640"}),
        ({}, {"0o666"}),
        ({"file_mode": 0o644}, {"0o644"}),
    ],
)
def test_parquet_with_people_in_it_is_the_owners_unless_somebody_asks_for_more(tmp_path, options, expected) -> None:
    run(tmp_path, [person()])
    extract(tmp_path, **options)
    assert modes(tmp_path / "data", "*.parquet") == expected
    one_file = {**options, "output_path": str(tmp_path / "one" / "file.parquet")}
    extract(tmp_path, **one_file)
    assert modes(tmp_path / "one", "*.parquet") == expected


def test_what_is_left_of_a_private_file_is_private(tmp_path) -> None:
    run(tmp_path, [person()])
    extract(tmp_path, include_personal_data=True)
    extract(tmp_path, date_from=START.strftime("%Y-%m-%d 18:00"))
    private, other = sorted(path for path in (tmp_path / "data").rglob("*.parquet"))
    assert oct(stat.S_IMODE(private.stat().st_mode)) == "0o600"
    assert oct(stat.S_IMODE(other.stat().st_mode)) == "0o666"


def test_activities_are_as_any_new_file(tmp_path) -> None:
    extract(tmp_path, AltegioActivitiesToParquetOperator)
    assert modes(tmp_path / "data", "*.parquet") == {"0o666"}


def test_answers_that_a_run_keeps_for_its_retry_are_the_owners(tmp_path) -> None:

    with SavedAnswers(Folder(tmp_path / "data"), "history", timedelta(hours=1)) as saved:
        saved.add(1, {"comment": "Ask Ines"})
    assert modes(tmp_path / "data") == {"0o600"}


def test_the_copy_that_is_read_has_no_name_and_is_gone_afterwards(tmp_path, monkeypatch) -> None:

    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = table(tmp_path / "clients.csv", person())
    with open_source(str(path)) as source:
        path.unlink()
        assert [row.values["name"] for row in source] == ["Client1"]
        assert list(temporary.iterdir()) == []
        assert source.digest is not None


def test_a_disk_without_room_for_the_copy_is_named(tmp_path, monkeypatch) -> None:

    path = table(tmp_path / "clients.csv", person())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    with pytest.raises(OSError, match=r"clients\.csv cannot be copied to .*no such folder"):
        open_source(str(path))


def test_what_was_checked_is_booked(tmp_path, altegio_sandbox) -> None:
    path = table(tmp_path / "clients.csv", person())
    checked = run(tmp_path, path, dry_run=True)["source_fingerprint"]
    assert run(tmp_path, path, source_fingerprint=checked)["created"] == 1


def test_a_file_that_was_exchanged_after_the_check_is_not_booked(tmp_path, altegio_sandbox) -> None:
    path = table(tmp_path / "clients.csv", person())
    checked = run(tmp_path, path, dry_run=True)["source_fingerprint"]
    table(path, person(2))
    with pytest.raises(AirflowFailException, match=r"clients\.csv is not the file that was checked.*Nothing was sent"):
        run(tmp_path, path, source_fingerprint=checked)
    assert altegio_sandbox.truth(LOCATION)["appointments"] == []


@pytest.mark.parametrize("fingerprint", ["", "None", "abc", 5])
def test_a_fingerprint_that_is_none_is_not_taken_for_a_leave(tmp_path, altegio_sandbox, fingerprint) -> None:
    with pytest.raises(AirflowFailException, match="source_fingerprint is invalid"):
        run(tmp_path, table(tmp_path / "clients.csv", person()), source_fingerprint=fingerprint)
    assert altegio_sandbox.truth(LOCATION)["appointments"] == []


def test_rows_that_are_no_file_have_no_fingerprint(tmp_path) -> None:
    assert run(tmp_path, [person()], dry_run=True)["source_fingerprint"] is None
    with pytest.raises(AirflowFailException, match="is not the file that was checked"):
        run(tmp_path, [person()], source_fingerprint="0" * 64)


def test_the_fingerprint_tells_nothing_to_who_has_not_the_tokens(tmp_path, altegio_sandbox, monkeypatch) -> None:
    path = table(tmp_path / "clients.csv", person())
    first = run(tmp_path, path, dry_run=True)["source_fingerprint"]
    other = altegio_sandbox.airflow_connection(timezone="Europe/Riga", location_id=LOCATION).replace(
        "sandbox-user", "another-user"
    )

    settings = ConnectionSettings.of(Connection.from_json(other, conn_id="c"))

    with open_source(str(path)) as source:
        assert source.digest is not None
        assert len({first, source.digest, settings.keyed_hash(source.digest)}) == 3


def test_links_in_the_inbox_are_left_alone(tmp_path) -> None:
    secret = table(tmp_path / "secret.csv", person())
    box = tmp_path / "inbox"
    box.mkdir()
    table(box / "real.csv", person())
    (box / "link.csv").symlink_to(secret)
    (box / "dangling.csv").symlink_to(tmp_path / "nothing.csv")
    os.mkfifo(box / "pipe.csv")
    (box / "folder.csv").mkdir()
    assert inbox.complete_files(box, 0) == ["real.csv"]
    names = ["real.csv", "link.csv", "dangling.csv", "pipe.csv", "folder.csv", "gone.csv"]
    assert [path.name for path in inbox.take(box, "run", names)] == ["real.csv"]
    assert (box / "link.csv").is_symlink()
    assert secret.exists()


def test_a_file_that_is_exchanged_for_a_link_in_between_is_not_taken(tmp_path, monkeypatch) -> None:
    secret = table(tmp_path / "secret.csv", person())
    box = tmp_path / "inbox"
    box.mkdir()
    table(box / "clients.csv", person())
    mkdir = Path.mkdir

    def exchange(path: Path, *given: Any, **options: Any) -> None:
        mkdir(path, *given, **options)
        (box / "clients.csv").unlink()
        (box / "clients.csv").symlink_to(secret)

    monkeypatch.setattr(Path, "mkdir", exchange)
    assert inbox.take(box, "run", ["clients.csv"]) == []
    assert (box / "clients.csv").is_symlink()


def test_a_taken_file_is_taken_again_by_a_retry(tmp_path) -> None:
    box = tmp_path / "inbox"
    box.mkdir()
    table(box / "clients.csv", person())
    first = inbox.take(box, "run", ["clients.csv"])
    assert inbox.take(box, "run", ["clients.csv"]) == first != []


FORMULAS = ['=HYPERLINK("http://evil.example";"x")', "+cmd|' /C calc'!A0", "@SUM(1+1)", "-2+3", "\t=1", "'=1", "x;=1+1"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_rejected_rows_hold_no_formula_and_come_back_as_they_were(tmp_path, altegio_sandbox, delimiter) -> None:
    rows = [person(number, name=formula, phone="none", surname=f"'{number}") for number, formula in enumerate(FORMULAS)]
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    run(first, table(first / "clients.csv", *rows), max_rejected=1.0)
    rejected = (first / "report" / "rejected.csv").read_text(encoding="utf-8-sig")
    for cells in csv.reader(rejected.splitlines(keepends=True), delimiter=delimiter):
        for cell in cells:
            assert cell[:1] not in tuple("=+-@\t"), cell
    # Fed back as it is, it is rejected in the same words, and written the same again.
    run(second, first / "report" / "rejected.csv", max_rejected=1.0)
    assert (second / "report" / "rejected.csv").read_bytes() == (first / "report" / "rejected.csv").read_bytes()


def test_a_mended_file_books_what_the_first_one_said(tmp_path, altegio_sandbox) -> None:
    row = person(1, name="'-Zoe", surname="=Ozols", email="none")
    with pytest.raises(AirflowFailException, match="1 of 1 rows are rejected"):
        run(tmp_path, table(tmp_path / "clients.csv", row))
    report = tmp_path / "report" / "rejected.csv"
    mended = tmp_path / "mended.csv"
    mended.write_text(report.read_text(encoding="utf-8-sig").replace(",none,", ",client1@example.com,"))
    assert run(tmp_path, mended)["created"] == 1
    (booked,) = altegio_sandbox.truth(LOCATION)["appointments"]
    assert booked["client"]["name"] == "'-Zoe"
    assert booked["client"]["surname"] == "=Ozols"
    assert booked["client"]["phone"].lstrip("+") == "37120000001"


def test_a_reason_in_the_words_of_the_api_is_no_formula_either(tmp_path, altegio_sandbox) -> None:
    altegio_sandbox.fault("status", status=422, message="=1+1\r\n@x\x1b[31m", route="create_event_appointment")
    with pytest.raises(AirflowFailException):
        run(tmp_path, [person()])
    for name in ("report.csv", "rejected.csv"):
        with (tmp_path / "report" / name).open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert any("1+1" in cell for cell in cells)
        assert all(cell.isprintable() and cell[:1] not in tuple("=+-@") for cell in cells), cells


def test_an_error_names_no_file_with_control_characters(tmp_path) -> None:
    with pytest.raises(ImportFileError) as caught:
        AltegioCreateAppointmentsOperator(task_id="x", source=str(tmp_path / "a\x1b[2J\nERROR b.csv"))._source()
    assert str(caught.value).isprintable()
