"""No token, phone, e-mail or name in what an error says, keeps or logs."""

from __future__ import annotations

import html
import json
import logging
import pickle
import string
import time
import traceback
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.api.errors import AltegioError
from altegio_provider.api.http.redaction import personal_values, redact
from tests.unit.api.conftest import PARTNER, USER
from tests.unit.api.scripted import answer, cut_off, hang_up, page, redirect, reset

PHONES = [
    "+13155550175",
    "13155550175",
    "+1 315 555 0175",
    "+1 (315) 555-0175",
    "+1(315)555-01-75",
    "(315) 555-0175 12",
    "8 (912) 345 67 89",
    "+44 20 7946 0958",
    "01.23.45.67.89",
    "030/12345678",
    "+371-2000-0001",
    "+1 315 555 0175",
    "+1‑315‑555‑0175",
    "%2B13155550175",
]
EMAILS = [
    "vera.brown@example.com",
    "vera+news@mail.example.co.uk",
    "o'neill@example.com",
    "вера@пример.рф",
    "v@example.com",
    "vera%40example.com",
]


def digits_of(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize(
    "sentence",
    ["{}", "The phone {} is taken.", '{{"x": "{}"}}', "tel:{}", "tel.{}", "phone-{}", "<b>{}</b>", "x={}&y", "{}x"],
)
def test_a_phone_is_taken_out_however_it_is_written(phone, sentence) -> None:
    assert len(digits_of(redact(sentence.format(phone)))) < 3


@pytest.mark.parametrize("email", EMAILS)
@pytest.mark.parametrize(
    "sentence", ["{}", "The e-mail {} is taken.", '{{"x": "{}"}}', "mailto:{}", "<b>{}</b>", "x={}&y"]
)
def test_an_email_is_taken_out_however_it_is_written(email, sentence) -> None:
    shown = redact(sentence.format(email))
    assert "example" not in shown
    assert "@" not in shown
    assert "%40" not in shown
    assert "пример" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "filter[from] 2026-11-20 18:00:00 is before now",
        "from 2026-11-20T18:00:00+0300 to 2026-11-21T18:00:00.123456Z",
        "from 20.11.2026 18:00 on",
        "event 12345678 is full: 20 of 20 seats are taken",
        "The user does not have access to this location",
        "the length must be a multiple of 300 and 86400 at the most",
        "User cannot be found",
        'errors: [{"field_name":"capacity"}]',
    ],
)
def test_what_is_not_personal_stays_legible(text) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "field",
    [
        "name",
        "surname",
        "fullname",
        "client.name",
        "client[name]",
        "phone",
        "Email",
        "birthday",
        "user_token",
        "comment",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        '{{"{}": "Vera"}}',
        '{{"{}":"Ve\\"ra \\"Vera"}}',
        '{{"x": {{"{}" : "Vera Brown"}}}}',
        '{{"{}": "Vera',
        "'{}' => 'Vera'",
        '"{{\\"{}\\":\\"Vera\\"}}"',
    ],
)
def test_the_value_of_a_personal_field_is_taken_out(field, form) -> None:
    shown = redact(form.format(field))
    assert "Vera" not in shown
    assert "Brown" not in shown
    assert field in shown


def test_a_value_beside_a_field_name_is_taken_out() -> None:
    text = '{"errors":[{"field_name":"client.name","field_value":"Vera","error_message":"too short"}]}'
    assert redact(text) == '{"errors":[{"field_name":"client.name","field_value":"***","error_message":"too short"}]}'


@pytest.mark.parametrize(
    "text", ["Bearer abcdef", "bearer  abc.def~x", "User 8a9b0c1d2e3f", "Authorization: Bearer abcd, User x1y2z3w4"]
)
def test_somebody_elses_token_is_taken_out(text) -> None:
    assert "***" in redact(text)
    for token in ("abc", "8a9b", "x1y2"):
        assert token not in redact(text)


def test_a_short_secret_is_taken_out_as_a_word_and_a_long_one_anywhere() -> None:
    assert redact("Al, al and Altegio", ("Al",)) == "***, *** and Altegio"
    assert redact("xx12345678yy and 12345678", ("12345678",)) == "xx***yy and ***"


