"""A booking whose answer was lost: found, surely absent, or nobody knows. Never absent when it may be there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.imports.matching.match import Absent, Found, LostBooking, Undecided, match

ANNA = {"name": "Anna", "surname": "Ozola", "phone": "+37129123456", "email": "anna@example.com"}
ELSE = {"id": 99, "name": "Zane", "surname": "Liepa", "phone": "+37126777888", "email": "zane@example.com"}


def sought(key="a", seats=1, comer=None, **client):
    return LostBooking(key, {**ANNA, **client}, seats, comer)


def record(number=1, client=ANNA, seats=1, **fields):
    return {"id": number, "clients_count": seats, **({} if client is None else {"client": client}), **fields}


def verdict_on(one, *records, taken=()):
    return match([one], records, set(taken))[one.key]


def shown(**fields):
    return {**ANNA, "id": 5, **fields}


def masked(phone, **fields):
    return {**shown(email="", phone=phone), **fields}


@pytest.mark.parametrize(
    ("one", "row"),
    [
        pytest.param(sought(), record(client=shown()), id="all shown"),
        pytest.param(sought(), record(client=shown(phone="+371*****56")), id="a masked phone beside name and e-mail"),
        pytest.param(sought(id=5, phone=""), record(client={"id": 5}), id="known by its number"),
        pytest.param(sought(id=5), record(client=None, client_id=5), id="the number alone is shown"),
        pytest.param(sought(), record(client=shown(phone="37129123456")), id="without a plus"),
        pytest.param(sought(), record(client=shown(phone="29 123 456")), id="national"),
        pytest.param(sought(), record(client=shown(phone="00371 29-12-34-56")), id="with the prefix for abroad"),
        pytest.param(
            sought(phone="+79161234567"), record(client=shown(phone="8 (916) 123-45-67")), id="with the trunk prefix"
        ),
        pytest.param(
            sought(phone="+37061234567"),
            record(client=shown(phone="8 612 34567")),
            id="a short one with a trunk prefix",
        ),
        pytest.param(sought(phone="+4930123456"), record(client=shown(phone="030/123456")), id="with a trunk zero"),
        pytest.param(sought(), record(client=shown(name="The one who sings", surname="")), id="named by the staff"),
        pytest.param(sought(), record(client=shown(name="Анна", surname="Озола")), id="in another alphabet"),
        pytest.param(sought(phone=""), record(client=shown(phone="")), id="by e-mail and name"),
        pytest.param(
            sought(phone=""), record(client=shown(phone="", email="ANNA@example.com")), id="e-mail in capitals"
        ),
        pytest.param(
            sought(phone="", name="Zoë"),
            record(client=shown(phone="", name="OZOLA ZOE\u0308", surname="")),
            id="reversed",
        ),
        pytest.param(
            sought(),
            record(client=None, client_fictive_name="Anna", client_fictive_phone="+37129123456"),
            id="without becoming a client",
        ),
        pytest.param(
            sought(comer={"name": "Little Jānis"}), record(client=shown(), comer={"name": "little jānis"}), id="a child"
        ),
        pytest.param(sought(comer={"id": 8}), record(client=shown(), comer_id=8), id="a child known by number"),
        pytest.param(sought(), record(client=shown(), comer={"name": "Anna Ozola"}), id="she comes herself"),
    ],
)
def test_what_is_surely_the_same_is_found(one, row):
    assert verdict_on(one, record(2, ELSE), row) == Found(1)


@pytest.mark.parametrize(
    ("one", "row"),
    [
        pytest.param(sought(), record(client=masked("+371*****56")), id="a masked phone"),
        pytest.param(sought(), record(client=masked("+371 •• ••• 456")), id="masked by bullets"),
        pytest.param(sought(), record(client=masked("+3712xxxxx56")), id="masked by letters"),
        pytest.param(sought(), record(client=masked("+3712…56")), id="cut by an ellipsis"),
        pytest.param(sought(), record(client=masked("+3712...56")), id="cut by dots"),
        pytest.param(sought(), record(client=masked("29●●●●56")), id="masked, national"),
        pytest.param(sought(), record(client=masked("2912####")), id="masked at its end"),
        pytest.param(sought(), record(client=masked("********")), id="masked wholly"),
        pytest.param(sought(), record(client=masked("3456")), id="its last digits alone"),
        pytest.param(
            sought(phone="+79161234567"), record(client=masked("8 (9**) ***-**-67")), id="masked, with a trunk prefix"
        ),
        pytest.param(sought(), record(client=masked("+371*****56", name="Анна")), id="masked, in another alphabet"),
        pytest.param(sought(), record(client={"id": 5, "name": "Anna", "surname": "Ozola"}), id="no phone, no e-mail"),
        pytest.param(sought(), record(client={"id": 5, "name": "Anya"}), id="no phone, the staff's name for her"),
        pytest.param(sought(), record(client=shown(phone="", email="a***@example.com")), id="a masked e-mail"),
        pytest.param(sought(), record(client=shown(phone="", email="old@example.com")), id="no phone, an older e-mail"),
        pytest.param(
            sought(), record(client=shown(phone="", name="Maris", surname="Ozols")), id="no phone, the family's e-mail"
        ),
        pytest.param(
            sought(id=7), record(client={"phone": "+37120000000", "name": "A"}), id="number late, another phone"
        ),
        pytest.param(
            sought(phone="+541123456789"), record(client=masked("011 15 2345-6789")), id="almost the same digits"
        ),
        pytest.param(sought(), record(client=shown(), seats=2), id="seats changed"),
        pytest.param(
            sought(comer={"name": "Jānis"}), record(client=shown(), comer={"name": "Ilze"}), id="another child"
        ),
        pytest.param(sought(comer={"name": "Jānis"}), record(client=shown()), id="no child shown"),
        pytest.param(sought(), record(client=shown(), comer={"name": "Ilze"}), id="a child in her place"),
    ],
)
def test_what_may_be_the_same_stays_in_doubt(one, row):
    verdict = verdict_on(one, record(2, ELSE), row)
    assert getattr(verdict, "retryable", None) is False


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(record(client=None), id="no client"),
        pytest.param(record(client=None, client_id=0), id="no number yet"),
        pytest.param(record(client={}, client_id=None), id="an empty client"),
        pytest.param(record(client={"id": 5}), id="a number and nothing else"),
        pytest.param(record(client=None, client_fictive_name="", client_fictive_phone=""), id="empty names"),
    ],
)
def test_what_does_not_show_its_client_yet_is_looked_at_again(row):
    verdict = verdict_on(sought(), row)
    assert getattr(verdict, "retryable", None) is True


@pytest.mark.parametrize(
    ("one", "row"),
    [
        pytest.param(sought(), record(client=ELSE), id="somebody else"),
        pytest.param(sought(id=5), record(client=shown(id=6)), id="another number, the family's phone"),
        pytest.param(sought(), record(client=shown(phone="+37129123457")), id="one digit differs"),
        pytest.param(sought(), record(client=shown(phone="29123457")), id="one digit differs, national"),
        pytest.param(sought(), record(client=shown(phone="+371*****57")), id="a masked phone with another end"),
        pytest.param(sought(), record(client=shown(phone="+370*****56")), id="a masked phone of another country"),
        pytest.param(sought(phone=""), record(client=shown(phone="", email="bob@example.com")), id="another e-mail"),
        pytest.param(
            sought(phone=""), record(client={"id": 9, "name": "Bob", "phone": "+37120000000"}), id="who has no e-mail"
        ),
    ],
)
def test_what_is_surely_another_is_no_obstacle_to_sending_again(one, row):
    assert verdict_on(one, row) == Absent()


def test_an_appointment_of_another_row_is_not_looked_at():
    assert verdict_on(sought(), record(1), taken={1}) == Absent()
    assert verdict_on(sought(), record(1), record(2), taken={1}) == Found(2)


def test_several_candidates_are_named_and_none_is_taken():
    verdict = verdict_on(sought(), record(8), record(9))
    assert isinstance(verdict, Undecided)
    assert "8, 9" in verdict.reason


def test_two_rows_of_one_client_get_an_appointment_each():
    both = [sought("a"), sought("b")]
    assert match(both, [record(8), record(9)], ()) == {"a": Found(8), "b": Found(9)}
    assert match(both, [record(8)], ()) == {"a": Found(8), "b": Absent()}
    assert match(both, [record(8), record(9)], {8}) == {"a": Found(9), "b": Absent()}


def test_two_rows_of_one_client_with_different_seats_are_told_apart():
    both = [sought("a", seats=1), sought("b", seats=2)]
    assert match(both, [record(8, seats=2), record(9, seats=1)], ()) == {"a": Found(9), "b": Found(8)}
    assert match(both, [record(8, seats=2)], ()) == {"a": Absent(), "b": Found(8)}
    assert isinstance(match(both, [record(8, seats=3)], ())["a"], Undecided)


def test_a_family_with_one_phone_is_told_apart_by_names_where_they_show():
    mother, child = sought("m"), sought("c", name="Ilze")
    shown_mother, shown_child = record(8), record(9, {**ANNA, "name": "Ilze"})
    assert match([child, mother], [shown_mother, shown_child], ()) == {"m": Found(8), "c": Found(9)}
    assert match([mother, child], [shown_child], ()) == {"m": Absent(), "c": Found(9)}
    assert match([mother, child], [record(8, {**ANNA, "name": "Mum"}), record(9, {**ANNA, "name": "Mum"})], ()) == {
        "m": Found(8),
        "c": Found(9),
    }


def test_two_children_of_one_parent_are_told_apart_by_who_comes():
    janis, ilze = sought("j", comer={"name": "Jānis"}), sought("i", comer={"name": "Ilze"})
    of_ilze = record(9, comer={"name": "Ilze"})
    assert match([janis, ilze], [of_ilze], ()) == {"i": Found(9), "j": Absent()}
    of_janis = record(8, comer={"name": "Jānis"})
    assert match([janis, ilze], [of_ilze, of_janis], ()) == {"i": Found(9), "j": Found(8)}


def test_an_appointment_that_two_clients_could_have_is_neithers():
    by_number, by_phone = sought("n", id=5), sought("p")
    verdicts = match([by_number, by_phone], [record(8, shown())], ())
    assert all(isinstance(verdict, Undecided) and "8" in verdict.reason for verdict in verdicts.values())


NAMES = st.sampled_from(["Anna", "Jānis", "Анна", "შოთა", "Zoë", "李娜", "O'Neil", "de la Cruz"])
PHONES = st.sampled_from(["+37129123456", "+37129123457", "+79161234567", "+13155550175", "+4930123456", "+3725123456"])
#: The code of each country, and what its people dial in its place.
CODES = {"+371": "", "+372": "", "+7": "8", "+1": "1", "+49": "0"}
MASKS = st.sampled_from("*•xX#●…?")
CLIENTS = st.fixed_dictionaries(
    {"name": NAMES, "surname": NAMES, "phone": PHONES, "email": st.sampled_from(["a@example.com", "b@example.com"])}
)


@st.composite
def notations(draw, phone):
    """The same number as another program may write it."""
    code = next(code for code in CODES if phone.startswith(code))
    prefix = draw(st.sampled_from([code, code[1:], "00" + code[1:], CODES[code]]))
    return prefix + "".join(digit + draw(st.sampled_from(["", "", "", " ", "-"])) for digit in phone[len(code) :])


@st.composite
def hidings(draw, client):
    """The client as the API may show it to a user without rights, or too early."""
    seen = {**client, "id": draw(st.sampled_from([None, 0, 5]))}
    written = draw(notations(client["phone"]))
    first = draw(st.integers(0, len(written) - 1))
    last = draw(st.integers(first, len(written) - 1))
    mask = draw(MASKS)
    masked = written[:first] + mask * (last + 1 - first) + written[last + 1 :]
    seen["phone"] = draw(st.sampled_from([written, masked, "", None]))
    seen["email"] = draw(st.sampled_from([client["email"], "", None, "a***@example.com"]))
    seen["name"] = draw(st.sampled_from([client["name"], "", None, "A***", "Somebody", client["name"].upper()]))
    seen["surname"] = draw(st.sampled_from([client["surname"], "", None]))
    return draw(st.sampled_from([seen, {}, None, {"id": 5}]))


@st.composite
def events(draw):
    """Bookings under way, and what the API shows of those that took effect: (bookings, truth, records)."""
    bookings = [
        LostBooking(str(number), client, draw(st.integers(1, 2)))
        for number, client in enumerate(draw(st.lists(CLIENTS, min_size=1, max_size=4)))
    ]
    made = [one for one in bookings if draw(st.booleans())]
    truth = {one.key: 100 + place for place, one in enumerate(made)}
    records = []
    for one in made:
        client = draw(st.one_of(st.just(one.client), hidings(one.client)))
        records.append(record(truth[one.key], client, one.seats, client_id=draw(st.sampled_from([None, 0]))))
    return bookings, truth, draw(st.permutations(records))


@given(events())
def test_no_booking_that_is_there_is_ever_taken_for_absent_and_no_appointment_for_two(event):
    bookings, truth, records = event
    verdicts = match(bookings, records, ())
    found = [verdict.record_id for verdict in verdicts.values() if isinstance(verdict, Found)]
    assert len(found) == len(set(found))
    absent = sum(isinstance(verdict, Absent) for verdict in verdicts.values())
    # Who shares phone and seats may be found in each other's place; together they are never sent too often.
    assert len(found) + absent <= len(bookings)
    assert absent <= len(bookings) - len(truth)
    alone = [one for one in bookings if sum(other.client["phone"] == one.client["phone"] for other in bookings) == 1]
    for one in alone:
        verdict = verdicts[one.key]
        if one.key in truth:
            assert not isinstance(verdict, Absent)
            assert not isinstance(verdict, Found) or verdict.record_id == truth[one.key]


def test_a_client_whose_number_is_there_and_who_is_not_joined_stays_in_doubt_at_once():
    row = {"id": 1, "clients_count": 1, "client_id": 77}
    verdict = verdict_on(sought(), row)
    assert getattr(verdict, "retryable", None) is False


def test_a_visitor_who_is_not_shown_is_not_taken_for_the_client():
    row = {**record(), "comer_id": 78}
    assert isinstance(verdict_on(sought(), record()), Found)
    assert isinstance(verdict_on(sought(), row), Undecided)
