"""The environment: what is wrong or missing is said at the start, one line for each variable, by its name."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.env import BadEnvironment, Environment, database, is_loopback, load, read_master_keys

KEY = base64.b64encode(bytes(32)).decode()
DATABASE = "postgresql://broker:p%40ss@db.example:5433/countersign"
PUBLIC = {"BASE_URL": "https://sso.acme.example", "DATABASE_URL": DATABASE}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Environment]:
    """`environment(BASE_URL=…)`: the least that is needed, with changes; None takes a variable away."""
    for name in [name for name in os.environ if name.startswith("BROKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BROKER_VAR", str(tmp_path))

    def _environment(**changes: str | None) -> Environment:
        for name, value in ({"SECRET_KEY": "s" * 50, "MASTER_KEYS": f"k1:{KEY}"} | changes).items():
            if value is not None:
                monkeypatch.setenv(f"BROKER_{name}", value)
        return load()

    return _environment


def complaints(environment: Callable[..., Environment], **changes: str | None) -> list[str]:
    """The lines with which the start is refused."""
    with pytest.raises(BadEnvironment) as refusal:
        environment(**changes)
    return str(refusal.value).splitlines()


def test_two_secrets_are_all_that_is_needed(environment: Callable[..., Environment]) -> None:
    found = environment()
    assert found.base_url == "http://localhost:8000"
    assert found.trusted_proxies == 0
    assert found.outgoing_networks == []
    assert not found.sqlite_beyond_loopback


@pytest.mark.parametrize("name", ["SECRET_KEY", "MASTER_KEYS"])
def test_a_missing_secret_is_named_with_every_place_it_may_stand(
    environment: Callable[..., Environment], name: str
) -> None:
    [line] = complaints(environment, **{name: None})
    assert line.startswith(f"BROKER_{name}: is not set")
    assert f"BROKER_{name}_FILE" in line
    assert name.lower() in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_URL", "sso.acme.example"),
        ("BASE_URL", "ftp://localhost"),
        ("BASE_URL", "http://localhost:8000/sso"),
        ("BASE_URL", "http://localhost:8000?x=1"),
        ("BASE_URL", "http://localhost:8000#x"),
        ("BASE_URL", "http://"),
        ("BASE_URL", "http://localhost:port"),
        ("BASE_URL", "http://localhost:99999"),
        ("BASE_URL", "http://ann:secret@localhost:8000"),
        ("BASE_URL", "http://sso.acme.example"),
        ("BASE_URL", "http://192.0.2.1"),
        ("BASE_URL", "http://localhost.evil.example"),
        ("BASE_URL", "http://127.0.0.1.evil.example"),
        ("MASTER_KEYS", ""),
        ("MASTER_KEYS", KEY),
        ("MASTER_KEYS", f"k-1:{KEY}"),
        ("MASTER_KEYS", f"{'k' * 17}:{KEY}"),
        ("MASTER_KEYS", "k1:not base64"),
        ("MASTER_KEYS", f"k1:{base64.b64encode(bytes(31)).decode()}"),
        ("MASTER_KEYS", f"k1:{KEY},"),
        ("MASTER_KEYS", f"k1:{KEY},k1:{base64.b64encode(bytes(range(32))).decode()}"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "6"),
        ("TRUSTED_PROXIES", "one"),
        ("OUTGOING_NETWORKS", "10.0.0.0/33"),
        ("OUTGOING_NETWORKS", "10.0.0.1/8"),
        ("OUTGOING_NETWORKS", "acme.example"),
        ("TRACE_DAYS", "0"),
        ("TRACE_DAYS", "366"),
        ("TRACE_DAYS", "a month"),
        ("LOG_FORMAT", "xml"),
        ("LOG_FORMAT", "json\n"),
        ("SQLITE_BEYOND_LOOPBACK", "perhaps"),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "mysql://db/countersign"),
        ("DATABASE_URL", "postgresql://db.example"),
        ("DATABASE_URL", "postgresql://db.example:port/countersign"),
        ("DATABASE_URL", "postgresql://ann:pa/ss@db.example/countersign"),
        ("REDIS_URL", "http://redis.example"),
        ("REDIS_URL", "redis://"),
        ("OUTGOING_PROXY", "proxy.example:3128"),
        ("OUTGOING_PROXY", "socks5://proxy.example"),
        ("OUTGOING_CA_FILE", "/nowhere/ca.pem"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_its_variable(
    environment: Callable[..., Environment], name: str, value: str
) -> None:
    [line] = complaints(environment, **{name: value})
    assert line.startswith(f"BROKER_{name}: ")


def test_everything_that_is_wrong_is_said_at_once(environment: Callable[..., Environment]) -> None:
    lines = complaints(environment, SECRET_KEY=None, BASE_URL="x", TRACE_DAYS="0", OUTGOING_NETWORKS="x")
    assert sorted(line.partition(":")[0] for line in lines) == [
        "BROKER_BASE_URL",
        "BROKER_OUTGOING_NETWORKS",
        "BROKER_SECRET_KEY",
        "BROKER_TRACE_DAYS",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("MASTER_KEYS", "k1:canary7"), ("SECRET_KEY", "canary7"), ("DATABASE_URL", "mysql://ann:canary7@db/x")],
)
def test_a_wrong_secret_is_not_repeated(environment: Callable[..., Environment], name: str, value: str) -> None:
    assert "canary7" not in "\n".join(complaints(environment, **{name: value}))


def test_a_secret_does_not_show_when_the_environment_is_printed(environment: Callable[..., Environment]) -> None:
    found = environment(SECRET_KEY="canary7-" * 8, DATABASE_URL="postgresql://ann:canary7@db.example/x")
    assert "canary7" not in repr(found) + str(found.model_dump())


# --- Secrets from files ---------------------------------------------------------------------------------------------
def test_a_secret_is_read_from_the_file_that_is_named(environment: Callable[..., Environment], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-the-file-" * 5 + "\n")
    found = environment(SECRET_KEY=None, SECRET_KEY_FILE=str(tmp_path / "key"))
    assert found.secret_key.get_secret_value() == "from-the-file-" * 5


@pytest.mark.parametrize("name", ["SECRET_KEY", "MASTER_KEYS", "DATABASE_URL", "REDIS_URL", "METRICS_TOKEN"])
def test_a_file_that_cannot_be_read_is_named(
    environment: Callable[..., Environment], tmp_path: Path, name: str
) -> None:
    [line] = complaints(environment, **{name: None, f"{name}_FILE": str(tmp_path / "nowhere")})
    assert line.startswith(f"BROKER_{name}_FILE: cannot read")


def test_secrets_stand_in_the_folder_of_the_embedded_default(
    environment: Callable[..., Environment], tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secret_key").write_text("x" * 50)
    assert environment(SECRET_KEY=None).secret_key.get_secret_value() == "x" * 50


def test_what_the_environment_says_goes_before_the_folder(
    environment: Callable[..., Environment], tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secret_key").write_text("x" * 50)
    assert environment().secret_key.get_secret_value() == "s" * 50


def test_what_is_no_secret_is_not_read_from_a_file(environment: Callable[..., Environment], tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://other.example")
    assert environment(BASE_URL_FILE=str(tmp_path / "url")).base_url == "http://localhost:8000"


# --- The base address -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    ["http://localhost", "http://127.0.0.1:8000", "http://[::1]:8000", "http://idp.localhost:81", "https://localhost"],
)
def test_loopback_may_be_served_without_tls(environment: Callable[..., Environment], url: str) -> None:
    assert environment(BASE_URL=url).base_url == url


def test_a_trailing_slash_is_not_part_of_the_issuer(environment: Callable[..., Environment]) -> None:
    assert environment(BASE_URL="http://localhost:8000/").base_url == "http://localhost:8000"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("a.b.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("", False),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("mylocalhost", False),
        ("192.168.0.1", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


# --- The database ---------------------------------------------------------------------------------------------------
def test_sqlite_is_refused_beyond_loopback(environment: Callable[..., Environment]) -> None:
    [line] = complaints(environment, BASE_URL="https://sso.acme.example")
    assert line.startswith("BROKER_DATABASE_URL: SQLite serves loopback only")
    assert "BROKER_SQLITE_BEYOND_LOOPBACK" in line


def test_sqlite_serves_beyond_loopback_when_somebody_says_so(environment: Callable[..., Environment]) -> None:
    assert environment(BASE_URL="https://sso.acme.example", SQLITE_BEYOND_LOOPBACK="true").sqlite_beyond_loopback


def test_sqlite_writes_ahead_and_locks_at_once(environment: Callable[..., Environment], tmp_path: Path) -> None:
    chosen = database(environment(), tmp_path)
    assert chosen["NAME"] == tmp_path / "countersign.sqlite3"
    assert chosen["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in chosen["OPTIONS"]["init_command"]


def test_postgresql_is_taken_from_its_address(environment: Callable[..., Environment], tmp_path: Path) -> None:
    chosen = database(environment(**PUBLIC), tmp_path)
    assert [chosen[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")] == [
        "countersign",
        "broker",
        "p@ss",
        "db.example",
        "5433",
    ]
    assert "statement_timeout" in chosen["OPTIONS"]["options"]


def test_options_of_the_address_reach_the_driver(environment: Callable[..., Environment], tmp_path: Path) -> None:
    chosen = database(environment(**PUBLIC | {"DATABASE_URL": f"{DATABASE}?sslmode=verify-full"}), tmp_path)
    assert chosen["OPTIONS"]["sslmode"] == "verify-full"


# --- Master keys ----------------------------------------------------------------------------------------------------
def test_master_keys_stay_in_order_newest_first() -> None:
    other = base64.b64encode(bytes(range(32))).decode()
    assert list(read_master_keys(f"k2:{other}, k1:{KEY}").items()) == [("k2", bytes(range(32))), ("k1", bytes(32))]


def test_networks_are_a_list(environment: Callable[..., Environment]) -> None:
    assert environment(OUTGOING_NETWORKS="10.0.0.0/8, fd00::/8,").outgoing_networks == ["10.0.0.0/8", "fd00::/8"]


PROXIES = {"TRUSTED_PROXIES": "1", "CLIENT_CERTIFICATE_PROXIES": "10.0.0.0/8, ::1/128"}


def test_certificates_come_from_named_proxies(environment: Callable[..., Environment]) -> None:
    found = environment(CLIENT_CERTIFICATE_HEADER="Client-Cert", **PROXIES)
    assert found.client_certificate_proxies == ["10.0.0.0/8", "::1/128"]


def test_a_server_that_ends_tls_itself_needs_no_proxy(environment: Callable[..., Environment]) -> None:
    assert environment(CLIENT_CERTIFICATE_HEADER="wsgi").client_certificate_header == "wsgi"


@pytest.mark.parametrize("left_out", list(PROXIES))
def test_a_certificate_header_without_its_proxies_stops_the_start(
    environment: Callable[..., Environment], left_out: str
) -> None:
    named = {name: value for name, value in PROXIES.items() if name != left_out}
    [line] = complaints(environment, CLIENT_CERTIFICATE_HEADER="Client-Cert", **named)
    assert line.startswith("BROKER_CLIENT_CERTIFICATE_HEADER: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLIENT_CERTIFICATE_HEADER", "Client_Cert"),
        ("CLIENT_CERTIFICATE_HEADER", "Client-Cert: x"),
        ("CLIENT_CERTIFICATE_VERIFIED_HEADER", "X Verified"),
        ("CLIENT_CERTIFICATE_PROXIES", "10.0.0.1/8"),
        ("CLIENT_CERTIFICATE_PROXIES", "proxy.acme.example"),
    ],
)
def test_a_certificate_setting_that_means_nothing_is_named(
    environment: Callable[..., Environment], name: str, value: str
) -> None:
    lines = complaints(environment, **{name: value})
    assert any(name in line for line in lines)
