"""SCIM's filters as conditions on our columns, over an allow-list (RFC 7644 section 3.4.2.2).

Every attribute that may be filtered on is indexed for eq, sw, gt, ge, lt, le and pr. What no index serves (co, ew, ne
and not) is bounded: at most `limits.SCIM_FILTER_SCANS` of them in a filter, over one source's own rows, and within
`limits.SCIM_FILTER_SECONDS` where the database can be told so. Each condition is true or false also where there is no
value, so that `not` means what the RFC says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import reduce
from operator import and_, or_
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Right, StrIndex
from django.db.models.lookups import Exact, GreaterThan
from scim2_models import InvalidFilterException, Resource, ScimFilter
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from broker import limits
from broker.directory.attributes import comparable
from broker.directory.models import Membership
from provisioning.inbound.models import RecordValue, ScimSource
from provisioning.scim.mapping import ENTERPRISE_SCHEMA

Op = CompareOperator
_RANGES = {Op.gt: "gt", Op.ge: "gte", Op.lt: "lt", Op.le: "lte"}
_SCANS = frozenset({Op.co, Op.ew, Op.ne})
HIGHEST = "\U0010ffff"


class Kind(Enum):
    """How the values of a column are compared."""

    FOLDED = auto()
    EXACT = auto()
    BOOLEAN = auto()
    MOMENT = auto()
    IDENTIFIER = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """Where a single value stands."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Entries:
    """A multi-valued attribute: its side table's rows, and the columns of its sub-attributes."""

    attribute: str
    columns: Mapping[str, Column]


