"""Typed reading of the environment: every setting as BROKER_NAME, every secret also as BROKER_NAME_FILE.

What is wrong is said at the start in one list that names each variable; no default weakens a check.
"""

import base64
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

MASTER_KEY_BYTES = 32
SECRET_KEY_CHARS = 32
LOOPBACK_SUFFIX = ".localhost"
SECRET_NAMES = ("secret_key", "master_keys", "database_url", "redis_url", "metrics_token")


class BadEnvironment(SystemExit):
    """The environment is not usable; the message names every variable that is wrong."""


class _FileSource(PydanticBaseSettingsSource):
    """Reads BROKER_NAME_FILE, else `<var>/secrets/<name>`, for the settings that are secrets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the library's signature
        if field_name not in SECRET_NAMES:
            return None, field_name, False
        named = os.environ.get(f"BROKER_{field_name.upper()}_FILE")
        path = Path(named) if named else var_dir() / "secrets" / field_name
        if not named and not path.is_file():
            return None, field_name, False
        try:
            return path.read_text().strip(), field_name, False
        except OSError as error:
            raise BadEnvironment(f"BROKER_{field_name.upper()}_FILE: cannot read {path}: {error.strerror}") from error

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Environment(BaseSettings):
    """Everything that the environment decides. Sizes and lifetimes are in `broker.limits`."""

    model_config = SettingsConfigDict(env_prefix="BROKER_", extra="ignore")

    base_url: str = "http://localhost:8000"
    """The issuer, and the start of every address that we publish. Never taken from a request."""
    var: Path = Path("var")
    """Where the embedded default keeps its database, queue and secrets."""
    secret_key: SecretStr
    master_keys: SecretStr
    """`id:base64 of 32 bytes`, comma-separated, newest first."""
    database_url: SecretStr = SecretStr("")
    """`postgresql://…`; empty: SQLite in `var`."""
    redis_url: SecretStr = SecretStr("")
    """`redis://…`; empty: queue in SQLite, cache in the process."""
    sqlite_beyond_loopback: bool = False
    """Serve another address than loopback from SQLite all the same."""
    throttle_processes: int = Field(default=4, ge=1, le=1_000)
    """How many web processes share a budget of requests while Redis is away, or where there is none."""
    trusted_proxies: int = Field(default=0, ge=0, le=5)
    """How many proxies stand in front and set X-Forwarded-For and X-Forwarded-Proto."""
    client_certificate_header: str = ""
    """Where a client's certificate comes from: `Client-Cert` (RFC 9440), another header with nginx's escaped PEM, or
    `wsgi`, the server's own TLS layer. Empty: nowhere."""
    client_certificate_verified_header: str = ""
    """The header in which the same proxy says SUCCESS of a certificate whose chain it verified."""
    client_certificate_proxies: Annotated[list[str], NoDecode] = []
    """Networks (CIDR, comma-separated) of the proxies whose word about certificates counts."""
    outgoing_networks: Annotated[list[str], NoDecode] = []
    """Networks (CIDR, comma-separated) that outbound requests may reach although they are not public."""
    outgoing_proxy: str = ""
    outgoing_ca_file: str = ""
    metrics_token: SecretStr = SecretStr("")
    """Bearer token for /metrics and the detail of /health/ready from elsewhere than loopback."""
    seal_log: Path | None = None
    """Append-only file for the heads of the event book; default `<var>/seals.log`."""
    trace_days: int = Field(default=30, ge=1, le=365)
    demonstration: Path | None = None
    """The demonstration's page of links, shown on `/`; set by `make run` only."""
    log_format: str = Field(default="json", pattern="^(json|console)$")

    @field_validator("outgoing_networks", "client_certificate_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("client_certificate_header", "client_certificate_verified_header")
    @classmethod
    def _header(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9-]+", value, re.ASCII):
            raise ValueError("must be the name of a header: letters, digits and -")
        return value

    @field_validator("outgoing_networks", "client_certificate_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for part in value:
            ipaddress.ip_network(part)
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        value = value.rstrip("/")
        parts = _split_url(value, expected="http(s)://host[:port] without a path")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.path:
            raise ValueError("must be http(s)://host[:port] without a path")
        if "@" in parts.netloc:
            raise ValueError("must not hold a name or a password")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("plain http is for loopback only; use https")
        return value

    @field_validator("secret_key")
    @classmethod
    def _secret_key(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < SECRET_KEY_CHARS:
            raise ValueError(f"must have at least {SECRET_KEY_CHARS} characters")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: SecretStr) -> SecretStr:
        if url := value.get_secret_value():
            parts = _split_url(url, expected="postgresql://name:password@host:port/database")
            if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
                raise ValueError("must be postgresql://name:password@host:port/database")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: SecretStr) -> SecretStr:
        if url := value.get_secret_value():
            parts = _split_url(url, expected="redis(s)://host:port/number")
            if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
                raise ValueError("must be redis(s)://host:port/number")
        return value

    @field_validator("outgoing_proxy")
    @classmethod
    def _outgoing_proxy(cls, value: str) -> str:
        if value:
            parts = _split_url(value, expected="http(s)://host:port")
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be http(s)://host:port")
        return value

    @field_validator("outgoing_ca_file")
    @classmethod
    def _outgoing_ca_file(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("master_keys")
    @classmethod
    def _master_keys(cls, value: SecretStr) -> SecretStr:
        read_master_keys(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _sqlite_on_loopback(self) -> "Environment":
        public = not is_loopback(urlsplit(self.base_url).hostname or "")
        if public and not self.database_url.get_secret_value() and not self.sqlite_beyond_loopback:
            raise ValueError(
                "BROKER_DATABASE_URL: SQLite serves loopback only; name a PostgreSQL database"
                " (or set BROKER_SQLITE_BEYOND_LOOPBACK=true)"
            )
        return self

    @model_validator(mode="after")
    def _certificates_from_known_proxies(self) -> "Environment":
        from_proxy = self.client_certificate_header not in {"", "wsgi"}
        if from_proxy and (not self.trusted_proxies or not self.client_certificate_proxies):
            raise ValueError(
                "BROKER_CLIENT_CERTIFICATE_HEADER: name the proxies that may set it, in"
                " BROKER_CLIENT_CERTIFICATE_PROXIES, and how many there are, in BROKER_TRUSTED_PROXIES"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)


def var_dir() -> Path:
    """The folder of the embedded default, absolute."""
    return Path(os.environ.get("BROKER_VAR", "var")).absolute()


def _split_url(url: str, *, expected: str) -> SplitResult:
    """The parts of an address. Raises ValueError without repeating any of it: it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"must be {expected}") from None
    return parts


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine only."""
    if host == "localhost" or host.endswith(LOOPBACK_SUFFIX):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_master_keys(text: str) -> dict[str, bytes]:
    """`id:base64,…` as {id: 32 bytes}, newest first. Raises ValueError."""
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        key_id, _, body = part.strip().partition(":")
        if not key_id.isalnum() or len(key_id) > 16:
            raise ValueError("each master key is <id>:<base64>, the id of at most 16 letters and digits")
        key = base64.b64decode(body, validate=True)
        if len(key) != MASTER_KEY_BYTES:
            raise ValueError(f"master key {key_id} is not {MASTER_KEY_BYTES} bytes long")
        if key_id in keys:
            raise ValueError(f"master key {key_id} stands twice")
        keys[key_id] = key
    return keys


def load() -> Environment:
    """Read the environment. Raises BadEnvironment with one line for each wrong or missing variable."""
    try:
        return Environment()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = f"BROKER_{'_'.join(str(part) for part in problem['loc']).upper()}" if problem["loc"] else ""
            text = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "missing":
                secret = var_dir() / "secrets" / name.removeprefix("BROKER_").lower()
                text = f"is not set (nor {name}_FILE, nor {secret}); `make run` creates it"
            lines.append(f"{name}: {text}" if name else text)
        raise BadEnvironment("\n".join(lines)) from error


def database(environment: Environment, var: Path) -> dict[str, Any]:
    """Django's database settings: PostgreSQL with a pool, or SQLite in write-ahead mode."""
    url = environment.database_url.get_secret_value()
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": var / "countersign.sqlite3",
            "OPTIONS": {
                # A transaction that will write takes its lock at once: no deadlock between readers that turn writers.
                "transaction_mode": "IMMEDIATE",
                "timeout": 10,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
            },
        }
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            # Seconds that a request waits for a connection: a database that is away is said at once, not after a queue.
            "pool": {"min_size": 1, "max_size": 16, "timeout": 1},
            "connect_timeout": 3,
            # A statement that a connection has seen before is not planned again.
            "server_side_binding": True,
            "prepare_threshold": 5,
            "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000",
            **{key: values[-1] for key, values in parse_qs(parts.query).items()},
        },
    }