PERSONAL = st.one_of(st.sampled_from(PHONES), st.sampled_from(EMAILS))


@given(
    pieces=st.lists(st.tuples(st.text(string.ascii_letters + " \n", max_size=400), PERSONAL), min_size=1, max_size=80),
    cap=st.integers(20, 400),
)
def test_a_text_that_is_cut_shows_no_half_of_a_phone_or_an_email(pieces, cap) -> None:
    shown = redact(" ".join(f"{text} {personal}" for text, personal in pieces), cap=cap)
    assert len(shown) <= cap + 1
    assert len(digits_of(shown)) == 0
    assert "@" not in shown
    assert "example" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "@" * 100_000,
        "a@" * 50_000,
        "1 " * 100_000,
        "(" * 100_000,
        '"name' * 20_000,
        '"name":"' + "\\" * 99_999,
        "user " * 20_000,
        "\\u" * 50_000,
        "&amp;" * 20_000,
        "%25" * 30_000,
        "17 may " * 20_000,
        "1_" * 50_000,
    ],
)
def test_a_hostile_body_takes_no_time(text) -> None:
    started = time.process_time()
    redact(text, ("secret-secret", "1990-05-17", "+13155550175", "two words of a comment " * 200))
    assert time.process_time() - started < 0.5


def test_what_a_booking_says_of_people_is_known() -> None:
    body = {
        "client": {
            "id": 5,
            "name": "Vera Maria",
            "surname": "Brown",
            "phone": "+13155550175",
            "email": None,
            "gender": 2,
            "custom_field_values": [{"code": "size", "value": "tall"}],
            "agreements": [{"is_newsletter_allowed": True}],
            "comment": "-",
        },
        "comer": {"name": "Tom"},
        "labels": [1],
        "comment": "Her dog comes too",
        "clients_count": 1,
        "some_new_field": {"deep": ["inside", 13155550176]},
    }
    client = {"Vera Maria", "Vera", "Maria", "Brown", "+13155550175", "tall", "Tom"}
    assert set(personal_values(body)) == {*client, "Her dog comes too", "inside", "13155550176"}
    assert personal_values(None) == personal_values({"client": None}) == ()


def as_html(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


def as_named_html(text: str) -> str:
    return html.escape(text).replace("ë", "&euml;").replace("+", "&plus;")


def as_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def every_character_escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04X}" if ord(character) < 0x10000 else character for character in text)


def as_percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def in_full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


def with_invisible_characters(text: str) -> str:
    return "\u200b".join(text)


FORMS = {
    "as it is": str,
    "capitals": str.upper,
    "small": str.lower,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "full width": in_full_width,
    "invisible characters": with_invisible_characters,
    "HTML": as_html,
    "HTML by name": as_named_html,
    "JSON": as_json,
    "JSON, every character": every_character_escaped,
    "percent": as_percent,
    "URL": quote,
    "URL, twice": lambda text: quote(quote(text, safe="")),
    "HTML of JSON": lambda text: html.escape(as_json(text)),
    "URL of HTML": lambda text: quote(as_html(text)),
    "a line for each word": lambda text: text.replace(" ", "\n  "),
}
OWN = {
    "name": "Zoë O'Neill",
    "cyrillic": "Вера Ёлкина",
    "surname": "Al",
    "phone": "+13155550175",
    "national_id": "150590-12345",
    "email": "zoë.o'neill+x@example.com",
    "comment": 'Allergic to "nuts" & <pollen>, her sister Ines pays',
    "token": PARTNER,
}
SENTENCES = ["{}", "The value {} is taken.", '{{"x": "{}"}}', "<p>{}</p>", "x={}&y=1", "field '{}': no"]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("field", OWN)
def test_what_was_sent_does_not_come_back_in_any_form(field, form, sentence) -> None:
    text = sentence.format(FORMS[form](OWN[field]))
    assert compared(sentence.format("***")) == compared(redact(text, (*personal_values(OWN), PARTNER)))


def compared(text: str) -> str:
    """What is left of a sentence, by its letters: quotes and brackets of an escaped value may stay or go."""
    letters = (character for character in text.lower() if character.isalnum() or character == "*")
    return "".join(letters).replace("******", "***")


