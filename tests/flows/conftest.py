"""What the stories share: an OpenID provider on loopback, which the way out may reach."""

from collections.abc import Iterator

import pytest

from tests.fakes.fake_op import FakeOpenIDProvider, running


@pytest.fixture
def fake_op(settings: pytest.FixtureRequest) -> Iterator[FakeOpenIDProvider]:
    """A running OpenID provider."""
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running() as provider:
        yield provider
