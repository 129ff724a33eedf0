"""Programs are started, watched and stopped together, whatever happens to whom."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.operations import processes
from broker.operations.processes import Program, ProgramStopped, StopAsked, Supervisor
from broker.operations.watchman import end, is_there, read_names

ROOT = Path(__file__).resolve().parents[3]
PATIENT = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)",
)
FAMILY = (
    sys.executable,
    "-c",
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    " print(child.pid, flush=True); child.wait()",
)


def wait_for(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path, working_folder=ROOT)


def run(supervisor: Supervisor, *programs: Program) -> None:
    with supervisor:
        for program in programs:
            supervisor.start(program)
        supervisor.watch()


def test_a_program_that_ends_is_reported_with_its_last_lines(supervisor: Supervisor) -> None:
    program = Program("brief", (sys.executable, "-c", "print('the reason'); raise SystemExit(3)"))
    with pytest.raises(ProgramStopped, match=r"brief stopped by itself \(exit code 3\)(?s:.*)the reason"):
        run(supervisor, program)


def test_only_the_lines_of_this_start_are_shown(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "brief.log").write_text("from the day before\n")
    with pytest.raises(ProgramStopped) as stopped:
        run(supervisor, Program("brief", (sys.executable, "-c", "pass")))
    assert "from the day before" not in str(stopped.value)


def test_when_one_program_ends_the_others_end_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    wait = (
        f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'family.log')!r}).read_text(): time.sleep(0.02)"
    )
    with pytest.raises(ProgramStopped, match="brief stopped"):
        run(supervisor, Program("family", FAMILY), Program("brief", (sys.executable, "-c", wait)))
    child = int((tmp_path / "family.log").read_text())
    # It was killed, and a busy machine takes a moment for that.
    wait_for(lambda: not is_alive(child))


def test_a_program_that_is_revived_goes_on_after_its_end(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "REVIVED_AFTER", 0.0)
    lives = tmp_path / "lives"
    code = f"open({str(lives)!r}, 'a').write('x')\nimport os, signal, time\n"
    code += f"if os.path.getsize({str(lives)!r}) == 3: os.kill({os.getpid()}, signal.SIGTERM); time.sleep(60)"
    run(supervisor, Program("worker", (sys.executable, "-c", code), is_revived=True))
    assert lives.read_text() == "xxx"
    assert capfd.readouterr().err.count("worker stopped by itself (exit code 0) and is started again") == 2


def test_a_program_that_cannot_run_at_all_is_not_revived(supervisor: Supervisor) -> None:
    with pytest.raises(ProgramStopped, match=r"worker stopped by itself \(exit code 3\)"):
        run(supervisor, Program("worker", (sys.executable, "-c", "raise SystemExit(3)"), is_revived=True))


def test_a_program_that_ends_again_and_again_is_reported(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "REVIVED_AFTER", 0.0)
    with pytest.raises(ProgramStopped, match="worker stopped by itself"):
        run(supervisor, Program("worker", (sys.executable, "-c", "pass"), is_revived=True))
    assert capfd.readouterr().err.count("is started again") == processes.REVIVALS


def test_a_signal_stops_everything(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(Program("patient", PATIENT))
        os.kill(os.getpid(), signal.SIGTERM)
        supervisor.watch()


def test_a_signal_that_comes_twice_at_once_is_one_wish(supervisor: Supervisor, tmp_path: Path) -> None:
    slow = "import signal, sys, time\nsignal.signal(15, lambda *_: (time.sleep(0.3), print('tidy'), sys.exit()))\n"
    slow += "print('ready', flush=True); time.sleep(60)"
    with supervisor:
        supervisor.start(Program("slow", (sys.executable, "-c", slow)))
        wait_for(lambda: (tmp_path / "slow.log").read_text() == "ready\n")
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        supervisor.watch()
    assert (tmp_path / "slow.log").read_text() == "ready\ntidy\n"


def test_a_signal_ends_waiting_too(supervisor: Supervisor) -> None:
    with supervisor:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopAsked):
            supervisor.wait_until(lambda: False, what="nothing", seconds=5)


def test_who_asks_twice_does_not_wait_for_a_stubborn_program(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    with supervisor:
        supervisor.start(Program("stubborn", STUBBORN))
        wait_for(lambda: (tmp_path / "stubborn.log").read_text() == "ready\n")
        os.kill(os.getpid(), signal.SIGINT)
        supervisor.watch()
        monkeypatch.setattr("broker.operations.processes.SAME_WISH", -1.0)
        os.kill(os.getpid(), signal.SIGINT)
    assert time.monotonic() - started < 5


def test_what_does_not_become_ready_is_reported(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(Program("patient", PATIENT))
        with pytest.raises(ProgramStopped, match=r"the web server was not ready after 0 seconds"):
            supervisor.wait_until(lambda: False, what="the web server", seconds=0)


def test_nobody_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from broker.operations.processes import *\n"
        f"with Supervisor(pathlib.Path({str(tmp_path)!r}), working_folder=pathlib.Path({str(ROOT)!r})) as supervisor:\n"
        f"    supervisor.start(Program('family', {FAMILY!r}))\n"
        "    print(supervisor._running[0].process.pid, flush=True)\n"
        "    supervisor.watch()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    leader = int(process.stdout.readline())
    wait_for(lambda: (tmp_path / "family.log").read_text().strip().isdecimal())
    child = int((tmp_path / "family.log").read_text())
    assert is_alive(leader)
    assert is_alive(child)
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: not is_alive(leader) and not is_alive(child))


def test_the_watchman_remembers_only_who_is_still_named() -> None:
    assert read_names(["+1\n", "+2\n", "-1\n"]) == {2}


def test_the_watchman_kills_who_does_not_stop() -> None:
    process = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    end({process.pid}, kill_after=0.2)
    assert process.wait(timeout=5) == -signal.SIGKILL
    process.stdout.close()
    assert not is_there(process.pid)
