"""Some columns of many accounts written by one statement."""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import DateTimeField

from provisioning.outbound.models import RemoteAccount


def write_columns(accounts: Sequence[RemoteAccount], columns: Sequence[str]) -> None:
    """Write these columns of accounts that are there, and raise their versions; the rest of a row stays as it is."""
    if not accounts:
        return
    quote = connection.ops.quote_name
    fields: list[Any] = [RemoteAccount._meta.get_field(name) for name in ("id", *columns)]
    is_typed = connection.vendor == "postgresql"
    typed = [f"CAST(%s AS {_type(one)})" if is_typed else "%s" for one in fields]
    plain = ", ".join(["%s"] * len(fields))
    values = ", ".join([f"({', '.join(typed)})", *[f"({plain})"] * (len(accounts) - 1)])
    table = quote(RemoteAccount._meta.db_table)
    # Both databases name the columns of VALUES like this. Python counts the rows of no statement that begins WITH.
    changes = ", ".join(f"{quote(str(one.column))} = given.column{place}" for place, one in enumerate(fields[1:], 2))
    sql = (
        f"UPDATE {table} SET {changes}, version = {table}.version + 1 "  # noqa: S608 - names of our model
        f"FROM (VALUES {values}) AS given WHERE {table}.id = given.column1"
    )
    # In the order in which everybody locks them.
    ordered = sorted(accounts, key=lambda account: account.person_id.int)
    given = [(one.attname, one if isinstance(one, DateTimeField) else None) for one in fields]
    parameters = [
        # Only times have another form in the database; asking each field costs as much as the statement.
        field.get_db_prep_save(getattr(row, name), connection) if field else getattr(row, name)
        for row in ordered
        for name, field in given
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _type(field: Any) -> str:
    return "bigint" if field.primary_key else str(field.db_type(connection))
