"""The tree of errors: what each class means to whoever catches it, and that it survives the way to another process."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from altegio_provider.api import errors
from altegio_provider.api.errors import (
    AltegioConnectionError,
    AltegioError,
    AltegioNotSentError,
    AltegioOutcomeUnknownError,
    AltegioRateLimitError,
    AltegioResponseError,
    AltegioServerError,
    AltegioValidationError,
)
from tests.unit.api.scripted import answer, page, reset

LEAVES = [getattr(errors, name) for name in errors.__all__]
DETAILS = {
    "method": "POST",
    "path": "/companies/7/activities",
    "status": 422,
    "message": "no",
    "errors": {"x": ["odd", "late"]},
    "body": "{}",
    "hint": "do this",
}


@pytest.mark.parametrize("leaf", LEAVES)
def test_an_error_survives_pickling_and_copying_with_all_it_carries(leaf) -> None:
    error = leaf("it failed.", **DETAILS)
    error.attempts = 3
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - just written
        assert type(twin) is leaf
        assert str(twin) == str(error)
        assert twin.__dict__ == error.__dict__


def test_what_a_server_asked_for_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(AltegioRateLimitError("429.", retry_after=7.0)))  # noqa: S301 - just written
    assert error.retry_after == 7.0
    assert "7 s" in str(error)


def test_a_final_refusal_to_a_name_survives_pickling(tls_server, new_client) -> None:
    with pytest.raises(AltegioNotSentError) as caught:
        new_client(tls_server.url).get_event(7, 5)
    twin = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - just written
    assert (twin.transient, str(twin)) == (False, str(caught.value))


@pytest.mark.parametrize("action", [page(502), reset, answer(422, {"meta": {"errors": {"x": ["odd"]}}})])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_error_from_the_wire_survives_pickling(server, new_transport, action, method) -> None:
    server.otherwise = action
    with pytest.raises(AltegioError) as caught:
        new_transport(server.url, retry={"attempts": 2}).request(method, "/companies/7/activities")
    twin = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - just written
    assert type(twin) is type(caught.value)
    assert (str(twin), twin.__dict__) == (str(caught.value), caught.value.__dict__)


def test_the_text_names_the_request_what_happened_what_was_said_and_what_to_do() -> None:
    error = AltegioValidationError("refused (HTTP 422).", **DETAILS)
    error.attempts = 2
    assert str(error) == (
        "POST /companies/7/activities: refused (HTTP 422). The API said: 'no'. x: odd; late. Tried 2 times. do this"
    )


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_bare_error_has_a_bare_text(leaf) -> None:
    assert str(leaf("it failed.", hint="")) == "it failed."


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf not in (AltegioError, errors.AltegioAuthError)])
def test_each_class_says_what_to_do(leaf) -> None:
    assert str(leaf("it failed.")) == f"it failed. {leaf.default_hint}"
    assert leaf.default_hint.endswith(".")


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    drawn = re.findall(r"^ {4}([│├└─ ]*)(Altegio\w*Error) ", errors.__doc__.replace("\n", " \n"), re.MULTILINE)
    assert {name for _, name in drawn} == set(errors.__all__)
    parents: list[str] = []
    for branch, name in drawn:
        depth = len(branch) // 4
        del parents[depth:]
        if parents:
            assert issubclass(getattr(errors, name), getattr(errors, parents[-1]))
        parents.append(name)


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_lost_answer_is_never_transient_and_the_rest_keeps_its_parents_word(leaf) -> None:
    if issubclass(leaf, AltegioOutcomeUnknownError):
        assert not leaf.transient
        assert "look before" in leaf.default_hint
    else:
        assert leaf.transient == issubclass(
            leaf, AltegioRateLimitError | AltegioServerError | AltegioConnectionError | AltegioResponseError
        )


def test_every_leaf_is_one_of_ours_and_a_wrong_argument_is_a_value_error_too() -> None:
    assert all(issubclass(leaf, AltegioError) for leaf in LEAVES)
    assert issubclass(AltegioValidationError, ValueError)
    defined = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert defined == set(errors.__all__)
