"""What the doctor looks at among the targets: credentials, probes, lanes, accounts left open, and liars."""

from collections.abc import Sequence

from broker.delivery.models import Lane
from broker.findings import Finding, listed
from provisioning.outbound.connectors.base import Capabilities, TargetError
from provisioning.outbound.credentials import credential_of
from provisioning.outbound.health import health_of
from provisioning.outbound.models import Target

NAME = "targets"


def check_targets() -> list[Finding]:
    """Whether each target in use can be written to, and holds what it should."""
    live = list(Target.objects.filter(enabled=True, retired_at=None).order_by("slug"))
    if not live:
        return [Finding(NAME, "ok", "0 are registered")]
    found = [*_check_credentials(live), *_check_probes(live), *_check_health(live)]
    return found or [Finding(NAME, "ok", f"{len(live)} are in use, and hold what they should as far as was read")]


def _check_credentials(live: Sequence[Target]) -> list[Finding]:
    bad = [target.slug for target in live if not _opens(target)]
    if not bad:
        return []
    text = f"whose credential is missing or does not open: {listed(bad)}"
    return [Finding(NAME, "fault", text, "Enter the credential in the console, under the target.")]


def _opens(target: Target) -> bool:
    try:
        return bool(credential_of(target))
    except TargetError:
        return False


def _check_probes(live: Sequence[Target]) -> list[Finding]:
    found = []
    if never := [target.slug for target in live if target.probed_at is None]:
        found.append(Finding(NAME, "warning", f"never probed: {listed(never)}", "Run manage.py probe_target TARGET."))
    if odd := [target.slug for target in live if target.probed_at and not Capabilities.of(target.capabilities).closes]:
        text = f"that do not close accounts, as their probe found: {listed(odd)}"
        found.append(Finding(NAME, "warning", text, "Set the policy for leavers to delete, or have the target mended."))
    if nobody := [target.slug for target in live if not target.scope]:
        text = f"where nobody belongs: {listed(nobody)}"
        found.append(Finding(NAME, "warning", text, "Say who belongs there (scope), or disable the target."))
    return found


def _check_health(live: Sequence[Target]) -> list[Finding]:
    health = health_of(live)
    found = []
    if stopped := [one.slug for one in live if health[one.pk].lane == Lane.State.STOPPED]:
        text = f"whose lane is stopped: {listed(stopped)}"
        found.append(Finding(NAME, "fault", text, "Mend the credential in the console; the lane goes on then."))
    if liars := [one.slug for one in live if health[one.pk].lied]:
        text = f"that said they had closed an account, and had not: {listed(liars)}"
        found.append(Finding(NAME, "fault", text, "Close the account there by hand, and have the target mended."))
    if left := [f"{one.slug} ({health[one.pk].closing})" for one in live if health[one.pk].closing]:
        text = f"with accounts that should be closed and were not read so: {listed(left)}"
        found.append(Finding(NAME, "warning", text, "Look at the deliveries of the target's lane."))
    if dead := [f"{one.slug} ({health[one.pk].dead})" for one in live if health[one.pk].dead]:
        text = f"with deliveries that were given up: {listed(dead)}"
        found.append(Finding(NAME, "warning", text, "Retry them or write them off in the console."))
    return found
