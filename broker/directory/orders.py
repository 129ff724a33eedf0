"""The rules of authority that are in force, remembered like parties are."""

from collections.abc import Callable
from datetime import datetime

from broker.directory.models import AuthorityRule
from broker.directory.provenance import USUAL, Order
from broker.registry.cache import parties

Orders = Callable[[str], Order]
"""attribute -> the order of its sources"""
_KEY = ("authority_rules",)


def orders_at(moment: datetime) -> Orders:
    """The orders by the rules in force at a moment: of each attribute the one that began last."""
    rules = parties.get(_KEY, _load)

    def order_of(attribute: str) -> Order:
        for valid_from, order in rules.get(attribute, ()):
            if valid_from <= moment:
                return order
        return USUAL

    return order_of


def _load() -> dict[str, list[tuple[datetime, Order]]]:
    rules: dict[str, list[tuple[datetime, Order]]] = {}
    rows = AuthorityRule.objects.exclude(state=AuthorityRule.State.WITHDRAWN).order_by("-valid_from", "-pk")
    for row in rows:
        rules.setdefault(row.attribute, []).append((row.valid_from, Order(tuple(row.sources))))
    return rules
