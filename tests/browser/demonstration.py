"""The demonstration that runs, as its own announcement describes it."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from demo.addresses import NAMES, Addresses

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Where everything answers, the operators' one-time passwords by e-mail address, and the folder of it all."""

    addresses: Addresses
    passwords: Mapping[str, str]
    folder: Path

    @classmethod
    def read(cls, folder: Path) -> "Demonstration":
        """What the start printed into `folder`/said."""
        said = (folder / "said").read_text()
        base = re.search(r"^ +What to click +http://localhost:(\d+)/$", said, re.MULTILINE)
        assert base, f"the announcement does not say where to click:\n{said}"
        passwords = dict(re.findall(r"^ +(\S+@\S+) +(\S+)$", said, re.MULTILINE))
        return cls(Addresses(int(base[1])), passwords=passwords, folder=folder)

    @property
    def hosts(self) -> set[str]:
        """The hosts that a page may ask for anything."""
        addresses = [self.addresses.address_of(name) for name in ("broker", *NAMES)]
        return {str(urlsplit(address).hostname) for address in addresses}

    @property
    def broker(self) -> str:
        return self.addresses.broker

    @property
    def crm(self) -> str:
        return self.addresses.crm

    @property
    def hr(self) -> str:
        return self.addresses.hr

    @property
    def hr_system(self) -> str:
        return self.addresses.hr_system

    @property
    def identity_provider(self) -> str:
        return self.addresses.identity_provider

    @property
    def console(self) -> str:
        return f"{self.broker}/admin/"

    def apply(self, parties: str) -> None:
        """`manage.py apply` of a file with this text, which names other files relative to `folder`."""
        path = self.folder / "parties.yaml"
        path.write_text(parties)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("BROKER_", "DJANGO_"))}
        environment |= {"BROKER_VAR": str(self.folder / "var"), "BROKER_BASE_URL": self.broker}
        told = subprocess.run(
            [sys.executable, "manage.py", "apply", str(path)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stdout + told.stderr
