"""The document itself: sound, served, and about what the client and the sandbox have."""

from __future__ import annotations

import re
from urllib.request import urlopen

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from altegio_provider.api.routes import family_named
from altegio_provider.sandbox.app import ROUTES
from tests.contract.contract import DOCUMENT, WITHOUT_CLIENT
from tests.contract.wiretap import Exchange

FAMILIES = ("companies", "locations")


def unnamed(path: str) -> str:
    """A path without the names of its parameters."""
    return re.sub(r"{\w+}", "{}", path)


def test_it_is_an_openapi_document(contract):
    OpenAPIV31SpecValidator(contract.document).validate()
    assert contract.document["openapi"].startswith("3.1.")


def test_the_sandbox_serves_it(altegio_sandbox):
    root = altegio_sandbox.url.removesuffix("/api/v2")
    with urlopen(f"{root}/openapi.yaml", timeout=10) as answer:  # noqa: S310 - http to this machine
        assert answer.read() == DOCUMENT.read_bytes()
        assert answer.headers["Content-Type"] == "application/yaml"
    assert altegio_sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_it_has_the_operations_of_the_client_and_few_others(contract, family):
    operations = [one for one in contract.operations.values() if one.family == family]
    documented = {(one.name, one.method, one.path) for one in operations if one.name not in WITHOUT_CLIENT}
    assert documented == {
        (
            name,
            route.method,
            route.path.replace("{appointment_id}", "{record_id}") if "events" in route.path else route.path,
        )
        for name, route in family_named(family).routes.items()
    }


@pytest.mark.parametrize("family", [*FAMILIES, "v1"])
def test_it_has_the_operations_of_the_sandbox_and_no_others(contract, family):
    documented = {
        (one.method, unnamed(one.path), one.name) for one in contract.operations.values() if one.family == family
    }
    assert documented == {(method, unnamed(path), name) for method, path, name in ROUTES[family]}


def test_an_id_has_the_family_behind_it_where_both_have_the_operation(contract):
    names = [one.name for one in contract.operations.values()]
    for one in contract.operations.values():
        assert one.id == (f"{one.name}_{one.family}" if names.count(one.name) > 1 else one.name)


def test_every_operation_documents_the_headers_and_what_may_befall_any_request(contract):
    accept = {"$ref": "#/components/parameters/Accept"}
    assert contract.document["security"] == [{"BothTokens": []}]
    for one in contract.operations.values():
        entry = contract.document["paths"][one.path]
        if one.family == "v1":
            assert {"401", "402", "403", "429", "5XX"} <= set(one.statuses), one
            continue
        assert accept in entry["parameters"]
        assert {"400", "401", "402", "403", "404", "429", "5XX"} <= set(one.statuses), one
        assert ({"415", "422"} <= set(one.statuses)) or one.method in ("GET", "DELETE"), one
        assert "security" not in contract.document["paths"][one.path][one.method.lower()]


def test_nothing_in_it_is_left_unused(contract):
    text = DOCUMENT.read_text()
    for kind, things in contract.document["components"].items():
        if kind != "securitySchemes":
            for name in things:
                assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name}"


def test_a_request_that_does_not_fit_is_noticed(contract):
    headers = {"accept": "application/vnd.api.v2+json", "authorization": "x", "content-type": "application/json"}

    def complaint(path="/companies/1/activities", query=(), method="GET", headers=headers, body=b""):
        exchange = Exchange(method, path, list(query), headers, body, 200, {}, b"")
        return contract.complaint_about_request(exchange)

    day = [("filter[from]", "2026-11-20 00:00:00"), ("filter[to]", "2026-11-21 00:00:00")]
    assert complaint(query=day) is None
    assert complaint(query=[*day, ("filter[master_ids][]", "5,10")]) is None
    assert complaint("/locations/1/events", [*day, *[("filter[master_ids][]", "5")] * 2]) is None
    for wrong in (
        complaint(query=day[:1]),
        complaint(query=[day[0], ("filter[to]", "2026-11-21")]),
        complaint(query=[*day, ("limit", "0")]),
        complaint(query=[*day, ("page", "1")]),
        complaint(query=[*day, *[("filter[master_ids][]", "5")] * 2]),
        complaint(query=[*day, ("filter[master_ids][]", "5,x")]),
        complaint("/locations/1/events", [*day, ("filter[master_ids][]", "5,10")]),
        complaint(query=day, headers={"authorization": "x"}),
        complaint(query=day, headers=headers | {"accept": "application/json"}),
        complaint(query=day, headers={"accept": headers["accept"]}),
        complaint("/companies/x/activities", day),
        complaint("/companies/1/events", day),
        complaint("/companies/1/activities/2/records", method="POST", body=b'{"clients_count": 1}'),
    ):
        assert wrong
