"""Statements whose SQL is built once per process.

Django builds the SQL of a queryset anew at every use, which takes several times as long as the database needs to
answer it. What is asked at every login is built once, with a `Parameter` in each value's place, and then only filled
in. Everywhere else the ordinary queryset is the right tool.

A commit waits until the disk has it. Where `is_soon_durable` is said, that of the statement's transaction does not: it
is seen by everybody at once, and is on the disk with the next commit that waits, whosesoever, or else within a second.
For what may be lost when the database's machine fails before that: it has let nobody in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery

Row = TypeVar("Row")


class Parameter(Expression):
    """The place of a value in a statement, filled in under `name`, and written as that `field` of `model` is."""

    def __init__(self, model: type[models.Model], field: str, *, name: str = "") -> None:
        output_field: Any = model._meta.get_field(field)
        super().__init__(output_field=output_field)
        self.name = name or field

    def as_sql(self, compiler: Any, connection: Any) -> Any:  # noqa: ARG002 - Django's signature
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class _Built:
    """A statement as SQL: its parameters in order, and how a row becomes what the queryset would yield."""

    sql: str
    parameters: list[Any]
    make: Callable[[list[Any], Any], Any]

    def execute(self, cursor: Any, values: dict[str, Any]) -> None:
        database = cursor.db
        cursor.execute(
            self.sql,
            [
                one.output_field.get_db_prep_value(values[one.name], database) if isinstance(one, Parameter) else one
                for one in self.parameters
            ],
        )


class Read(Generic[Row]):
    """A SELECT: of models, also with `select_related` and annotations, or of the tuples of `values_list`.

    `build` returns the queryset; it is asked at the first use.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build

    def rows(self, **values: Any) -> list[Row]:
        """What is found; `values` by the names of the parameters."""
        cursor = _cursor()
        self._built.execute(cursor, values)
        return [self._built.make(list(row), cursor.db) for row in cursor.fetchall()]

    def first(self, **values: Any) -> Row | None:
        """What is found first, None when nothing is; for what is unique, since no order is added."""
        rows = self.rows(**values)
        return rows[0] if rows else None

    @cached_property
    def _built(self) -> _Built:
        # Everything in one step and from a queryset of its own: two threads may both come first.
        compiler = self._build().query.get_compiler(connection=_database())
        sql, parameters = compiler.as_sql()
        return _Built(sql, list(parameters), _maker(compiler))


class Change:
    """An UPDATE of the rows of the queryset that `build` returns; `changes` are values, or parameters."""

    def __init__(self, build: Callable[[], Any], *, is_soon_durable: bool = False, **changes: Any) -> None:
        self._build = build
        self._is_soon_durable = is_soon_durable
        self._changes = changes

    def count(self, **values: Any) -> int:
        """Change the rows. Returns how many there were."""
        cursor = _cursor()
        self._built.execute(cursor, values)
        return int(cursor.rowcount)

    @cached_property
    def _built(self) -> _Built:
        query = self._build().query.chain(UpdateQuery)
        query.add_update_values(self._changes)
        sql, parameters = query.get_compiler(connection=_database()).as_sql()
        return _Built(sql + _returning(is_soon_durable=self._is_soon_durable), list(parameters), _nothing)


def insert(instance: models.Model, *, unless_there: bool = False, is_soon_durable: bool = False) -> bool:
    """Insert a new row. With `unless_there` a row that a unique constraint forbids is left out.

    Returns whether it was inserted.
    """
    sql, fields = _insertion(type(instance), unless_there, is_soon_durable)
    cursor = _cursor()
    database = cursor.db
    cursor.execute(sql, [field.get_db_prep_save(field.pre_save(instance, True), database) for field in fields])
    inserted = cursor.fetchall()
    if not inserted:
        return False
    if instance.pk is None:
        instance.pk = inserted[0][0]
    instance._state.adding, instance._state.db = False, database.alias
    return True


@cache
def _insertion(
    model: type[models.Model],
    unless_there: bool,  # noqa: FBT001 - a cache key
    is_soon_durable: bool,  # noqa: FBT001 - a cache key
) -> tuple[str, list[Any]]:
    fields = [field for field in model._meta.local_concrete_fields if not isinstance(field, models.AutoField)]
    quote = _database().ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})"  # noqa: S608 - names of our models
    conflict = " ON CONFLICT DO NOTHING" if unless_there else ""
    key = quote(str(model._meta.pk.column))
    return sql + conflict + _returning(key, is_soon_durable=is_soon_durable), fields


def _returning(*columns: str, is_soon_durable: bool) -> str:
    """The end of an INSERT or UPDATE; PostgreSQL changes the setting for the transaction with the first row."""
    told = list(columns)
    if is_soon_durable and _database().vendor == "postgresql":
        told.append("set_config('synchronous_commit', 'off', true)")
    return f" RETURNING {', '.join(told)}" if told else ""


def _database() -> Any:
    """This thread's connection itself: `django.db.connection` looks it up anew at each attribute."""
    return connections[DEFAULT_DB_ALIAS]


def _cursor() -> Any:
    """The cursor that this connection's statements share, each read to its end before the next.

    To make one takes a third of what a small statement takes in all.
    """
    database = _database()
    # A connection that threads share, as a test's web server does, has none to keep; one that counts is another kind;
    # and who listens to statements may run their own in the middle of one.
    if database.allow_thread_sharing or database.queries_logged or database.execute_wrappers:
        return database.cursor()
    kept = getattr(database, "statements_cursor", None)
    if kept is None or kept.connection is not database.connection:
        kept = database.statements_cursor = database.cursor()
    return kept


def _maker(compiler: Any) -> Callable[[list[Any], Any], Any]:
    """What django.db.models.query.ModelIterable, or ValuesListIterable, does with a row of this compiled query."""
    converters = list(compiler.get_converters([column for column, *_ in compiler.select]).items())

    def converted(row: list[Any], database: Any) -> list[Any]:
        for position, (steps, expression) in converters:
            for convert in steps:
                row[position] = convert(row[position], expression, database)
        return row

    if not compiler.query.default_cols:
        return lambda row, database: tuple(converted(row, database))
    about = compiler.klass_info
    first, last = about["select_fields"][0], about["select_fields"][-1] + 1
    select, alias = compiler.select, DEFAULT_DB_ALIAS
    names = [column.target.attname for column, *_ in select[first:last]]
    relations = get_related_populators(about, select, alias)  # type: ignore[call-arg]  # stubs of a later Django
    annotations = list(compiler.annotation_col_map.items())

    def make(row: list[Any], database: Any) -> Any:
        made = about["model"].from_db(alias, names, converted(row, database)[first:last])
        for relation in relations:
            relation.populate(row, made)
        for name, position in annotations:
            setattr(made, name, row[position])
        return made

    return make


def _nothing(row: list[Any], database: Any) -> None:
    """What a change yields."""
