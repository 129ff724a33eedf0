"""A target in a process of its own, and the way there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from provisioning.outbound.models import Target
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.fakes.scim_target.running import ScimTarget
from tests.provisioning.planning import house

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[ScimTarget]:
    with ScimTarget(tmp_path / "crm.log", fast=True, token=house.TOKEN) as target:
        yield target


@pytest.fixture(autouse=True)
def _a_way_to_loopback(settings: Settings) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def target(db: None, fake: ScimTarget) -> Target:
    return house.make_target(fake.base_url)