GROUPINGS = ["+1 (315) 555-01-75", "(315) 555-0175", "315.555.0175", "3155550175", "315/555/0175", "315_555_0175"]
GROUPINGS += ["5550175", "555-0175", "555 01 75", "0013155550175", "8 (315) 555 01 75", "٣١٥٥٥٥٠١٧٥", "+1315555***"]


@pytest.mark.parametrize("written", GROUPINGS)
def test_a_phone_is_known_by_its_last_digits_however_they_are_grouped(written) -> None:
    body = {"client": {"phone": "+13155550175"}}
    shown = redact(f"client {written} exists, code 40017", personal_values(body))
    left = "".join(character for character in shown if character.isdecimal())
    assert left in ("40017", "840017", "0040017", "00140017")
    assert shown.endswith("exists, code 40017")


BIRTHDAYS = ["1990-05-17", "17.05.1990", "17/05/1990", "05/17/1990", "05-17-1990", "1990/05/17", "17.5.90", "5/17/90"]
BIRTHDAYS += ["19900517", "17051990", "17 May 1990", "May 17, 1990", "17th of May, 1990", "17 de mayo de 1990"]
BIRTHDAYS += ["17 мая 1990", "1990 May 17", "1990, 17 May", "1990. 05. 17", "1990-05-17T00:00:00+03:00", "1990-5-17"]


@pytest.mark.parametrize("written", BIRTHDAYS)
def test_a_birthday_is_known_in_any_order(written) -> None:
    shown = redact(f"born {written}, too young", personal_values({"client": {"birthday": "1990-05-17"}}))
    for part in ("1990", "17", "May", "mayo", "мая", "90"):
        assert part not in shown
    assert "too young" in shown


def test_a_comment_that_comes_back_cut_short_is_known() -> None:
    comment = "Allergic to nuts, her sister Ines pays, call her husband Tom first"
    body = {"attendance_service_item": {"cost_per_unit": 5}, "comment": comment}
    said = "comment: may have 40 characters, not 'Allergic to nuts, her sister Ines pays, cal...'"
    assert redact(said, personal_values(body)) == "comment: may have 40 characters, not '***...'"


@pytest.mark.parametrize(
    "body",
    [
        {"comment": "Ines pays"},
        {"records": [{"name": "Ines", "phone": "13155550175"}]},
        {"reschedule_activity_id": 5, "comment": "Ines pays"},
        {"client": {"custom_field_values": [{"code": "x", "value": ["Ines"]}]}},
        {"staff_id": 1, "instructions": "Ask Ines", "date": "2026-11-20 18:00:00"},
        {"a_field_of_tomorrow": {"who": "Ines"}},
    ],
)
def test_what_any_body_says_is_known(server, new_transport, body) -> None:
    said = next(text for text in personal_values(body) if "Ines" in text)
    complaint = {"message": f"no: {said}", "errors": {said: [said.upper()]}}
    server.otherwise = answer(422, {"success": False, "meta": complaint})
    with pytest.raises(AltegioError) as caught:
        new_transport(server.url).request("PUT", "/locations/7/events/1/appointments/5", body=body)
    assert "ines" not in str(caught.value).lower() + str(caught.value.body).lower()


def test_ids_and_times_that_were_sent_stay_legible() -> None:
    body = {"staff_id": 1234567, "date": "2026-11-20 18:00:00", "length": 86400, "color": "#9c27b0", "labels": [123456]}
    text = "team member 1234567 is busy on 2026-11-20 18:00:00; 86400 is too long; #9c27b0; label 123456"
    assert redact(text, personal_values(body)) == text


@given(st.text(max_size=400))
def test_whatever_the_api_says_is_one_printable_line(text) -> None:
    shown = redact(text, ("Vera",))
    assert all(character.isprintable() or unicodedata.category(character) in ("Zs", "Co", "Cn") for character in shown)
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    "text", ["a\r\n2026-11-20 ERROR forged", "\x1b[31mred\x1b[0m", "&#27;[2J", "%1b]0;title%07", "\\u001b[1m"]
)
def test_a_text_cannot_forge_a_log_line_or_steer_a_terminal(server, client, text) -> None:
    server.otherwise = answer(422, {"success": False, "meta": {"message": text, "errors": {text: [text]}}})
    with pytest.raises(AltegioError) as caught:
        client.get_event(7, 1)
    error = caught.value
    texts = [str(error), str(error.body), str(error.message), *error.errors, *next(iter(error.errors.values()))]
    assert "".join(texts).isprintable()


