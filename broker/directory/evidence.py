"""Evidence of a value, as the console links it: `kind:id`, where settings.EVIDENCE_PAGES knows the kind."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from broker.directory.authority import Explanation, Said


@dataclass(frozen=True, slots=True)
class Shown:
    """What one source says, with the address of its evidence, "" for none."""

    said: Said
    at: datetime
    address: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One attribute for the console."""

    attribute: str
    values: tuple[str, ...]
    winner: str
    rule: str
    sources: tuple[Shown, ...]


def with_addresses(explanations: Iterable[Explanation]) -> list[Explained]:
    """The explanations as a page shows them."""
    return [
        Explained(
            one.attribute,
            one.values,
            one.winner,
            one.rule,
            tuple(Shown(said, datetime.fromisoformat(said.at), address_of(said.evidence)) for said in one.sources),
        )
        for one in explanations
    ]


def address_of(evidence: str) -> str:
    """The page of a piece of evidence; "" where there is none."""
    kind, _, key = evidence.partition(":")
    name = settings.EVIDENCE_PAGES.get(kind, "")
    if not name or not key:
        return ""
    try:
        if name.endswith("_changelist"):
            return f"{reverse(name)}?q={quote(key)}"
        return reverse(name, args=[key])
    except NoReverseMatch:
        return ""
