"""Writing many rows back: Django's bulk_update makes one statement of all their cases, which is slow beyond a few."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, models


def update_rows(rows: Sequence[models.Model], columns: Sequence[str]) -> None:
    """Write these columns of rows of one model, by one prepared statement that is sent for all of them."""
    if not rows:
        return
    meta, quote = type(rows[0])._meta, connection.ops.quote_name
    fields: list[models.Field[Any, Any]] = [one for one in meta.concrete_fields if one.name in columns]
    places = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
    key: models.Field[Any, Any] = meta.pk
    sql = f"UPDATE {quote(meta.db_table)} SET {places} WHERE {quote(str(key.column))} = %s"  # noqa: S608 - names of our models
    values = [
        [
            *(field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields),
            key.get_db_prep_value(row.pk, connection),
        ]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)
