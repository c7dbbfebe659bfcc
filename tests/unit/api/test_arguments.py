"""Flags and integers are read in one way, wherever they come from: an argument, a template, a form or a file."""

from __future__ import annotations

import json

import pytest

from altegio_provider.api.arguments import checked_flag, checked_integer
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.compat import Connection
from altegio_provider.hooks.connection import ConnectionSettings


@pytest.mark.parametrize(
    ("given", "flag"),
    [(True, True), ("True", True), (" yes ", True), ("1", True), (False, False), ("FALSE", False), ("off", False)],
)
def test_a_flag_is_the_same_as_an_argument_and_in_a_connection(given, flag) -> None:
    extra = json.dumps({"user_token": "user", "allow_http": given, "verify": given})
    settings = ConnectionSettings.of(Connection(conn_id="c", conn_type="altegio", password="partner", extra=extra))
    assert (checked_flag("x", given), settings.allow_http, settings.verify) == (flag, flag, flag)


@pytest.mark.parametrize("given", ["maybe", "", None, 1, 0, [True], "truefalse"])
def test_what_is_no_flag_is_refused_and_not_repeated(given) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_flag("x", given)
    assert str(caught.value) == "x must be true or false."


@pytest.mark.parametrize("given", ["", None, "None", " "])
def test_an_absent_flag_is_its_default(given) -> None:
    assert checked_flag("x", given, default=True) is True
    assert checked_flag("x", given, default=False) is False


@pytest.mark.parametrize("given", [5, "5", " 5 ", "0005"])
def test_an_integer_may_be_text(given) -> None:
    assert checked_integer("x", given) == 5


def test_an_error_says_a_problem_once() -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_integer("x", "many", least=1, most=64)
    assert str(caught.value) == "x must be a whole number of 1 to 64."
    assert caught.value.errors == {"x": ["must be a whole number of 1 to 64"]}
