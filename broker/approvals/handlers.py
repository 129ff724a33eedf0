"""What the rooms give to this one: how a thing of theirs is read and brought into force."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from broker.actors import Actor


class Handler(Protocol):
    """One kind of thing that needs an approval. Its functions run inside the transaction of the decision."""

    page: str
    """The name of the console page of such a thing, which takes its id; empty when there is none."""

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        """Exactly what would come into force, as it stands now, in values of JSON; None when it is gone.

        The row is locked until the transaction ends. Leave out what use alone changes.
        """
        ...

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:
        """Bring it into force. `proposed_by` and `approved_by` are operators' e-mails. May raise BrokerError."""
        ...

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:
        """Note on the thing itself that it was refused, where that means something. The approval keeps the reason."""
        ...


def handler_of(kind: str) -> Handler:
    """The handler that settings.APPROVAL_HANDLERS names. Raises KeyError for an unknown kind: our own fault."""
    return cast(Handler, import_string(settings.APPROVAL_HANDLERS[kind]))


def digest_of(content: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the content as JSON with sorted members."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
