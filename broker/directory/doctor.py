"""What the doctor asks of attribute authority."""

from django.utils import timezone

from broker import limits
from broker.directory.models import AuthorityRule, Conflict
from broker.findings import Finding

State = AuthorityRule.State


def check_authority() -> list[Finding]:
    """Rules that have begun are applied to everybody in time, to somebody, and conflicts are seen by somebody."""
    findings = []
    begun = timezone.now() - limits.AUTHORITY_APPLIED_WITHIN
    late = AuthorityRule.objects.filter(state__in=[State.SCHEDULED, State.APPLYING], valid_from__lt=begun)
    if names := sorted(set(late.values_list("attribute", flat=True))):
        remedy = "See that the scheduler and a worker run: they apply a rule within minutes of its beginning."
        findings.append(
            Finding("authority", "warning", f"rules over {', '.join(names)} are not applied to everybody", remedy)
        )
    vain = AuthorityRule.objects.filter(state=State.APPLIED, checked=0).exclude(sources=[])
    if names := sorted(set(vain.values_list("attribute", flat=True))):
        findings.append(
            Finding(
                "authority",
                "warning",
                f"when the rules over {', '.join(names)} were applied, nobody was there to be checked",
                "Compare the names of attributes with those on a person's page, if people were there by then.",
            )
        )
    waiting = Conflict.objects.filter(state=Conflict.State.OPEN).count()
    if waiting:
        findings.append(
            Finding(
                "authority",
                "warning",
                f"{waiting} conflicts of sources are open",
                "Settle them in the console: mend the source, keep what is in force, or let the source win.",
            )
        )
    return findings or [Finding("authority", "ok", "every rule of authority is applied, and no conflict is open")]
