"""What an entry names by its place: metadata, key sets and secrets in files, at addresses, in the environment."""

import json
import re
from collections.abc import Callable
from typing import Any

from broker import limits
from broker.errors import BrokerError
from broker.outgoing import fetch
from broker.registry import metadata, values
from broker.registry.config.base import Secret
from broker.registry.config.table import Table
from broker.registry.values import BadValue

METADATA_ACCEPT = "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.8"
PATH_CHARS = 4_096
METADATA_KEYS = ("metadata", "metadata_file", "metadata_url")


def read_metadata(
    table: Table, check: Callable[[str], object], *, held_from: Callable[[str], bool] = lambda _url: False
) -> dict[str, Any]:
    """`metadata` (inline), `metadata_file` (relative to the file) or `metadata_url` (fetched now), judged by `check`.

    Returns {"metadata": text, "metadata_url": url or ""}. When an address does not answer from which metadata is
    already held (`held_from`), that is kept: {"metadata_url": url}, with a note.
    """
    named = [name for name in METADATA_KEYS if name in table]
    for name in METADATA_KEYS:
        table.raw(name)
    if len(named) > 1:
        table.problem(named[1], f"metadata is already given by {named[0]}")
        return {}
    if not named:
        return {}
    url = ""
    text: str | None = None
    try:
        if named[0] == "metadata":
            text = table.text("metadata", max_chars=limits.SAML_METADATA_BYTES)
        elif named[0] == "metadata_file":
            raw = read_file(table, "metadata_file", max_bytes=limits.SAML_METADATA_BYTES)
            text = None if raw is None else metadata.decode(raw)
        else:
            url = table.text("metadata_url", values.web_address) or ""
            text = _fetched(url) if url else None
    except _Unreachable as error:
        if held_from(url):
            table.reading.notes.append(f"{table.path}: {error}; the metadata that is registered stays")
            return {"metadata_url": url}
        table.problem(named[0], str(error))
    except BadValue as error:
        table.problem(named[0], str(error))
    if text is None:
        return {}
    try:
        check(text)
    except BadValue as error:
        table.problem(named[0], str(error))
        return {}
    return {"metadata": text, "metadata_url": url}


def read_secret(table: Table) -> Secret | None:
    """The secret that `client_secret_env` or `client_secret_file` names. The secret itself never stands in the file."""
    if table.raw("client_secret") is not None:
        table.problem(
            "client_secret", "secrets do not stand in the file: use client_secret_env or client_secret_file instead"
        )
    variable = table.text("client_secret_env", _variable)
    raw = read_file(table, "client_secret_file", max_bytes=limits.PARAMETER_CHARS)
    if variable is not None and raw is not None:
        table.problem("client_secret_file", "the secret is already given by client_secret_env")
        return None
    if variable is not None:
        value = table.reading.environment.get(variable, "")
        if not value:
            table.problem("client_secret_env", f"the environment has no {variable}")
        return _secret(table, "client_secret_env", value) if value else None
    if raw is not None:
        try:
            return _secret(table, "client_secret_file", raw.decode().strip())
        except UnicodeDecodeError:
            table.problem("client_secret_file", "the file is not UTF-8")
    return None


def read_key_set(table: Table) -> dict[str, Any]:
    """The keys of `jwks` or `jwks_file`, or the address `jwks_url` of them: {"jwks": …, "jwks_url": …}."""
    raw = read_file(table, "jwks_file", max_bytes=limits.OUTGOING_JSON_BYTES)
    inline = table.plain("jwks")
    url = table.text("jwks_url", values.web_address)
    named = [name for name in ("jwks", "jwks_file", "jwks_url") if name in table]
    if len(named) > 1:
        table.problem(named[1], f"the keys are already given by {named[0]}")
        return {}
    if url is not None:
        return {"jwks": {}, "jwks_url": url}
    if inline is None and raw is None:
        return {}
    try:
        return {"jwks": values.key_set(inline if raw is None else json.loads(raw)), "jwks_url": ""}
    except BadValue as error:
        table.problem(named[0], str(error))
    except (ValueError, RecursionError):
        table.problem(named[0], "is not JSON")
    return {}


def read_text(table: Table, name: str, *, max_bytes: int) -> str | None:
    """The text of the file that `name` names, relative to the configuration file; UTF-8."""
    raw = read_file(table, name, max_bytes=max_bytes)
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        table.problem(name, "the file is not UTF-8")
        return None


class _Unreachable(Exception):
    """An address did not answer as it should."""


def _fetched(url: str) -> str:
    try:
        answer = fetch(url, purpose="metadata", max_bytes=limits.SAML_METADATA_BYTES, accept=METADATA_ACCEPT)
    except BrokerError as error:
        raise _Unreachable(f"{url} cannot be fetched: {error.detail or error.actual or error.code}") from error
    if answer.status != 200:
        raise _Unreachable(f"{url} answers {answer.status}")
    return metadata.decode(answer.body)


def read_file(table: Table, name: str, *, max_bytes: int) -> bytes | None:
    """The content of the file that the key `name` names, relative to the configuration's own folder."""
    text = table.text(name, max_chars=PATH_CHARS)
    if text is None:
        return None
    path = table.reading.folder / text
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        table.problem(name, f"cannot read {path}: {getattr(error, 'strerror', None) or error}")
        return None
    if len(raw) > max_bytes:
        table.problem(name, f"{path} has more than {max_bytes} bytes")
        return None
    return raw


def _variable(text: str) -> str:
    """The name of an environment variable. What is none may be the secret itself, so it is not repeated."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise BadValue("is not the name of an environment variable")
    return text


def _secret(table: Table, name: str, value: str) -> Secret | None:
    if not limits.CLIENT_SECRET_CHARS_MIN <= len(value) <= limits.CLIENT_SECRET_CHARS_MAX:
        table.problem(
            name,
            f"a client secret has {limits.CLIENT_SECRET_CHARS_MIN} to {limits.CLIENT_SECRET_CHARS_MAX} characters",
        )
        return None
    return Secret(value)
