"""Wherever a server puts what names or reaches a person, none of it comes out where personal data are not wanted."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.tables.convert.appointments import AppointmentConverter
from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
from altegio_provider.tables.schema import APPOINTMENT_COLUMNS

PSEUDONYMS = Pseudonymizer(b"a key for the tests")
#: The catalogue's own texts, which the salon shows to everybody.
PUBLIC = {("staff", "name"), ("staff", "specialization"), ("staff", "avatar"), ("staff", "position", "title")}
PUBLIC |= {("services",), ("labels",)}
PATHS = sorted({path for column in APPOINTMENT_COLUMNS for path in column.paths} - PUBLIC)
OBJECTS = sorted({path[:depth] for path in PATHS for depth in range(1, len(path))})

names = st.text(st.characters(categories=["L"]), min_size=4, max_size=9).map(lambda text: f"Zz{text}")
emails = names.map(lambda name: f"{name}@example.com")
phones = st.integers(10**9, 10**12).map(lambda number: f"+{number}")
people = names | emails | phones | st.tuples(names, phones).map(", ".join)

unknown_fields = st.sampled_from(
    ["phone", "who", "client_note", "comer_phone", "custom_fields", "visitor", "n1", "URL"]
)


def wrapped(person: str) -> st.SearchStrategy[Any]:
    """A person's name or number as a value, or somewhere inside one."""
    return st.recursive(
        st.just(person),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2)
            | st.dictionaries(unknown_fields | st.just(person), inner, min_size=1, max_size=2)
        ),
        max_leaves=3,
    )


ROW: dict[str, Any] = {
    "id": 1,
    "date": "2026-11-20T14:00:00",
    "timestamp": 1795176000,
    "staff": {"id": 5, "name": "Ilze", "position": {"id": 2}},
    "client": {"id": 170},
    "comer": {"id": 171},
    "services": [{"id": 9, "title": "Yoga"}],
    "labels": [{"id": 3, "title": "new"}],
}


def put(row: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(row.get(name), dict):
            row[name] = {}
        row = row[name]
    row[path[-1]] = value


@st.composite
def planted(draw: st.DrawFn) -> tuple[dict[str, Any], set[str]]:
    """A row with people in some of its fields, the known ones and others, and who they are."""
    row = copy.deepcopy(ROW)
    who: set[str] = set()
    holders = st.sampled_from([(), *OBJECTS])
    unknown = st.tuples(holders, unknown_fields).map(lambda pair: (*pair[0], pair[1]))
    for path in draw(st.lists(st.sampled_from(PATHS + OBJECTS) | unknown, min_size=1, max_size=8)):
        person = draw(people)
        who.add(person)
        put(row, path, draw(wrapped(person)))
    if draw(st.booleans()):
        person = draw(people)
        who.add(person)
        put(row, (person,), draw(st.integers(0, 9)))
    if draw(st.booleans()):
        person = draw(people)
        who.add(person)
        row["labels" if draw(st.booleans()) else "services"] = [{"id": 3, "by": person}]
    return row, who


def shown(rows: list[dict[str, Any]], **options: Any) -> str:
    batches = AppointmentConverter(1001, "Europe/Riga", pseudonyms=PSEUDONYMS, **options)
    return repr(batches.batch(rows).to_pylist())


@given(st.lists(planted(), min_size=1, max_size=4))
def test_nobody_comes_out(rows_and_people):
    rows = [row for row, _ in rows_and_people]
    text = shown(rows)
    for person in set().union(*(who for _, who in rows_and_people)):
        assert person not in text
        assert person.lstrip("+") not in text


@pytest.mark.parametrize("path", PATHS + OBJECTS + [("unknown",), ("staff", "unknown")], ids=".".join)
@pytest.mark.parametrize("person", ["Zzanna", "Zz@example.com", "+37120000001", "1990-02-28x"])
def test_nobody_comes_out_of_any_one_field(path, person):
    row = copy.deepcopy(ROW)
    put(row, path, person)
    assert person not in shown([row])
    assert person not in shown([copy.deepcopy(ROW), row])
    assert person in shown([row], include_personal_data=True)


@given(planted())
def test_no_log_names_anybody(row_and_people):
    row, who = row_and_people
    records: list[str] = []
    log = logging.Logger("test")
    log.handle = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    for personal in (False, True):
        batches = AppointmentConverter(1001, "Europe/Riga", include_personal_data=personal)
        batches.batch([row])
        batches.warn(log)
    told = {person for person in who if any(person in record for record in records)}
    # A word alone, sent as a field's name, cannot be told from one.
    assert not [person for person in told if not person.isascii() or not person.isalpha()]
