"""What must hold for every row that people can think of."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from altegio_provider.api.bodies.appointment import checked_appointment
from altegio_provider.imports.files.open_source import open_source
from altegio_provider.imports.model import BookingRequest, SourceRow
from altegio_provider.imports.rows.cells import CellError
from altegio_provider.imports.rows.columns import FIELDS, Columns
from altegio_provider.imports.rows.contacts import phone
from altegio_provider.imports.rows.validation import Validator

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def parsed_by_the_library(text, region):
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    is_good = phonenumbers.is_valid_number(number) and not number.extension and 9 <= len(written) - 1 <= 15
    return written if is_good else None


def by_the_library(text, region):
    """Digits without ``+`` are a number at home, or one that lost its ``+``; valid both ways, they are neither."""
    at_home = parsed_by_the_library(text, region)
    if text.startswith("+"):
        return at_home
    abroad = parsed_by_the_library("+" + "".join(filter(str.isdecimal, text)), None)
    return None if at_home and abroad and at_home != abroad else at_home or abroad


def by_us(text, region):
    try:
        return phone(text, region)
    except CellError:
        return None


def numbers_like_those_of(region):
    code = str(phonenumbers.country_code_for_region(region))
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
        number = phonenumbers.example_number_for_type(region, kind)
        national = phonenumbers.national_significant_number(number) if number else "1234567"
        for digit in ("0", "8", code):
            for tail in (national, digit + national, digit + national[1:], national[1:]):
                yield from (f"+{code}{tail}", tail, f"{code}{tail}")
        if number:
            at_home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
            yield from (at_home, at_home[:-1], f"{at_home}5", f"011{national}", f"810{national}")


def test_the_short_way_to_a_phone_leads_where_the_library_does():
    for region in REGIONS:
        for text in {text for text in numbers_like_those_of(region) if not text.startswith("00")}:
            assert by_us(text, region) == by_the_library(text, region), (region, text)


@given(
    st.sampled_from(REGIONS),
    st.from_regex(r"\+?[1-9][0-9]{6,13}", fullmatch=True),
)
def test_any_digits_are_the_phone_that_the_library_reads(region, text):
    assert by_us(text, region) == by_the_library(text, region)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12).filter(str.strip)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(CELL, CELL, CELL, st.integers(0, 2)), max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_spreadsheet_comes_back_as_it_was_written(tmp_path_factory, records, delimiter, encoding, end):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(["name", "phone", "comment"])
    expected = []
    for *cells, blank_lines in records:
        text.write(end * blank_lines)
        expected.append((1 + text.getvalue().count("\n"), cells))
        writer.writerow(cells)
    path = tmp_path_factory.mktemp("rows") / "clients.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    with open_source(path) as source:
        assert [(row.line, list(row.values.values())) for row in source] == expected


RAW = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.text(max_size=20),
    st.from_regex(r"[+0-9 ()./:-]{1,20}", fullmatch=True),
    st.from_regex(r"[a-z.]{1,9}@[a-z-]{1,9}\.[a-z]{1,4}", fullmatch=True),
    st.from_regex(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{4}( [0-9]{1,2}:[0-9]{2})?", fullmatch=True),
    st.sampled_from(["+37120000001", "anna@example.com", "yes", "m", "Анна", "7", "2026-12-20 18:30", "31.03.1990"]),
    st.lists(st.integers(), max_size=3),
    st.binary(max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
SOUND = {"name": "Anna", "surname": "Berg", "phone": "+37120000001", "email": "a@example.com", "event_id": 7}
COLUMNS = Columns.for_bookings([*FIELDS, "custom_field:size"])


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(COLUMNS.names), RAW, max_size=8),
    st.sampled_from(["companies", "locations"]),
    st.sampled_from([None, "LV", "US"]),
)
def test_any_cells_are_a_booking_that_can_be_sent_or_faults_that_show_nothing(cells, family, region):
    validator = Validator(
        COLUMNS,
        timezone=ZoneInfo("Europe/Riga"),
        default_region=region,
        route_family=family,
        now=lambda: datetime(2026, 11, 20, tzinfo=UTC),
    )
    result = validator.check(SourceRow(2, dict.fromkeys(COLUMNS.names) | SOUND | cells))
    if isinstance(result, BookingRequest):
        assert (result.event_id is None) is not (result.event is None)
        assert hash(result.identity())
        checked_appointment(result.appointment(), is_strict=family == "locations")
        return
    assert result
    for fault in result:
        raw = cells.get(fault.column)
        assert fault.shape
        assert fault.message
        assert not isinstance(raw, str) or len(raw.strip()) < 5 or raw.strip() not in fault.shape + fault.message