SECRETS = (PARTNER, USER, "13155550175", "5550175", "vera.brown", "example.com", "Vera", "Brown", "Вера")
BOOKING = {
    "client": {
        "name": "Vera Brown",
        "surname": "Вера",
        "phone": "+13155550175",
        "email": "vera.brown@example.com",
        "gender": 2,
    },
    "clients_count": 1,
}
ECHO = (
    f"The client Vera Brown (Вера), +1 (315) 555-0175, VERA.BROWN@EXAMPLE.COM, came with Bearer {PARTNER}, User {USER}"
)
ECHOES = {
    "object of lists": {"success": False, "meta": {"message": ECHO, "errors": {"client.name": [ECHO], ECHO: [ECHO]}}},
    "list of objects": {"success": False, "meta": {"errors": [{"client": ECHO}, {"message": ECHO}]}},
    "message": {"errors": {"message": ECHO}},
    "field values": {"errors": [{"field_name": "phone", "field_value": "+13155550175", "error_message": ECHO}]},
    "the request": {"success": False, "meta": {"message": "no", "request": BOOKING, "token": PARTNER}},
}


def everything_shown(error: BaseException, caplog) -> str:
    shown = [
        str(error),
        repr(error),
        pickle.dumps(error).decode("latin-1"),
        repr(pickle.loads(pickle.dumps(error)).__dict__),  # noqa: S301 - written the moment before
    ]
    shown += traceback.format_exception(error)
    shown += [record.getMessage() + str(record.args) for record in caplog.records]
    return "\n".join(shown)


def assert_tells_nothing(error: BaseException, caplog) -> None:
    shown = everything_shown(error, caplog).lower()
    assert "altegio" in shown
    for secret in SECRETS:
        assert secret.lower() not in shown
        assert json.dumps(secret)[1:-1].lower() not in shown
        assert secret.encode().decode("latin-1").lower() not in shown


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 422, 429, 500])
@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("echo", list(ECHOES))
def test_an_answer_that_repeats_the_request_leaves_nothing_of_it_behind(
    server, new_transport, caplog, method, status, echo, escaped
) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"success": False, **ECHOES[echo]}, ensure_ascii=escaped)
    server.otherwise = answer(status, body.replace("/", "\\/") if escaped else body)
    with pytest.raises(AltegioError) as caught:
        new_transport(server.url, retry={"attempts": 2}).request(
            method, "/companies/7/activities/1/records", body=BOOKING
        )
    assert_tells_nothing(caught.value, caplog)
    assert caplog.records


@pytest.mark.parametrize(
    "action",
    [
        reset,
        hang_up,
        cut_off,
        page(502),
        answer(500, f"<html><pre>{ECHO}\n{json.dumps(BOOKING, ensure_ascii=False)}</pre></html>"),
        answer(200, f"<html>{ECHO}</html>"),
        answer(200, ECHO),
        redirect(302, f"http://vera.brown:5550175@127.0.0.1:1/?token={PARTNER}"),
    ],
    ids=["reset", "hung up", "cut off", "502", "500 HTML", "200 HTML", "200 text", "redirect"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_fault_tells_anything_either(server, new_transport, caplog, method, action) -> None:
    caplog.set_level(logging.DEBUG)
    server.otherwise = action
    with pytest.raises(AltegioError) as caught:
        new_transport(server.url, retry={"attempts": 2}).request(
            method, "/companies/7/activities/1/records", body=BOOKING
        )
    assert_tells_nothing(caught.value, caplog)


def test_nothing_of_a_request_that_went_well_is_logged(server, new_transport, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    new_transport(server.url).request("POST", "/companies/7/activities/1/records", body=BOOKING)
    logged = "\n".join(record.getMessage() for record in caplog.records).lower()
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}
    for secret in SECRETS:
        assert secret.lower() not in logged


def test_clients_and_transports_do_not_show_their_tokens(server, client, new_transport) -> None:
    for thing in (client, new_transport(server.url), client.stats):
        assert PARTNER not in repr(thing)
        assert USER not in repr(thing)
