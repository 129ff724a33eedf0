"""Whether the holder of a lease is dead is said only where it is known."""

import contextlib
import os
import subprocess
import sys

import pytest
from django.conf import settings

from broker import leases
from broker.leases import holding, is_dead, new_lease


def lease_of(program: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    return run.stdout.strip()


def test_every_lease_is_another_and_its_holder_lives() -> None:
    first, second = new_lease(), new_lease()
    assert first != second
    assert (is_dead(first), is_dead(second)) == (False, False)
    assert len(first) <= 160


def test_a_process_that_ended_is_dead() -> None:
    assert is_dead(lease_of("from broker.leases import new_lease; print(new_lease())"))


def test_a_process_that_nobody_buried_yet_is_dead() -> None:
    program = "import sys; from broker.leases import new_lease; print(new_lease(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=settings.ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lease = process.stdout.readline().strip()
        assert not is_dead(lease)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(lease)


def test_another_process_with_the_same_number_is_not_the_holder() -> None:
    assert is_dead(new_lease().rpartition("/")[0] + "/1")


@pytest.mark.parametrize(
    "lease",
    ["", "x", "token@", "token@/1/2", "token@elsewhere/1/2", "token@elsewhere/abc/2", "@@//"],
)
def test_of_other_machines_and_of_nonsense_nothing_is_said(lease: str) -> None:
    assert not is_dead(lease)


def test_where_the_system_does_not_tell_nobody_is_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    leases._machine.cache_clear()
    monkeypatch.setattr(leases, "PROC", tmp_path)
    try:
        lease = new_lease()
        assert not is_dead(lease.rpartition("/")[0] + "/1")
    finally:
        leases._machine.cache_clear()


def test_what_this_process_could_not_give_back_is_dead() -> None:
    kept, lost = new_lease(), new_lease()
    with holding(kept):
        pass
    with pytest.raises(RuntimeError), holding(lost):
        raise RuntimeError
    assert (is_dead(kept), is_dead(lost)) == (False, True)


def test_no_more_leases_are_remembered_than_the_limit() -> None:
    lost = [new_lease() for _ in range(leases.ABANDONED_MAX + 1)]
    for lease in lost:
        with contextlib.suppress(RuntimeError), holding(lease):
            raise RuntimeError
    assert (is_dead(lost[0]), is_dead(lost[-1])) == (False, True)
