"""What the doctor asks of policies."""

from broker import limits
from broker.access.in_force import policies_in_force
from broker.access.models import PolicyVersion
from broker.findings import Finding


def check_policies() -> list[Finding]:
    """The set in force can be asked, every policy in it has an owner, and every candidate is tried."""
    held = policies_in_force()
    if held.fault:
        remedy = "Until it is mended everything is denied, sign-ons too: bring a version that compiles into force."
        return [Finding("policies", "fault", f"policy set {held.policy_set.number}: {held.fault}", remedy)]
    active = PolicyVersion.objects.filter(state=PolicyVersion.State.ACTIVE)
    findings = []
    orphans = sorted(active.filter(policy__owner="").values_list("policy__slug", flat=True))
    if orphans:
        findings.append(
            Finding("policies", "warning", f"nobody owns {', '.join(orphans)}", "Name an owner in the console.")
        )
    waiting = len(held.policy_set.candidates) - limits.SHADOWS_PER_DECISION
    if waiting > 0:
        findings.append(
            Finding("policies", "warning", f"{waiting} candidates are not tried: too many are", "End some trials.")
        )
    text = f"policy set {held.policy_set.number} with {len(held.compiled.rules)} rules is in force"
    return findings or [Finding("policies", "ok", text)]
