"""Requests that nobody would write, generated from the document, against the sandbox."""

from __future__ import annotations

import itertools
import re

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.contract import OPERATIONS
from tests.contract.requester import ACCEPT, Requester
from tests.contract.target import in_sandbox
from tests.contract.wiretap import BASE

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
HEADERS = {"Accept": ACCEPT, "Authorization": "Bearer sandbox-partner, User sandbox-user"}

#: What stands for something that has to be there. No document can say which.
REAL_QUERY = {"filter[from]": "2040-05-01 00:00:00", "filter[to]": "2040-05-02 00:00:00"}
TWO_ENDS = {"filter[date_intersect_from]", "filter[date_intersect_to]"}
REAL_BODY = {
    "staff_id": 1001,
    "service_id": 1101,
    "resource_instance_ids": [1201],
    "label_ids": [],
    "date": "2040-05-02 10:00:00",
    "reschedule_activity_id": 778,
    "dates": ["2040-05-03T10:00:00"],
}
#: The fields with a rule that no schema can hold: the places that are free, one time before another, a day that is
#: none, a part that is longer than the whole, a length of years, white space in other alphabets, a product that is in
#: another booking.
BEYOND_SCHEMAS = {
    "clients_count",
    "client.email",
    *TWO_ENDS,
    "client.birthday",
    "technical_break_duration",
    "length",
    "attendance_good_items.N.id",
}

few = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def generators(contract):
    """For each operation what makes requests of it."""
    schema = schemathesis.openapi.from_dict(contract.document)
    schema.config.generation.update(allow_extra_parameters=False)  # which nobody refuses
    operations = [found.ok() for found in schema.get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in operations}


@pytest.fixture
def session():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(params=OPERATIONS.values(), ids=str)
def operation(request):
    """Each operation in turn."""
    return request.param


@pytest.fixture
def send(operation, altegio_sandbox, session, contract):
    """Send a generated request, after what it is about has been made."""
    altegio_sandbox.add_events(1001, [{"id": n, "date": "2040-05-01T10:00:00", "capacity": 10**6} for n in (777, 778)])
    phones = itertools.count(12025550000)  # who is in a class cannot be moved to it once more
    booker = Requester(in_sandbox(altegio_sandbox), "locations", contract, altegio_sandbox.url)

    def send(case, is_real):
        if is_real:
            real = {"location_id": 1001, "event_id": 777}
            if operation.name in ("update_event_appointment", "reschedule_event_appointment", "delete_appointment"):
                real["record_id"] = real["appointment_id"] = booker.appointment(777, phone=str(next(phones)))
            if operation.name == "delete_event":
                (real["event_id"],) = altegio_sandbox.add_events(1001, [{"date": "2040-05-01T10:00:00"}])
            case.path_parameters = {name: real[name] for name in case.path_parameters}
        base_url = altegio_sandbox.url.removesuffix(BASE) + operation.base
        return case.call(base_url=base_url, session=session, headers=HEADERS)

    return send


def is_wrong_beside_its_path(case):
    return any(
        part.mode is NEGATIVE and where.value in ("query", "body") for where, part in case.meta.components.items()
    )


def with_real(given_, real):
    """Put what is there in place of what was made up, and numbers as every program writes them."""
    if not isinstance(given_, dict):
        return given_
    is_half = len(TWO_ENDS & given_.keys()) == 1
    return {name: real.get(name, _usual(value)) for name, value in given_.items() if not (is_half and name in TWO_ENDS)}


def _usual(value):
    if isinstance(value, dict):
        return {name: _usual(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_usual(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    usual = int(value) if value == int(value) else value
    return usual if usual < 2**53 else usual % 2**20 + 1


def test_whatever_is_wrong_is_refused_as_documented(generators, operation, send):
    seen = set()

    @few
    @given(generators[operation.id].as_strategy(generation_mode=NEGATIVE))
    def run(case):
        answer = send(case, is_real=is_wrong_beside_its_path(case))
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    run()
    if operation.writes and operation.method != "DELETE":
        assert 422 in seen


def test_whatever_is_right_is_taken_unless_a_rule_forbids_it_that_no_schema_can_hold(generators, operation, send):
    seen = set()

    @few
    @given(generators[operation.id].as_strategy(generation_mode=POSITIVE), st.booleans())
    def run(case, is_real):
        if is_real:
            case.query, case.body = with_real(case.query, REAL_QUERY), with_real(case.body, REAL_BODY)
        answer = send(case, is_real)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)
        if is_real and answer.status_code >= 300:
            assert answer.status_code in (409, 422)
        if is_real and answer.status_code == 422:
            named = {re.sub(r"\.[0-9]+\.", ".N.", name) for name in answer.json()["meta"]["errors"]}
            assert named <= BEYOND_SCHEMAS, answer.text

    run()
    # Which of the made requests hit something that is there is chance; that all of them are refused as wrong is not.
    assert any(200 <= status < 300 or status in (404, 409, 422) for status in seen)
