"""One identity provider, one login request, and the guard asked about answers to it."""

import pytest

from tests.federation.saml.desk import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()
