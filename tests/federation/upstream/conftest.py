"""Globex, whose OpenID provider may do anything wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.directory.models import Person
from broker.sessions.models import Session
from broker.traces.models import Trace
from tests.fakes.fake_op import FakeOpenIDProvider, running
from tests.flows.openid_stage import OpenIDCompany, make_openid_company
from tests.flows.stage import Browser


@pytest.fixture
def fake_op(settings: Any) -> Iterator[FakeOpenIDProvider]:
    """A running OpenID provider."""
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running() as provider:
        yield provider


@pytest.fixture
def company(fake_op: FakeOpenIDProvider) -> OpenIDCompany:
    """Globex."""
    return make_openid_company(fake_op)


@pytest.fixture
def refusal_of(company: OpenIDCompany) -> Callable[..., tuple[int, str]]:
    """`refusal_of(claims=…)`: status and code of a sign-on that must open no door and know nobody."""

    def sign_on(**options: Any) -> tuple[int, str]:
        response = company.sign_on(Browser(), **options)
        assert "Location" not in response, response["Location"]
        assert not Session.objects.exists()
        assert not Person.objects.exists()
        trace = Trace.objects.get(pk=response["Countersign-Trace"])
        assert trace.code in response.content.decode()
        return response.status_code, trace.code

    return sign_on
