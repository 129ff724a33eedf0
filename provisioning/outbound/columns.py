"""Some columns of many accounts written by one statement."""

from collections.abc import Sequence

from broker.rows import update_rows
from provisioning.outbound.models import RemoteAccount


def write_columns(accounts: Sequence[RemoteAccount], columns: Sequence[str]) -> None:
    """Write these columns of accounts that are there, and raise their versions; the rest of a row stays as it is."""
    # In the order in which everybody locks them.
    ordered = sorted(accounts, key=lambda account: account.person_id.int)
    update_rows(ordered, columns, also={"version": "{row}.version + 1"})
