"""Targets and applications that the tests play, a seal log of their own, and the ledger's own way to carry."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning.leaver import reading
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.provisioning.leaver.places import PLACES, Places, read_back
from tests.provisioning.leaver.stage import Leaver, make_leaver

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]


@pytest.fixture(autouse=True)
def places(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    settings.DELIVERY_HANDLERS = {
        "scim": "tests.provisioning.leaver.places.SCIM",
        "logout.oidc": "tests.provisioning.leaver.places.APPLICATIONS",
        "logout.saml": "tests.provisioning.leaver.places.APPLICATIONS",
        "leaver.read": "provisioning.leaver.reading.HANDLER",
    }
    settings.EVENT_READERS = {
        name: [reader for reader in readers if "leaver" in reader or "logout" in reader]
        for name, readers in settings.EVENT_READERS.items()
        if name != "*"
    }
    monkeypatch.setattr(reading, "read_back", read_back)
    PLACES.reset()
    yield PLACES
    PLACES.reset()


@pytest.fixture
def log(tmp_path: Path, settings: Any) -> Path:
    settings.SEAL_LOG = tmp_path / "seals.log"
    return tmp_path / "seals.log"


@pytest.fixture
def leaver(db: None) -> Leaver:
    return make_leaver()
