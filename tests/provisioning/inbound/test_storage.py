"""The core's own contract of a storage, on the directory."""

import pytest
from scim2_models import ScimPolicy, ScimProvider
from scim2_server.testing import SEARCH_FILTERS, ScimStorageContract

from broker.actors import SYSTEM
from provisioning.inbound import description
from provisioning.inbound.journal import Asked, Journal
from provisioning.inbound.storage import DirectoryStorage
from tests.provisioning.inbound.conftest import make_source

REFUSED = ("name pr", 'meta.created co "20"')
"""Filters that the contract lets a storage refuse; test_filters.py sees that we do."""


@pytest.mark.django_db
class TestDirectoryStorage(ScimStorageContract):
    """Every rule of the library, but for a search over several types at once, which is not offered."""

    test_search_at_the_root = None
    test_search_at_the_root_on_an_attribute_some_types_lack = None
    test_cursor_at_the_root = None

    @pytest.fixture
    def provider(self) -> ScimProvider:
        return description.provider("generic")

    @pytest.fixture(autouse=True)
    def _policy(self, provider):
        # The contract's own groups call their members something, which we keep nowhere (RFC 7643 section 4.2).
        with provider, provider.policy.model_copy(update={"unknown": ScimPolicy.Unknown.ignore}):
            yield

    @pytest.fixture
    def storage(self) -> DirectoryStorage:
        source = make_source()
        journal = Journal(source, actor=SYSTEM)
        journal.begin(Asked("POST", "Users"))
        return DirectoryStorage(source, actor=SYSTEM, journal=journal)

    @pytest.mark.parametrize("scim_filter", [one for one in SEARCH_FILTERS if one not in REFUSED])
    def test_search_filters_as_the_filter_evaluator(self, storage, provider, user_type, user_model, scim_filter):
        super().test_search_filters_as_the_filter_evaluator(storage, provider, user_type, user_model, scim_filter)
