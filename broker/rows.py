"""Some columns of many rows written by one statement, each row with values of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Model


def update_rows(
    rows: Sequence[Model],
    columns: Sequence[str],
    *,
    also: Mapping[str, str] | None = None,
    only: str = "",
    parameters: Sequence[Any] = (),
) -> int:
    """Write these columns of rows that are there, in the order given; the rest of a row stays. Returns how many it hit.

    `also` sets further columns, {name: SQL}, and `only` is a further condition, SQL of the caller's own with
    `parameters`. In both `{row}` stands for the table, and `{new[name]}` for the value that is given for a column.
    """
    if not rows:
        return 0
    quote = connection.ops.quote_name
    meta = type(rows[0])._meta
    fields: list[Any] = [meta.get_field(name) for name in ("id", *columns)]
    table = quote(meta.db_table)
    given, values = _given(rows, fields)
    # Both databases name the columns of VALUES like this. Python counts the rows of no statement that begins WITH.
    new = {one.name: f"given.column{place}" for place, one in enumerate(fields, 1)}
    changes = [f"{quote(str(one.column))} = {new[one.name]}" for one in fields[1:]]
    changes += [f"{quote(name)} = {sql.format(row=table, new=new)}" for name, sql in (also or {}).items()]
    condition = f" AND {only.format(row=table, new=new)}" if only else ""
    sql = (
        f"UPDATE {table} SET {', '.join(changes)} "  # noqa: S608 - names of our models and the caller's own SQL
        f"FROM {given} WHERE {table}.id = {new['id']}{condition}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *parameters])
        return int(cursor.rowcount)


def _given(rows: Sequence[Model], fields: Sequence[Any]) -> tuple[str, list[Any]]:
    """What the rows are joined with, and its parameters: one array for each column, where the database knows arrays.

    Then the statement is as short for many rows as for one, which its drivers read at each call.
    """
    if connection.vendor == "postgresql":
        names = ", ".join(f"column{place}" for place in range(1, len(fields) + 1))
        arrays = ", ".join(f"%s::{_type(field)}[]" for field in fields)
        return f"unnest({arrays}) AS given({names})", [[_value(row, one) for row in rows] for one in fields]
    row = f"({', '.join(['%s'] * len(fields))})"
    return f"(VALUES {', '.join([row] * len(rows))}) AS given", [_value(one, field) for one in rows for field in fields]


def _value(row: Model, field: Any) -> Any:
    """Only times have another form in the database; asking each field costs as much as the statement."""
    value = getattr(row, field.attname)
    return field.get_db_prep_save(value, connection) if isinstance(field, DateTimeField) else value


def _type(field: Any) -> str:
    return "bigint" if field.primary_key else str(field.db_type(connection))
