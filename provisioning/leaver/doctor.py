"""What the doctor asks of leavers' cases."""

from django.utils import timezone

from broker import limits
from broker.findings import Finding
from provisioning.leaver.models import Case

NAMED = 5


def check_leavers() -> list[Finding]:
    """Whether a case is red, and whether open ones are looked at."""
    red = Case.objects.filter(closed_at=None, state__in=Case.RED).order_by("state_since")
    live = Case.objects.filter(closed_at=None)
    findings = []
    if count := red.count():
        named = ", ".join(str(pk) for pk in red.values_list("pk", flat=True)[:NAMED])
        findings.append(
            Finding(
                "leavers",
                "fault",
                f"{count} cases are late or reopened: {named}{' and more' if count > NAMED else ''}",
                "see the console's page of each case: it names what is open, and what keeps it open",
            )
        )
    late = timezone.now() - limits.LEAVER_LOOK_INTERVAL_LATER * 5
    if waiting := live.filter(look_at__lt=late).count():
        text = f"{waiting} cases were not looked at when their time came"
        remedy = "start the worker with its scheduler, and look into its log"
        findings.append(Finding("leavers: looking", "fault", text, remedy))
    if not findings:
        open_ones = live.filter(state=Case.State.OPEN).count()
        text = f"{live.count()} cases are watched, {open_ones} of them open, none late or reopened"
        findings.append(Finding("leavers", "ok", text))
    return findings
