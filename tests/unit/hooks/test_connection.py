"""An Airflow connection becomes a client's settings, or one error that names the field."""

from __future__ import annotations

import json

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.compat import Connection
from altegio_provider.hooks.connection import ConnectionSettings


def connection(password: str | None = "partner", host: str | None = None, **extra: object) -> Connection:
    extra.setdefault("user_token", "user")
    return Connection(conn_id="c", conn_type="altegio", host=host, password=password, extra=json.dumps(extra))


def test_what_is_not_said_has_the_documented_default() -> None:
    settings = ConnectionSettings.of(connection())
    assert settings.base_url == "https://api.alteg.io/api/v2"
    assert (settings.route_family, settings.timezone, settings.location_id) == ("companies", "UTC", None)
    assert (settings.requests_per_second, settings.requests_per_minute, settings.rate_limit_url) == (5, 200, None)
    assert (settings.timeout, settings.verify) == (30.0, True)


@pytest.mark.parametrize("nothing", [0, None, "0"])
def test_no_limit_is_said_with_zero_or_null(nothing) -> None:
    settings = ConnectionSettings.of(connection(requests_per_second=nothing, requests_per_minute=nothing))
    assert not settings.requests_per_second
    assert not settings.requests_per_minute


def test_an_empty_field_of_the_form_means_the_default() -> None:
    settings = ConnectionSettings.of(connection(requests_per_minute="", timezone="", location_id="", timeout=""))
    assert (settings.requests_per_minute, settings.timezone, settings.location_id) == (200, "UTC", None)


def test_numbers_may_be_text() -> None:
    settings = ConnectionSettings.of(connection(location_id="1001", requests_per_minute="100", timeout="12.5"))
    assert (settings.location_id, settings.requests_per_minute, settings.timeout) == (1001, 100, 12.5)


def test_a_host_without_scheme_is_https() -> None:
    assert ConnectionSettings.of(connection(host="api.alteg.io/api/v2")).base_url == "https://api.alteg.io/api/v2"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("location_id", "riga"),
        ("location_id", 1.5),
        ("requests_per_second", -1),
        ("requests_per_minute", "many"),
        ("timeout", 0),
        ("timeout", "soon"),
        ("verify", 5),
        ("timezone", 3),
        ("user_token", ""),
    ],
)
def test_a_wrong_field_is_named(field, value) -> None:
    with pytest.raises(AltegioValidationError, match=field) as caught:
        ConnectionSettings.of(connection(**{field: value}))
    assert "'c'" in str(caught.value)


def test_a_missing_partner_token_is_named() -> None:
    with pytest.raises(AltegioValidationError, match="partner token"):
        ConnectionSettings.of(connection(password=None))


def test_settings_never_show_a_token() -> None:
    settings = ConnectionSettings.of(connection(password="s3cret-partner", user_token="s3cret-user"))
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("time_zone", "timezone"),
        ("Timezone", "timezone"),
        ("location", "location_id"),
        ("request_per_minute", "requests_per_minute"),
    ],
)
def test_an_unknown_field_of_the_extra_is_named_with_the_nearest_right_one(name, meant) -> None:
    with pytest.raises(AltegioValidationError, match=f"{name}.*did you mean '{meant}'"):
        ConnectionSettings.of(connection(**{name: "Europe/Riga"}))


def test_an_unknown_field_that_resembles_none_is_not_repeated() -> None:
    with pytest.raises(AltegioValidationError, match="unknown field; the fields are user_token") as caught:
        ConnectionSettings.of(connection(**{"9f8e7d6c5b4a": 1}))
    assert "9f8e7d6c5b4a" not in str(caught.value)
