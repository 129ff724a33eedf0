"""scim2-tester against the whole application, in this process."""

from collections.abc import Iterator

import httpx2
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ScimProvider
from scim2_tester import Status, check_server

from broker.actors import SYSTEM
from provisioning.inbound.tokens import issue_token
from tests.provisioning.inbound.conftest import make_source

ENOUGH_CHECKS = 100


@pytest.fixture
def _connections_stay() -> Iterator[None]:
    """As Django's own test client sees to it: a request of the test's closes no connection of the test's."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.usefixtures("_connections_stay")
@pytest.mark.parametrize("dialect", ["generic", "entra", "okta"])
def test_every_check_of_the_tester_passes(dialect: str) -> None:
    token = issue_token(make_source(dialect=dialect), actor=SYSTEM)
    with httpx2.Client(
        transport=httpx2.WSGITransport(app=get_wsgi_application()),
        base_url="http://localhost:8000/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
    ) as http:
        results = check_server(SyncSCIMClient(http, provider=ScimProvider()))
    # A search over Users and Groups at once is optional (RFC 7644 section 3.4.2.1), and refused with 501.
    results = [one for one in results if (one.title, one.status) != ("search_with_attributes", Status.SKIPPED)]
    passed = [one for one in results if one.status in {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}]
    failed = [f"{one.status.name} {one.title}: {one.reason}" for one in results if one not in passed]
    assert not failed, "\n".join(failed)
    assert len(passed) >= ENOUGH_CHECKS
