"""Load over HTTP by wrk, from a core of its own: POSTs of forms whose senders and bodies take turns, or GETs."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
TIMEOUT_SECONDS = 30
"""A request that takes as long has failed."""
LOAD_CORE, SERVER_CORE = 0, (os.cpu_count() or 1) - 1
DONE = """
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  local form = '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}'
  local p50, p99 = latency:percentile(50) / 1e6, latency:percentile(99) / 1e6
  print("RESULT " .. string.format(form, summary.requests, summary.duration / 1e6, p50, p99, failed))
end
"""
SCRIPT = """
local authorizations = {%(authorizations)s}
local bodies = {%(bodies)s}
local requests, number = {}, 0

init = function(arguments)
  number = tonumber(arguments[1]) or 0
  for n = 1, math.max(#authorizations, #bodies) do
    local headers = {
      ["Authorization"] = authorizations[(n - 1) %% #authorizations + 1],
      ["Content-Type"] = "application/x-www-form-urlencoded",
    }
    requests[n] = wrk.format("POST", "%(path)s", headers, bodies[(n - 1) %% #bodies + 1])
  end
end

request = function()
  number = number %% #requests + 1
  return requests[number]
end

"""
READ_SCRIPT = """
local paths = {%(paths)s}
local requests, number = {}, 0

init = function(arguments)
  number = tonumber(arguments[1]) or 0
  for n = 1, #paths do
    requests[n] = wrk.format("GET", paths[n], {["Authorization"] = "%(authorization)s"})
  end
end

request = function()
  number = number %% #requests + 1
  return requests[number]
end
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one run of wrk counted; times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Load:
    """A script of wrk's, and where it is sent."""

    script: Path
    url: str

    def run(self, seconds: int, *, start: int = 0) -> Answered:
        """Ask for so many seconds, beginning with request `start`. Ends the run when wrk fails."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", f"{TIMEOUT_SECONDS}s"]
        command += ["-s", str(self.script), self.url]
        command += ["--", str(start)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=pin_load)
        line = next(line for line in ended.stdout.splitlines() if line.startswith("RESULT "))
        return Answered(**json.loads(line.removeprefix("RESULT ")))


def write_load(script: Path, *, base_url: str, path: str, authorizations: Sequence[str], bodies: Sequence[str]) -> Load:
    """Write the script that POSTs to `path`."""
    written = SCRIPT % {"path": path, "authorizations": _strings(authorizations), "bodies": _strings(bodies)}
    script.write_text(written + DONE)
    return Load(script, base_url)


def write_reads(script: Path, *, base_url: str, paths: Sequence[str], authorization: str) -> Load:
    """Write the script that GETs these paths in turn."""
    script.write_text(READ_SCRIPT % {"paths": _strings(paths), "authorization": authorization} + DONE)
    return Load(script, base_url)


def is_installed() -> bool:
    """Whether wrk is there; it is Debian's, and installing it wants root."""
    return shutil.which("wrk") is not None


def pin_load() -> None:
    """This process, and what it starts, to the core of the load and the database."""
    os.sched_setaffinity(0, {LOAD_CORE})


def pin_server() -> None:
    """This process, and what it starts, to the core of the servers."""
    os.sched_setaffinity(0, {SERVER_CORE})


def _strings(values: Sequence[str]) -> str:
    return ",".join(json.dumps(value) for value in values)
