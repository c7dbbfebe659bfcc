"""What Airflow moved between its versions, in one place; and which errors a retry can mend."""

from __future__ import annotations

import pickle

import pytest

from altegio_provider import compat
from altegio_provider.api import errors

LEAVES = [getattr(errors, name) for name in errors.__all__ if name != "AltegioError"]


@pytest.mark.parametrize("name", compat.__all__)
def test_every_name_is_found(name):
    assert getattr(compat, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="BaseHok"):
        compat.BaseHok  # noqa: B018


@pytest.fixture
def retries():
    """Airflow's module of retry policies."""
    return pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow has them from 3.3 on")


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_policy_retries_what_may_pass_and_nothing_that_could_be_done_twice(leaf, retries):
    policy = compat.retry_policy()
    assert policy is not None
    decision = policy.evaluate(leaf("summary"), try_number=1, max_tries=3)
    may_pass = leaf.transient and not issubclass(leaf, errors.AltegioOutcomeUnknownError)
    assert decision.action is (retries.RetryAction.RETRY if may_pass else retries.RetryAction.FAIL)


def test_other_exceptions_are_left_to_the_task(retries):
    policy = compat.retry_policy()
    assert policy is not None
    assert policy.evaluate(ValueError("x"), try_number=1, max_tries=3).action is retries.RetryAction.DEFAULT


def test_the_policy_survives_serialization(retries):
    policy = compat.retry_policy()
    assert isinstance(policy, retries.ExceptionRetryPolicy)
    again = retries.ExceptionRetryPolicy.deserialize(policy.serialize())
    assert again.serialize() == policy.serialize()
    assert pickle.loads(pickle.dumps(policy)).serialize() == policy.serialize()  # noqa: S301
    assert again.evaluate(errors.AltegioAuthError("x"), 1, 3).action is retries.RetryAction.FAIL


def test_before_airflow_3_3_there_is_no_policy(monkeypatch):
    monkeypatch.setattr(compat, "AIRFLOW_V_3_3_PLUS", False)
    assert compat.retry_policy() is None
