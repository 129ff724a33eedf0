"""`make run`: Countersign with the demonstration company around it.

The port comes from the variable PORT (8000 by default); the company takes the six ports behind it.
"""

import hashlib
import io
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from broker import env
from broker.operations import embedded
from broker.operations.processes import Program
from demo.addresses import DEFAULT_PORT, NAMES, Addresses
from demo.company import APPLICATIONS, COMPANY, FILES, HERE, SCHEMA, write_company
from demo.fetching import fetch
from demo.hr_system import make_telling
from demo.integrations import Integrations
from demo.staff import FIRST

IN_FORCE = "erp-orders"
"""The policy that the two operators bring into force."""
OPERATORS = (("olga@acme.example", "Olga Operator"), ("oscar@acme.example", "Oscar Operator"))
REMEDY = "choose another: make run PORT=8010"
HIGHEST_PORT = 2**16 - 1 - len(NAMES)
ANSWERS_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The company in its folder below `var`."""

    addresses: Addresses
    folder: Path

    def prepare(self, var: Path) -> Sequence[Program]:
        """Write what the company's processes and its configuration need; returns the processes."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        write_company(self.folder, self.addresses)
        clicks = json.loads(self.addresses.readdress((HERE / "clicks.json").read_text()))
        clicks["people"]["snippets"] = [verification(var)]
        clicks["integrations"] = Integrations(self.addresses, self.folder).box()
        (self.folder / "clicks.json").write_text(json.dumps(clicks))
        options = ("--base-port", str(self.addresses.port), "--folder", str(self.folder))
        return (
            Program("identity-provider", (sys.executable, "-m", "demo.identity_provider", *options)),
            Program("globex", (sys.executable, "-m", "demo.openid_provider", *options)),
            Program("hr-system", (sys.executable, "-m", "demo.hr_system", *options)),
            Program("erp", (sys.executable, "-m", "demo.erp", *options)),
            *(Program(one, (sys.executable, "-m", "demo.application", one, *options)) for one in APPLICATIONS),
        )

    def load(self, is_new: bool) -> None:  # noqa: FBT001 - the start's signature
        """`manage.py apply` the company's configuration, if it or what it names changed since the last time."""
        from django.core.management import CommandError, call_command  # the start has set Django up by now

        digest = hashlib.sha256()
        for name in FILES:
            digest.update((self.folder / name).read_bytes())
        applied = self.folder / "applied"
        if not is_new and applied.exists() and applied.read_text() == digest.hexdigest():
            return
        self._wait_for_globex()
        said = io.StringIO()
        try:
            call_command("declare_policy_schema", str(self.folder / SCHEMA), stdout=said, stderr=said)
            call_command("apply", str(self.folder / COMPANY), stdout=said, stderr=said)
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

    def begin(self) -> str:
        """The first start: a policy comes into force, the integrations ask, HR tells of everybody.

        Returns what went wrong, or "".
        """
        from broker.errors import BrokerError

        try:
            bring_into_force(IN_FORCE)
            Integrations(self.addresses, self.folder).ask_once()
            tell_of_everybody(self.folder, self.addresses)
        except (BrokerError, OSError, ValueError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def announce(self, operators: Sequence[embedded.NewOperator]) -> None:
        """Say where everything is and what to click. The first start also shows what integrations do."""
        addresses = self.addresses
        # What fails here must not keep the one-time passwords back.
        problem = self.begin() if operators else ""
        lines = [
            "",
            "Countersign and the demonstration company are running. Ctrl-C stops them.",
            "",
            f"  What to click       {addresses.broker}/",
            f"  The console         {addresses.broker}/admin/",
            f"  Acme CRM            {addresses.crm}/",
            f"  Acme HR portal      {addresses.hr}/",
            f"  Acme ERP            {addresses.erp}/",
            f"  Acme HR system      {addresses.hr_system}/",
            f"  Identity provider   {addresses.identity_provider}/  (faults: {addresses.identity_provider}/faults)",
            f"  Globex Login        {addresses.globex}/  (faults: {addresses.globex}/faults)",
            "",
        ]
        if problem:
            lines += [f"  The first requests could not be shown: {problem}", ""]
        if operators:
            lines.append("  Two operators for the console; each one-time password is shown only now:")
            lines += [f"    {one.email:20}{one.password}" for one in operators]
        else:
            email = OPERATORS[0][0]
            lines.append(f"  A lost password: .venv/bin/python manage.py reset_operator {email}")
        print("\n".join(lines), flush=True)


def bring_into_force(slug: str) -> None:
    """The one operator asks, the other approves, as they would in the console. Raises BrokerError."""
    from broker.access.activation import request_activation
    from broker.access.models import PolicyVersion
    from broker.actors import Actor, ActorKind
    from broker.approvals.services import approve

    olga, oscar = (Actor(ActorKind.OPERATOR, email) for email, _ in OPERATORS)
    version = PolicyVersion.objects.select_related("policy").get(policy__slug=slug, state=PolicyVersion.State.CANDIDATE)
    approve(request_activation(version, actor=olga), actor=oscar, reason="The demonstration begins with it.")


def tell_of_everybody(folder: Path, addresses: Addresses) -> None:
    """HR's people of the first day become known, and get accounts. Raises OSError where we do not take one."""
    telling = make_telling(folder, addresses)
    for colleague in FIRST:
        for exchange in telling.tell(colleague, []):
            if not exchange.is_well:
                raise OSError(f"{exchange.method} {exchange.address} was answered {exchange.status}")


def verification(var: Path) -> dict[str, str]:
    """What is copied into a terminal to judge the newest export that was downloaded."""
    newest = "ls -t ~/Downloads/leaver-*.json | head -n 1"
    program, anchor = shlex.quote(sys.executable), shlex.quote(str(var / "seals.log"))
    code = f'{program} ~/Downloads/verify_leaver.py \\\n  "$({newest})" --anchor {anchor}'
    return {"label": "Judge the newest export, offline", "code": code}


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
