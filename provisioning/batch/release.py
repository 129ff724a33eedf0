"""Closing the many whom a full file does not name any more: a second operator decides (broker.approvals)."""

from collections.abc import Mapping
from typing import Any

from broker.actors import Actor
from broker.approvals.models import Approval
from broker.approvals.services import request_approval
from broker.errors import BrokerError
from provisioning.batch.models import Import
from provisioning.batch.services import close_missing, keep_missing, missing_of

APPROVAL = "import.closing"


def ask_for_release(run: Import, *, actor: Actor) -> Approval:
    """Ask a second operator to close whom the file does not name. Raises BrokerError."""
    return request_approval(
        APPROVAL,
        subject=("import", run.pk),
        title=f"Close {run.missing} people whom {run.file_name} of {run.source.slug} does not name",
        before={"named by the files": run.missing + run.changed + run.unchanged},
        after={"closed": run.missing, "rows rejected": run.rejected},
        actor=actor,
    )


class Handler:
    """See broker.approvals.handlers."""

    page = "admin:batch_import_change"

    def content(self, subject_id: str) -> Mapping[str, Any] | None:
        """The import as it is held, and whom it would close."""
        run = Import.objects.select_for_update(of=("self",)).filter(pk=subject_id, state=Import.State.HELD).first()
        if run is None:
            return None
        return {"import": run.pk, "digest": run.digest, "missing": list(missing_of(run).values_list("key", flat=True))}

    def activate(self, subject_id: str, *, proposed_by: str, approved_by: str, actor: Actor) -> None:  # noqa: ARG002 - as the protocol has it
        """Close them."""
        run = Import.objects.get(pk=subject_id)
        if run.state != Import.State.HELD:
            raise BrokerError("approval.nothing", actual=f"import {run.pk}")
        close_missing(run, actor=actor)

    def refuse(self, subject_id: str, *, actor: Actor, reason: str) -> None:  # noqa: ARG002 - the approval keeps it
        """Leave them as they are."""
        keep_missing(Import.objects.get(pk=subject_id), actor=actor)


HANDLER = Handler()
