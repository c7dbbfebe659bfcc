"""Lists at the edges: so short that they fit one answer, or from a server that has no pages."""

from __future__ import annotations

import pytest

from altegio_provider.api.errors import AltegioResponseError
from tests.unit.api.scripted import ok

#: One of them may be asked for ahead, in vain.
MOST_REQUESTS = 5


@pytest.fixture(params=["companies", "locations"])
def family(request) -> str:
    return request.param


def serve(server, rows: list[dict]) -> None:
    def page(conversation) -> None:
        query = dict(conversation.request.query)
        limit = int(query["limit"])
        start = int(query["offset"]) if "offset" in query else (int(query["page"]) - 1) * limit
        ok(rows[start : start + limit])(conversation)

    server.otherwise = page


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 20, 99])
def test_a_short_list_is_read_in_a_few_requests(server, new_client, family, count) -> None:
    rows = [{"id": number, "date": "2030-11-20 10:00:00"} for number in range(1, count + 1)]
    serve(server, rows)
    client = new_client(server.url, route_family=family)
    assert list(client.list_activities(7, "2030-11-20", "2030-11-21")) == rows
    assert len(server.requests) <= MOST_REQUESTS


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 20, 99])
def test_a_short_list_of_appointments_is_read_in_a_few_requests(server, new_client, count) -> None:
    rows = [{"id": number, "date": "2030-11-20T10:00:00"} for number in range(1, count + 1)]
    serve(server, rows)
    client = new_client(server.url, route_family="locations")
    assert list(client.list_appointments(7, event_id=5)) == rows
    assert len(server.requests) <= MOST_REQUESTS


def test_a_row_behind_the_two_that_came_first_is_not_missed(server, new_client) -> None:
    rows = [{"id": number, "date": "2030-11-20 10:00:00"} for number in (1, 2)]
    serve(server, rows)
    page = server.otherwise

    def add_a_row_before_the_third_answer(conversation) -> None:
        if len(server.requests) == 3:
            rows.append({"id": 3, "date": "2030-11-20 11:00:00"})
        page(conversation)

    server.otherwise = add_a_row_before_the_third_answer
    client = new_client(server.url, route_family="locations")
    assert [row["id"] for row in client.list_activities(7, "2030-11-20", "2030-11-21")] == [1, 2, 3]


def on_day(count: int, day: int = 20) -> list[dict]:
    return [{"id": number, "date": f"2030-11-{day} {number // 60:02}:{number % 60:02}:00"} for number in range(count)]


def pages_do_not_matter(rows: list[dict], *, ranges_matter: bool):
    def answer_with_all(conversation) -> None:
        query = dict(conversation.request.query)
        first, last = (query["filter[from]"], query["filter[to]"]) if ranges_matter else ("", "9")
        ok([row for row in rows if first <= row["date"] <= last])(conversation)

    return answer_with_all


@pytest.mark.parametrize("ranges_matter", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 301])
def test_a_server_that_has_no_pages_is_understood_in_a_few_requests(
    server, new_client, family, count, ranges_matter
) -> None:
    server.otherwise = pages_do_not_matter(on_day(count), ranges_matter=ranges_matter)
    rows = new_client(server.url, route_family=family).list_activities(7, "2030-11-20", "2030-11-21")
    assert [row["id"] for row in rows] == list(range(count))
    assert len(server.requests) <= 8


def test_a_server_without_pages_that_may_hide_rows_is_given_up_with_what_to_do(server, new_client) -> None:
    server.otherwise = pages_do_not_matter(on_day(1), ranges_matter=True)
    rows = new_client(server.url).list_activities(7, "2030-11-20", "2030-11-21", page_size=1)
    with pytest.raises(AltegioResponseError, match=r"every page with the same rows.*larger `page_size`"):
        list(rows)
    assert len(server.requests) < 100


@pytest.mark.parametrize("page_size", [2, 100])
def test_a_server_without_pages_that_might_hold_more_than_one_answer_is_read_by_time(
    server, new_client, page_size
) -> None:
    server.otherwise = pages_do_not_matter(on_day(page_size), ranges_matter=True)
    rows = new_client(server.url).list_activities(7, "2030-11-20", "2030-11-21", page_size=page_size)
    assert [row["id"] for row in rows] == list(range(page_size))
    assert len(server.requests) < 400


def test_a_server_that_heeds_neither_pages_nor_ranges_is_given_up_with_what_to_do(server, new_client) -> None:
    server.otherwise = pages_do_not_matter(on_day(100, day=28), ranges_matter=False)
    rows = new_client(server.url).list_activities(7, "2030-11-20", "2030-11-21", page_size=100)
    with pytest.raises(AltegioResponseError, match=r"every range of time with the same rows.*`host`"):
        list(rows)
    assert len(server.requests) < 20