_ENTRY = {
    "value": Column("value", Kind.FOLDED),
    "type": Column("type", Kind.FOLDED),
    "primary": Column("primary", Kind.BOOLEAN),
}
_META = {"meta.created": Column("created_at", Kind.MOMENT), "meta.lastmodified": Column("changed_at", Kind.MOMENT)}
USER_COLUMNS: dict[str, Column] = {
    "id": Column("person_id", Kind.IDENTIFIER),
    "externalid": Column("external_id", Kind.EXACT),
    "username": Column("user_name", Kind.FOLDED),
    "displayname": Column("display_name", Kind.FOLDED),
    "name.givenname": Column("given_name", Kind.FOLDED),
    "name.familyname": Column("family_name", Kind.FOLDED),
    "nickname": Column("nick_name", Kind.FOLDED),
    "title": Column("title", Kind.FOLDED),
    "usertype": Column("user_type", Kind.FOLDED),
    "active": Column("active", Kind.BOOLEAN),
    f"{ENTERPRISE_SCHEMA}:employeenumber".lower(): Column("employee_number", Kind.FOLDED),
    f"{ENTERPRISE_SCHEMA}:department".lower(): Column("department", Kind.FOLDED),
    **_META,
}
USER_ENTRIES: dict[str, Entries] = {
    "emails": Entries(RecordValue.Attribute.EMAILS, _ENTRY),
    "phonenumbers": Entries(RecordValue.Attribute.PHONE_NUMBERS, _ENTRY),
}
GROUP_COLUMNS: dict[str, Column] = {
    "id": Column("uid", Kind.IDENTIFIER),
    "externalid": Column("external_id", Kind.EXACT),
    "displayname": Column("display_name", Kind.FOLDED),
    **_META,
}
_MEMBERS = Entries("members", {"value": Column("person_id", Kind.IDENTIFIER)})
GROUP_ENTRIES = {"members": _MEMBERS}


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter as a condition, and how many of its comparisons no index serves."""

    where: Q
    scans: int


def condition_of(scim_filter: ScimFilter[Any], *, model: type[Resource[Any]], source: ScimSource) -> Condition:
    """The condition on Record (of a User model) or GroupRecord. Raises InvalidFilterException."""
    check_length(str(scim_filter))
    translator = _Translator(str(scim_filter), source, is_group=model.__name__.startswith("Group"))
    where = translator.visit(scim_filter.ast)
    if translator.terms > limits.SCIM_FILTER_TERMS:
        raise translator.refusal(f"more than {limits.SCIM_FILTER_TERMS} comparisons")
    if translator.scans > limits.SCIM_FILTER_SCANS:
        raise TooCostly(filter=str(scim_filter))
    return Condition(where, translator.scans)


class TooCostly(InvalidFilterException):
    """More comparisons than an index serves (RFC 7644 table 9: tooMany)."""

    scim_type = "tooMany"
    _default_detail = (
        f"co, ew, ne and not are served by no index: at most {limits.SCIM_FILTER_SCANS} of them in one filter, "
        f"within {limits.SCIM_FILTER_SECONDS:g} seconds"
    )


def check_length(text: str) -> None:
    """Raise InvalidFilterException for a filter that is longer than any honest one."""
    if len(text) > limits.SCIM_FILTER_CHARS:
        raise InvalidFilterException(detail=f"a filter has at most {limits.SCIM_FILTER_CHARS} characters")


class _Translator(FilterVisitor[Q]):
    """Walks a filter once. It counts comparisons, scans and depth as it goes."""

    def __init__(self, text: str, source: ScimSource, *, is_group: bool) -> None:
        self.text = text
        self.source = source
        self.columns = GROUP_COLUMNS if is_group else USER_COLUMNS
        self.entries = GROUP_ENTRIES if is_group else USER_ENTRIES
        self.inside: Entries | None = None
        """The multi-valued attribute whose entries are chosen from just now."""
        self.terms = 0
        self.scans = 0
        self._depth = 0

    def visit(self, node: FilterNode) -> Q:
        self._depth += 1
        if self._depth > limits.SCIM_FILTER_DEPTH:
            raise self.refusal(f"nested deeper than {limits.SCIM_FILTER_DEPTH}")
        try:
            return super().visit(node)
        finally:
            self._depth -= 1

    def visit_logical_expr(self, node: LogicalExpr) -> Q:
        join = and_ if node.op == LogicalOperator.and_ else or_
        return reduce(join, [self.visit(term) for term in node.terms])

    def visit_not(self, node: Not) -> Q:
        self.scans += 1
        return ~self.visit(node.expr)

    def visit_value_path(self, node: ValuePath) -> Q:
        entries = self.entries.get(_name(node.attr_path))
        if entries is None or self.inside is not None:
            raise self.unknown(node.attr_path)
        self.inside = entries
        try:
            inner = self.visit(node.val_filter)
        finally:
            self.inside = None
        return self._exists(entries, inner)

    def visit_present(self, node: Present) -> Q:
        self.terms += 1
        name = _name(node.attr_path)
        if self.inside is None and name in self.entries:
            return self._exists(self.entries[name], Q())
        entries, column = self._find(node.attr_path)
        where = Q(**{f"{column.name}__isnull": False})
        if column.kind in {Kind.FOLDED, Kind.EXACT}:
            where &= ~Q(**{column.name: ""})
        return where if entries is None else self._exists(entries, where)

    def visit_comparison(self, node: Comparison) -> Q:
        self.terms += 1
        entries, column = self._find(node.attr_path)
        if entries is None:
            if node.op in _SCANS:
                self.scans += 1
            return self._compare(column, node.op, node.value)
        if node.op in _SCANS:
            self.scans += 1
        if node.value is None:
            raise self.refusal(f"{node.attr_path} is compared with null")
        if node.op == Op.ne:
            # None of the values is the operand.
            return ~self._exists(entries, self._compare(column, Op.eq, node.value))
        return self._exists(entries, self._compare(column, node.op, node.value))

    def refusal(self, why: str) -> InvalidFilterException:
        """What is raised, with a reason that repeats no value."""
        return InvalidFilterException(filter=self.text, detail=f"The filter cannot be evaluated: {why}")

    def unknown(self, path: AttrPath) -> InvalidFilterException:
        """The attribute is none of those that may be filtered on."""
        return self.refusal(f"{str(path)[:200]} is not an attribute to filter by")

    def _find(self, path: AttrPath) -> tuple[Entries | None, Column]:
        """The column of an attribute; with its entries where it is multi-valued and not being chosen from."""
        name = _name(path)
        if self.inside is not None:
            column = self.inside.columns.get(name)
            if column is None:
                raise self.unknown(path)
            return None, column
        if name in self.columns:
            return None, self.columns[name]
        head, _, tail = name.partition(".")
        entries = self.entries.get(head)
        column = entries.columns.get(tail or "value") if entries else None
        if entries is None or column is None:
            raise self.unknown(path)
        return entries, column

    def _exists(self, entries: Entries, inner: Q) -> Q:
        if entries is _MEMBERS:
            here = Membership.objects.filter(group=OuterRef("group"))
            return Q(Exists(here.filter(person__scim_records__source=self.source).filter(inner)))
        rows = RecordValue.objects.filter(source=self.source, attribute=entries.attribute, record=OuterRef("pk"))
        return Q(Exists(rows.filter(inner)))

    def _compare(self, column: Column, op: CompareOperator, raw: Any) -> Q:
        name = column.name
        if raw is None:
            return self._compare_null(name, op)
        match column.kind:
            case Kind.BOOLEAN:
                return self._compare_truth(name, op, raw)
            case Kind.MOMENT:
                return self._compare_moment(name, op, raw)
            case Kind.IDENTIFIER:
                return self._compare_identifier(name, op, raw)
        if not isinstance(raw, str) or "\x00" in raw:
            raise self.refusal("a text is compared with something else")
        value = comparable(raw) if column.kind is Kind.FOLDED else raw
        return _compare_text(name, op, value)

    def _compare_null(self, name: str, op: CompareOperator) -> Q:
        if op not in {Op.eq, Op.ne}:
            return Q(pk__in=())
        return Q(**{f"{name}__isnull": op == Op.eq})

    def _compare_truth(self, name: str, op: CompareOperator, raw: Any) -> Q:
        if isinstance(raw, str) and raw.lower() in {"true", "false"}:
            raw = raw.lower() == "true"
        if not isinstance(raw, bool) or op not in {Op.eq, Op.ne}:
            raise self.refusal("a Boolean takes eq and ne, true and false")
        return Q(**{name: raw}) if op == Op.eq else ~Q(**{name: raw})

    def _compare_moment(self, name: str, op: CompareOperator, raw: Any) -> Q:
        try:
            moment = datetime.fromisoformat(raw)
        except (TypeError, ValueError) as error:
            raise self.refusal("a time is compared with something else") from error
        if moment.tzinfo is None:
            raise self.refusal("a time says its zone")
        if op in _RANGES:
            return Q(**{f"{name}__{_RANGES[op]}": moment})
        if op not in {Op.eq, Op.ne}:
            raise self.refusal("a time takes eq, ne, gt, ge, lt and le")
        return Q(**{name: moment}) if op == Op.eq else ~Q(**{name: moment})

    def _compare_identifier(self, name: str, op: CompareOperator, raw: Any) -> Q:
        if op not in {Op.eq, Op.ne} or not isinstance(raw, str):
            raise self.refusal("an id takes eq and ne")
        identifier = as_identifier(raw)
        equal = Q(pk__in=()) if identifier is None else Q(**{name: identifier})
        return equal if op == Op.eq else ~equal


def as_identifier(text: str) -> UUID | None:
    """The id that is written exactly like this; None for what is none of ours."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _compare_text(name: str, op: CompareOperator, value: str) -> Q:
    if op in _RANGES:
        return Q(**{f"{name}__{_RANGES[op]}": value})
    if op == Op.eq:
        return Q(**{name: value})
    if op == Op.ne:
        return ~Q(**{name: value})
    is_there = Q(**{f"{name}__isnull": False})
    if not value:
        return is_there
    if op == Op.sw:
        # By code points, as the column is ordered: an index serves it, and no sign means anything else.
        return Q(**{f"{name}__gte": value}) & Q(**{f"{name}__lt": value + HIGHEST})
    if op == Op.co:
        return is_there & Q(GreaterThan(StrIndex(F(name), Value(value)), 0))
    return is_there & Q(Exact(Right(F(name), len(value)), Value(value)))


def _name(path: AttrPath) -> str:
    """The attribute in lower case; with its schema only where that is an extension."""
    name = f"{path.attr}.{path.sub_attr}" if path.sub_attr else path.attr
    if path.uri and path.uri.lower() == ENTERPRISE_SCHEMA.lower():
        return f"{path.uri}:{name}".lower()
    return name.lower()
