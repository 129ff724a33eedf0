"""The tokens of sources among what ends."""

from collections.abc import Iterable

from django.db.models import Max

from broker.console.expiries import Expiry
from provisioning.inbound.models import SourceToken


def read_expiries() -> Iterable[Expiry]:
    """For each source in use, its token that ends last: the source is mute from then on."""
    tokens = SourceToken.objects.filter(source__enabled=True, source__retired_at=None)
    ends = tokens.order_by("source__slug").values_list("source", "source__slug").annotate(ends=Max("expires_at"))
    for source, slug, ends_at in ends:
        yield Expiry(
            "SCIM token", slug, "the last of this source", ends_at, ("admin:inbound_scimsource_change", str(source))
        )
