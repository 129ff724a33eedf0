"""Pages of docs/ whose configuration is applied and whose snippets are run, with the values of the environment."""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from broker.actors import SYSTEM
from broker.registry.models import Client
from broker.registry.secrets import issue_secret

OUR_ADDRESS = "https://sso.acme.example"
"""How pages write the address of the broker in their configuration."""
COMMANDS = {
    "bash": ["sh", "-euc"],
    "python": [sys.executable, "-c"],
    "javascript": ["node", "--input-type=module", "-e"],
}
SECONDS = 60


@dataclass(frozen=True)
class Page:
    """One page of docs/."""

    text: str

    @classmethod
    def read(cls, name: str) -> "Page":
        return cls(Path(settings.ROOT / "docs" / name).read_text())

    def snippets(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)

    def apply(self, folder: Path) -> None:
        """Apply the page's own configuration."""
        for number, configuration in enumerate(self.snippets("yaml")):
            path = folder / f"{number}.yaml"
            path.write_text(configuration.replace(OUR_ADDRESS, settings.BROKER_BASE_URL))
            call_command("apply", str(path), stdout=io.StringIO())

    def run(self, language: str, **environment: str) -> list[str]:
        """What each snippet prints, in the page's order. Each has to end well."""
        return [run([*COMMANDS[language], text], environment) for text in self.snippets(language)]


def run(command: list[str], environment: dict[str, str]) -> str:
    kept = {"PATH": os.environ["PATH"], "no_proxy": "*"}
    done = subprocess.run(command, env=kept | environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def objects(printed: str) -> list[dict[str, Any]]:
    """The JSON objects that were printed one after the other."""
    decoder, found, rest = json.JSONDecoder(), [], printed.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def credentials(client_id: str, *, prefix: str = "CLIENT") -> dict[str, str]:
    """A secret for a client that a page registered, as its snippets take it from the environment."""
    client = Client.objects.get(client_id=client_id, retired_at=None)
    return {f"{prefix}_ID": client_id, f"{prefix}_SECRET": issue_secret(client, actor=SYSTEM)}
