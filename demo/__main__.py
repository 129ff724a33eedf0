"""`make run`: Countersign with the demonstration company around it.

The port comes from the variable PORT (8000 by default); the company takes the five ports behind it.
"""

import hashlib
import io
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from broker import env
from broker.operations import embedded
from broker.operations.processes import Program
from demo import erp, identity_provider
from demo.addresses import DEFAULT_PORT, NAMES, Addresses
from demo.fetching import fetch

HERE = Path(__file__).resolve().parent
APPLICATIONS = ("crm", "hr")
OPERATORS = (("olga@acme.example", "Olga Operator"), ("oscar@acme.example", "Oscar Operator"))
REMEDY = "choose another: make run PORT=8010"
HIGHEST_PORT = 2**16 - 1 - len(NAMES)
ANSWERS_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The company in its folder below `var`."""

    addresses: Addresses
    folder: Path

    def prepare(self, _var: Path) -> Sequence[Program]:
        """Write what the company's processes and its configuration need; returns the processes."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for application in APPLICATIONS:
            secret = self.folder / f"{application}.secret"
            if not secret.exists():
                secret.write_text(secrets.token_urlsafe(32))
        sso_url = f"{self.addresses.identity_provider}/sso"
        for name, metadata in (
            (identity_provider.METADATA_FILE, identity_provider.make_metadata(self.folder, sso_url=sso_url)),
            (erp.METADATA_FILE, erp.make_metadata(self.folder, address=self.addresses.erp)),
        ):
            (self.folder / name).write_bytes(metadata)
        for name in ("company.yaml", "clicks.json"):
            (self.folder / name).write_text(self.addresses.readdress((HERE / name).read_text()))
        options = ("--base-port", str(self.addresses.port), "--folder", str(self.folder))
        return (
            Program("identity-provider", (sys.executable, "-m", "demo.identity_provider", *options)),
            Program("globex", (sys.executable, "-m", "demo.openid_provider", *options)),
            Program("erp", (sys.executable, "-m", "demo.erp", *options)),
            *(Program(one, (sys.executable, "-m", "demo.application", one, *options)) for one in APPLICATIONS),
        )

    def load(self, is_new: bool) -> None:  # noqa: FBT001 - the start's signature
        """`manage.py apply` the company's configuration, if it or what it names changed since the last time."""
        from django.core.management import CommandError, call_command  # the start has set Django up by now

        digest = hashlib.sha256()
        metadata = (identity_provider.METADATA_FILE, erp.METADATA_FILE)
        for name in ("company.yaml", *metadata, *(f"{one}.secret" for one in APPLICATIONS)):
            digest.update((self.folder / name).read_bytes())
        applied = self.folder / "applied"
        if not is_new and applied.exists() and applied.read_text() == digest.hexdigest():
            return
        self._wait_for_globex()
        said = io.StringIO()
        try:
            call_command("apply", str(self.folder / "company.yaml"), stdout=said, stderr=said)
        except (CommandError, SystemExit) as error:  # the command ends like that when the file has problems
            raise embedded.CannotStart(
                f"the demonstration's companies cannot be loaded: {error}\n{said.getvalue()}"
            ) from error
        applied.write_text(digest.hexdigest())

    def _wait_for_globex(self) -> None:
        """Its configuration is read while ours is applied."""
        deadline = time.monotonic() + ANSWERS_WITHIN_SECONDS
        while time.monotonic() < deadline:
            try:
                fetch(f"{self.addresses.globex}/.well-known/openid-configuration")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise embedded.CannotStart("Globex's identity provider does not answer; its log is log/globex.log")

    def announce(self, operators: Sequence[embedded.NewOperator]) -> None:
        """Say where everything is and what to click."""
        addresses = self.addresses
        lines = [
            "",
            "Countersign and the demonstration company are running. Ctrl-C stops them.",
            "",
            f"  What to click       {addresses.broker}/",
            f"  The console         {addresses.broker}/admin/",
            f"  Acme CRM            {addresses.crm}/",
            f"  Acme HR portal      {addresses.hr}/",
            f"  Acme ERP            {addresses.erp}/",
            f"  Identity provider   {addresses.identity_provider}/  (faults: {addresses.identity_provider}/faults)",
            f"  Globex Login        {addresses.globex}/  (faults: {addresses.globex}/faults)",
            "",
        ]
        if operators:
            lines.append("  Two operators for the console; each one-time password is shown only now:")
            lines += [f"    {one.email:20}{one.password}" for one in operators]
        else:
            email = OPERATORS[0][0]
            lines.append(f"  A lost password: .venv/bin/python manage.py reset_operator {email}")
        print("\n".join(lines), flush=True)


def main() -> int:
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) <= HIGHEST_PORT:
        print(f"countersign: PORT={text} is not a port with {len(NAMES)} more behind it; {REMEDY}", file=sys.stderr)
        return 1
    addresses = Addresses(int(text))
    var = env.var_dir()
    demonstration = Demonstration(addresses, var / "demo")
    os.environ.update(
        {
            "BROKER_VAR": str(var),
            "BROKER_BASE_URL": addresses.broker,
            "BROKER_DEMONSTRATION": str(var / "demo" / "clicks.json"),
            # Globex answers on this machine, where the broker else asks nobody.
            "BROKER_OUTGOING_NETWORKS": "127.0.0.1/32,::1/128",
        }
    )
    print(f"Starting Countersign on port {addresses.port} …", flush=True)
    return embedded.run(
        var=var,
        port=addresses.port,
        announce=demonstration.announce,
        remedy=REMEDY,
        operators=OPERATORS,
        companions=embedded.Companions(ports=addresses.ports, prepare=demonstration.prepare, load=demonstration.load),
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
