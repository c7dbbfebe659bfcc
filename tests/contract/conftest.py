"""One suite, two targets: the sandbox always, and the server that ``ALTEGIO_CONTRACT_URL`` names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from altegio_provider.api import AltegioClient
from altegio_provider.api.http.retry import RetryPolicy
from tests.contract.contract import Contract
from tests.contract.requester import Requester
from tests.contract.target import Target, in_sandbox, named_in_environment
from tests.contract.wiretap import Wiretap

_FAMILIES = ("companies", "locations")
_NAMED = named_in_environment()


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The document and its judge."""
    return Contract()


@pytest.fixture(params=["sandbox"] if _NAMED is None else ["sandbox", "live"])
def target(request) -> Target:
    """Each server to try in turn."""
    if request.param == "live":
        assert _NAMED is not None
        return _NAMED
    return in_sandbox(request.getfixturevalue("altegio_sandbox"))


@pytest.fixture
def sandbox(target, altegio_sandbox):
    """The sandbox's control plane, for what no real location can be asked to do."""
    if not target.is_sandbox:
        pytest.skip("only the sandbox can be told to do this")
    return altegio_sandbox


@pytest.fixture
def memory(target) -> None:
    """For tests of what was done, and not only of the form of answers."""
    if target.is_mock:
        pytest.skip("a mock remembers nothing")


@pytest.fixture(params=_FAMILIES)
def family(request, target) -> str:
    """Each family of routes in turn."""
    if request.param not in target.families:
        pytest.skip(f"the target does not speak {request.param}")
    return request.param


@pytest.fixture
def requester(target, family, contract) -> Iterator[Requester]:
    """Plain requests to the target. Every answer that came must fit the document."""
    with Wiretap(target.url, target.pause_seconds, may_write=target.may_write) as tap:
        requester = Requester(target, family, contract, tap.url)
        yield requester
        requester.close()
    assert [complaint for one in tap.exchanges if (complaint := contract.complaint_about_answer(one))] == []


@pytest.fixture
def client_tap(target, contract) -> Iterator[Wiretap]:
    """What the client sends. Every request and every answer must fit the document."""
    with Wiretap(target.url, target.pause_seconds, may_write=target.may_write) as tap:
        yield tap
    complaints = [contract.complaint_about_request(one) for one in tap.exchanges]
    complaints += [contract.complaint_about_answer(one) for one in tap.exchanges]
    assert [complaint for complaint in complaints if complaint] == []


@pytest.fixture
def client(target, family, client_tap) -> Iterator[AltegioClient]:
    """The package's client, which tries everything once."""
    with AltegioClient(
        client_tap.url,
        target.partner_token,
        target.user_token,
        route_family=family,
        timezone="Europe/Riga",
        requests_per_second=0,
        requests_per_minute=0,
        retry=RetryPolicy(attempts=1),
    ) as client:
        yield client
