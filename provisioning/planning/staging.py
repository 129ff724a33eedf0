"""Where a run puts what it reads: rows in the database, so that memory does not grow with the target."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from broker import limits
from broker.directory.identifiers import comparable
from provisioning.outbound.connectors.base import RemoteGroup, RemoteUser
from provisioning.outbound.mapping import canonical, digest_of_text
from provisioning.outbound.models import Target
from provisioning.outbound.wanted import document_of_remote
from provisioning.planning.models import Found, FoundGroup, Run

_ACCOUNT = ("run_id", "remote_id", "external_id", "user_name", "active", "digest", "document", "read_at")
_GROUP = ("run_id", "remote_id", "external_id", "name", "members", "read_at")
_CHARS = 512
UNREADABLE = ""
"""The digest of an account that is there and whose record cannot be understood."""


def stage_accounts(run: Run, target: Target, users: Sequence[RemoteUser], *, read_at: datetime) -> None:
    """Put one page of accounts on the stage, each with the digest of what our mapping writes."""
    at = _moment(read_at)
    _write(Found, _ACCOUNT, (_account(run, target, user, at) for user in users))


def stage_unreadable(run: Run, remote_ids: Iterable[str], *, read_at: datetime) -> None:
    """Note accounts that are there, so that nobody takes them for missing, although their records say nothing."""
    at = _moment(read_at)
    rows = ((run.pk, one[:_CHARS], "", "", None, UNREADABLE, "", at) for one in remote_ids)
    _write(Found, _ACCOUNT, rows)


def stage_groups(run: Run, groups: Sequence[RemoteGroup], *, read_at: datetime) -> None:
    """Put one page of groups on the stage, with the ids of their members."""
    at = _moment(read_at)
    _write(
        FoundGroup,
        _GROUP,
        (
            (
                run.pk,
                group.remote_id[:_CHARS],
                group.external_id[:_CHARS],
                group.name[:_CHARS],
                json.dumps(sorted(group.members)),
                at,
            )
            for group in groups
        ),
    )


def _account(run: Run, target: Target, user: RemoteUser, at: Any) -> tuple[Any, ...]:
    text = canonical(document_of_remote(target, user.resource))
    return (
        run.pk,
        user.remote_id[:_CHARS],
        user.external_id[:_CHARS],
        comparable(user.user_name)[:_CHARS],
        user.active,
        digest_of_text(text),
        text,
        at,
    )


def survey_stage() -> None:
    """Let the database see what was just put on the stage, outside a transaction: it would plan for an empty table.

    A stage of a hundred thousand rows that it takes for empty costs minutes instead of tenths of a second.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(Found._meta.db_table)}")


def allow_long_statements() -> None:
    """Within this transaction one statement may take as long as a comparison has, not as long as a request has."""
    if connection.vendor == "postgresql":
        milliseconds = int(limits.RUN_COMPARE_LEASE.total_seconds() * 1000)
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])


def clear_stage(run: Run) -> None:
    """Forget what the run read."""
    Found.objects.filter(run=run).delete()
    FoundGroup.objects.filter(run=run).delete()


def _write(model: Any, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    """COPY on PostgreSQL, one prepared INSERT elsewhere: a model instance per row would take most of the time."""
    table, names = connection.ops.quote_name(model._meta.db_table), ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row([_without_nul(value) for value in row])
            return
        places = ", ".join(["%s"] * len(columns))
        # The names of tables and columns are our own.
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", list(rows))  # noqa: S608


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _without_nul(value: Any) -> Any:
    """PostgreSQL's text holds no NUL; what a target sends may."""
    return value.replace("\x00", "\ufffd") if isinstance(value, str) and "\x00" in value else value
