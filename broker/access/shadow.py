"""What a version would have changed while it was tried: its flips, among how many decisions."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from broker import limits
from broker.access.models import Decision, Flip, PolicySet, PolicyVersion


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """Of one version: how many decisions it was tried on, and how many of them it would have made otherwise."""

    version: PolicyVersion
    decisions: int
    would_permit: int
    would_deny: int
    failed: int
    """Decisions at which one of the rules as they would be failed. That is a no, so it can be among the others."""

    @property
    def flips(self) -> int:
        return self.would_permit + self.would_deny

    @property
    def sentence(self) -> str:
        """What an operator reads before the version comes into force."""
        told = f"would have changed {self.flips:,} of {self.decisions:,} decisions"
        if self.flips:
            told += f": {self.would_deny:,} to no, {self.would_permit:,} to yes"
        return f"{told}; failed at {self.failed:,}" if self.failed else told


def report(version: PolicyVersion) -> ShadowReport:
    """Count. Two queries over the decisions of the sets in which the version was tried."""
    sets = sets_trying(version)
    flips = Flip.objects.filter(version=version)
    turned = list(flips.values_list("would_be", "decision__decision", "has_failed"))
    return ShadowReport(
        version=version,
        decisions=Decision.objects.filter(policy_set__in=sets).count() if sets else 0,
        would_permit=sum(would_be and not was for would_be, was, _ in turned),
        would_deny=sum(was and not would_be for would_be, was, _ in turned),
        failed=sum(has_failed for _, _, has_failed in turned),
    )


def flips_of(version: PolicyVersion) -> QuerySet[Flip]:
    """Its flips with their decisions, the newest first."""
    return Flip.objects.filter(version=version).select_related("decision").order_by("-decision__at")


def sets_trying(version: PolicyVersion) -> list[int]:
    """The numbers of the sets beside which the version was tried."""
    sets = PolicySet.objects.filter(created_at__gte=version.created_at).order_by("number")
    return [one.number for one in sets if version.pk in list(one.candidates)[: limits.SHADOWS_PER_DECISION]]


def find_version(slug: str, number: int | None) -> PolicyVersion | None:
    """The named version of a policy; without a number the one that is tried, else the newest."""
    versions: Iterable[PolicyVersion] = PolicyVersion.objects.filter(policy__slug=slug).select_related("policy")
    if number is not None:
        return next((one for one in versions if one.number == number), None)
    newest_first = sorted(versions, key=lambda one: (one.state == PolicyVersion.State.CANDIDATE, one.number))
    return newest_first[-1] if newest_first else None
