"""Whatever goes wrong: no token and nothing of a client hangs on the exception, its causes or its frames."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import rich.traceback
from rich.console import Console

from altegio_provider.api import AltegioClient
from altegio_provider.api.errors import AltegioError
from altegio_provider.api.secrets import Secret, clear_variables
from altegio_provider.imports.engine.booking_once import book_once
from tests.exception_graph import assert_holds_none, reachable_texts
from tests.services import redis_url
from tests.unit.api.conftest import PARTNER, USER
from tests.unit.api.scripted import (
    Action,
    Conversation,
    answer,
    chunks_cut_off,
    cut_off,
    hang_up,
    page,
    redirect,
    reset,
    stall,
    stall_in_body,
)

NAME, PHONE, EMAIL, COMMENT = "Vera Quill", "+12025550143", "vera.quill@example.com", "Her sister Ines pays"
SECRETS = (PARTNER, USER, "Vera", "Quill", PHONE[1:], "5550143", EMAIL, "Ines", "1990-05-17", "17.05.1990")
BOOKING = {
    "client": {"name": NAME, "surname": "Quill", "phone": PHONE, "email": EMAIL, "birthday": "1990-05-17"},
    "clients_count": 1,
}
START = {"date": "2099-11-20 18:00:00", "length": 3600}
EVENT = {"staff_id": 1, "service_id": 2, "capacity": 5, **START, "comment": COMMENT}
CHANGE = {"attendance_service_item": {"cost_per_unit": 1, "discount_percent": 0, "manual_cost": 1}, "comment": COMMENT}


def echoing(status: int, shape: Callable[[str], Any]) -> Action:
    """Answer with what the request said: its tokens and its body."""

    def act(conversation: Conversation) -> None:
        request = conversation.request
        said = f"{request.headers['authorization']} {json.loads(request.content or b'null')}"
        answer(status, shape(said))(conversation)

    return act


FAULTS = {
    "reset": reset,
    "hang up": hang_up,
    "cut off": cut_off,
    "chunks cut off": chunks_cut_off,
    "stalled": stall,
    "stalled in the body": stall_in_body,
    "HTML": echoing(500, lambda said: f"<html>{said}</html>"),
    "no JSON": echoing(200, str),
    "half JSON": echoing(200, lambda said: '{"data": "' + said),
    "a list": echoing(200, lambda said: [said]),
    "hidden refusal": echoing(200, lambda said: {"success": True, "data": {"errors": {said: [said]}}}),
    "not a success": echoing(200, lambda said: {"success": False, "meta": {"message": said}}),
    "401": echoing(401, lambda said: {"meta": {"message": said}}),
    "404": echoing(404, lambda said: {"meta": {"message": said}}),
    "409": echoing(409, lambda said: {"meta": {"message": said}}),
    "422": echoing(422, lambda said: {"meta": {"message": said, "errors": {"comment": [said], said: [said]}}}),
    "429": echoing(429, str),
    "502": page(502),
    "redirect": redirect(302, f"http://{PARTNER.split('/')[0]}.example/{USER}?{PHONE}"),
    "odd redirect": redirect(302, f"http://{USER}:{PARTNER}@127.0.0.1\\x"),
}
CALLS: dict[str, Callable[[AltegioClient], Any]] = {
    "book": lambda client: client.create_event_appointment(7, 1, BOOKING),
    "book once": lambda client: book_once(client, 7, 1, BOOKING, sleep=lambda _: None),
    "change a booking": lambda client: client.update_event_appointment(7, 1, 5, CHANGE),
    "create an event": lambda client: client.create_event(7, EVENT),
    "replace an event": lambda client: client.update_event(7, 1, EVENT),
    "read": lambda client: client.get_event(7, 1),
    "list": lambda client: list(client.list_appointments(7)),
}


def error_of(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(AltegioError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_goes_wrong(server, new_client, fault) -> None:
    server.otherwise = FAULTS[fault]
    attempts = 1 if fault == "429" else 2  # a 429 stops a client for a while
    for name, call in CALLS.items():
        client = new_client(server.url, route_family="locations", timeout=0.05, retry={"attempts": attempts})
        if (name, fault) == ("read", "hidden refusal"):
            assert call(client)  # as good as any row
            continue
        assert_holds_none(error_of(lambda call=call, client=client: call(client)), SECRETS)


def test_a_connection_that_cannot_be_made(tls_server, new_client, monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:{PARTNER.split('/')[0]}@127.0.0.1:9")
    for url in ("http://127.0.0.1:9/api/v2", tls_server.url, "https://altegio.invalid/api/v2"):
        client = new_client(url, route_family="locations", retry={"attempts": 2})
        for call in CALLS.values():
            error = error_of(lambda call=call, client=client: call(client))
            assert_holds_none(error, (*SECRETS, PARTNER.split("/")[0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.create_event_appointment(7, 1, {**BOOKING, "clients_count": 0}),
        lambda client: client.create_event_appointment(7, 1, {"client": {**BOOKING["client"], "phone": NAME}}),
        lambda client: client.create_event_appointment(7, 1, {"client": NAME, "clients_count": 1}),
        lambda client: client.update_event_appointment(7, 1, 5, {**CHANGE, "color": COMMENT}),
        lambda client: client.create_event(7, {**EVENT, "capacity": COMMENT}),
        lambda client: client.create_event(7, {**EVENT, "date": COMMENT}),
        lambda client: book_once(client, 7, 1, {**BOOKING, "clients_count": NAME}),
    ],
)
@pytest.mark.parametrize("route_family", ["companies", "locations"])
def test_a_body_that_cannot_be_right(server, new_client, route_family, call) -> None:
    client = new_client(server.url, route_family=route_family)
    assert_holds_none(error_of(lambda: call(client)), SECRETS)
    assert server.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": f"https://{PARTNER}@api.example/"},
        {"base_url": PARTNER},
        {"partner_token": f"{PARTNER} and more"},
        {"user_token": f"{USER},"},
        {"route_family": PARTNER},
        {"timezone": USER},
        {"requests_per_second": PARTNER},
        {"requests_per_minute": USER},
        {"timeout": PARTNER},
        {"verify": PARTNER},
        {"allow_http": PARTNER},
        {"rate_limit_url": f"redis://:{PARTNER}@host:6379/0"},
        {"rate_limit_url": f"redis://host:{USER}/0"},
        {"rate_limit_url": PARTNER},
    ],
)
def test_a_client_that_cannot_be_made(wrong) -> None:
    given = {"base_url": "https://api.example/api/v2", "partner_token": PARTNER, "user_token": USER, **wrong}
    error = error_of(lambda: AltegioClient(**given))
    # Pieces of a URL's path and port are what its readers complain about.
    assert_holds_none(error, (PARTNER, USER, "0/9", "1/8", "partner-Token", "user-Token"))


def test_a_redis_that_does_not_take_the_password(server, new_client) -> None:
    url = redis_url().replace("redis://", f"redis://nobody:{PARTNER.split('/')[0]}@")
    client = new_client(server.url, rate_limit_url=url, requests_per_second=5)
    assert_holds_none(error_of(lambda: client.get_event(7, 1)), (*SECRETS, PARTNER.split("/")[0]))


def test_a_tool_that_prints_variables_shows_none_of_them(server, client) -> None:
    server.otherwise = FAULTS["422"]
    error = error_of(lambda: CALLS["book"](client))
    console = Console(width=200, file=io.StringIO(), record=True)
    shown = {"show_locals": True, "suppress": [__file__]}
    console.print(rich.traceback.Traceback.from_exception(type(error), error, error.__traceback__, **shown))
    text = console.export_text()
    assert "create_event_appointment" in text
    for secret in (PARTNER, USER, PHONE):
        assert secret not in text


def test_a_secret_shows_nothing_and_can_be_compared() -> None:
    secret = Secret("s3cret")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>5}", str({"a": [secret]})):
        assert "s3cret" not in shown
    assert secret == Secret(secret) != Secret("other")
    assert secret.reveal() == "s3cret"
    assert len({secret, Secret("s3cret")}) == 1


def test_forgetting_leaves_the_lines_and_takes_the_variables_of_the_whole_chain() -> None:
    def fail() -> None:
        secrets = ["inner"]
        try:
            raise ValueError("first")
        except ValueError as error:
            secrets.append("outer")
            raise KeyError("second") from error

    try:
        fail()
    except KeyError as error:
        clear_variables(error)
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append((trace.tb_frame.f_code.co_name, dict(trace.tb_frame.f_locals)))
            trace = trace.tb_next
    assert [name for name, _ in frames][-1] == "fail"
    assert frames[-1][1] == {}


def test_the_walk_itself_finds_what_hangs_on_an_exception() -> None:
    """A test that cannot fail would prove nothing."""

    class Holder:
        __slots__ = ("inside",)

        def __init__(self) -> None:
            self.inside = {"deep": [threading.Lock(), {"x": b"s3cret"}]}

    def fail() -> None:
        try:
            raise OSError(Holder())
        except OSError:
            raise ValueError("nothing here")  # noqa: B904

    with pytest.raises(ValueError, match="nothing") as caught:
        fail()
    assert "s3cret" in reachable_texts(caught.value)
