"""The embedded start: secrets, clear lines for what is in the way, and a clean end."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker import env
from broker.operations import embedded

ROOT = Path(__file__).resolve().parents[3]
REMEDY = "choose another: make run PORT=8010"
SECRETS = ("secret_key", "master_keys")


@pytest.fixture(autouse=True)
def _no_secrets_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(f"BROKER_{name.upper()}", raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    var = tmp_path / "var"
    embedded.prepare_folder(var)
    assert [mode(folder) for folder in (var, var / "secrets", var / "log")] == [0o700] * 3
    assert [mode(var / "secrets" / name) for name in SECRETS] == [0o600] * 2
    assert list(env.read_master_keys((var / "secrets" / "master_keys").read_text().strip())) == ["k1"]
    assert len((var / "secrets" / "secret_key").read_text()) >= 50


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    var = tmp_path / "var"
    var.mkdir(mode=0o755)
    embedded.prepare_folder(var)
    assert mode(var) == 0o700


def test_secrets_are_never_overwritten(tmp_path: Path) -> None:
    embedded.prepare_folder(tmp_path)
    before = {name: (tmp_path / "secrets" / name).read_bytes() for name in SECRETS}
    embedded.prepare_folder(tmp_path)
    assert {name: (tmp_path / "secrets" / name).read_bytes() for name in SECRETS} == before


def test_no_secret_is_left_half_written(tmp_path: Path) -> None:
    embedded.prepare_folder(tmp_path)
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == sorted(SECRETS)


def test_a_secret_that_the_environment_names_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_SECRET_KEY", "given")
    monkeypatch.setenv("BROKER_MASTER_KEYS_FILE", "/elsewhere")
    embedded.prepare_folder(tmp_path)
    assert list((tmp_path / "secrets").iterdir()) == []


def test_a_lost_master_key_is_not_replaced_beside_what_it_sealed(tmp_path: Path) -> None:
    embedded.prepare_folder(tmp_path)
    (tmp_path / "countersign.sqlite3").touch()
    (tmp_path / "secrets" / "master_keys").unlink()
    with pytest.raises(embedded.CannotStart, match="master_keys is missing"):
        embedded.prepare_folder(tmp_path)


def test_an_unusable_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file in the way")
    with pytest.raises(embedded.CannotStart) as problem:
        embedded.prepare_folder(tmp_path / "var")
    assert str(problem.value).startswith(f"the folder {tmp_path / 'var'} cannot be used: File exists")
    assert "\n" not in str(problem.value)


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(embedded.CannotStart) as problem:
            embedded.check_ports({"Countersign": port}, remedy=REMEDY)
    assert str(problem.value) == f"port {port} (Countersign) is taken by another program; {REMEDY}"


def test_two_starts_in_one_folder_are_one_clear_line(tmp_path: Path) -> None:
    first, second = (embedded.claim_folder(tmp_path) for _start in range(2))
    with first, pytest.raises(embedded.CannotStart, match=r"another Countersign runs from \S+; stop it, or set"):
        second.__enter__()
    with embedded.claim_folder(tmp_path):
        assert (tmp_path / "lock").exists()


def test_it_says_in_one_line_what_is_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "var").write_text("a file in the way")
    before = os.umask(0o022)
    status = embedded.run(var=tmp_path / "var", port=free_port(), announce=lambda _new: None, remedy=REMEDY)
    os.umask(before)
    assert status == 1
    assert re.fullmatch(r"countersign: the folder \S+ cannot be used: .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_what_is_no_port_is_one_clear_line(port: int) -> None:
    with pytest.raises(embedded.CannotStart, match=f"{port} is not a port"):
        embedded.check_ports({"Countersign": port}, remedy=REMEDY)


def test_the_port_is_that_of_a_loopback_address() -> None:
    assert embedded.listening_port("http://localhost:8010") == 8010
    assert embedded.listening_port("http://localhost") == 80
    assert embedded.listening_port("https://sso.acme.example") == 8000


def descendants(pid: int) -> set[int]:
    """Every process that `pid` started, and theirs."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_starts_from_nothing_and_stops_without_a_trace(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))},
        "BROKER_VAR": str(tmp_path / "var"),
        "BROKER_BASE_URL": f"http://localhost:{port}",
    }
    command = [sys.executable, "manage.py", "serve"]
    first = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    said = [first.stdout.readline() for _line in range(4)]
    assert said[0] == f"Countersign answers at http://localhost:{port} (Ctrl-C stops it).\n"
    assert len([line for line in said if re.search(r"one-time password \S{20}", line)]) == 2

    started = descendants(first.pid)
    assert len(started) >= 4  # the watchman, the web server and its worker, Celery and its beat
    asked = time.monotonic()
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=10) == 0
    assert time.monotonic() - asked < 10
    assert [pid for pid in started if is_alive(pid)] == []
    first.stdout.close()
    assert mode(tmp_path / "var" / "countersign.sqlite3") == 0o600
