"""A target for each test, and the networks that may be reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.outbound.desk import TOKEN, Desk


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[ScimTarget]:
    with ScimTarget(tmp_path / "target.log", fast=True, token=TOKEN) as target:
        yield target


@pytest.fixture
def desk(there: ScimTarget, db: None) -> Desk:
    return Desk(there)
