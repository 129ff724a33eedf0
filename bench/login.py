"""A whole login from SAML to OpenID Connect: `python -m bench.login`.

Two processes, each with a database of its own, one with 5 registered identity providers and one with 5,000, are
driven in turn. What is compared is CPU time of the broker's four requests; the identity provider's own signing is not
in it. The login walks through identity providers at random, so that memories are cold as often as in life.
"""

import base64
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

FEW, MANY = 5, 5_000
ALLOWED = 1.2
NAME = "Alice Ålesund"
GROUPS = ["engineering", "on call"]
STEPS = ("authorization request", "answer arrives", "answer is judged", "token request")


def main(*, rounds: int = 20, logins: int = 10) -> float:
    """Print the split and the ratio, and return the ratio (median of the pairs)."""
    workers = {count: _start(count) for count in (FEW, MANY)}
    measured: dict[int, list[dict[str, float]]] = {FEW: [], MANY: []}
    for number in range(rounds + 2):
        for count, worker in workers.items():
            split = _ask(worker, logins)
            if number >= 2:
                measured[count].append(split)
    queries = {count: int(_ask(worker, 0)["queries"]) for count, worker in workers.items()}
    for worker in workers.values():
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(timeout=30)
    ratios = sorted(
        sum(many.values()) / sum(few.values()) for few, many in zip(measured[FEW], measured[MANY], strict=True)
    )
    print(f"{rounds} pairs of {logins} logins; SQLite; CPU milliseconds of the broker, medians")
    print(f"{'step':24}{FEW:>8}{MANY:>8}")
    for step in STEPS:
        print(f"{step:24}" + "".join(f"{_milliseconds(measured[count], step):8.2f}" for count in (FEW, MANY)))
    print(f"{'queries of a login':24}{queries[FEW]:8}{queries[MANY]:8}")
    print(
        f"{MANY} against {FEW}: {median(ratios):.2f} times the cost"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f}); at most {ALLOWED}"
    )
    return median(ratios)


def _milliseconds(splits: list[dict[str, float]], step: str) -> float:
    return median(split[step] for split in splits) * 1000


def _start(count: int) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BROKER_")}
    return subprocess.Popen(
        [sys.executable, "-m", "bench.login", str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _ask(worker: subprocess.Popen[str], logins: int) -> dict[str, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(logins, file=worker.stdin, flush=True)
    line = worker.stdout.readline()
    if not line:
        sys.exit("a worker of the bench ended early")
    return dict(json.loads(line))


def work(count: int) -> None:
    """A worker: for each line with a number of logins, a line with the mean CPU seconds of each step."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BROKER_VAR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        logging.disable(logging.CRITICAL)
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        stage = _Stage(count)
        for line in sys.stdin:
            logins = int(line)
            answer = stage.measure(logins) if logins else {"queries": stage.count_queries()}
            print(json.dumps(answer), flush=True)


class _Stage:
    """The registered companies of one worker, each with one known person. Five RSA keys serve them all."""

    def __init__(self, count: int) -> None:
        from broker.registry.models import IdentityProvider, Organisation
        from tests.fakes.fake_idp import FakeIdentityProvider
        from tests.fakes.saml_keys import key_pair
        from tests.flows.stage import Company, make_company

        first = make_company(slug="bench-0")
        now = datetime.now(UTC)
        organisations = Organisation.objects.bulk_create(
            [Organisation(slug=f"org-{n}", name=f"Company {n}", created_at=now) for n in range(1, count)]
        )
        providers = IdentityProvider.objects.bulk_create(
            [
                IdentityProvider(
                    slug=f"bench-{n}",
                    name=f"Company {n}",
                    organisation=owner,
                    protocol="saml",
                    issuer=f"https://bench-{n}.example/saml",
                    sso_url=f"https://bench-{n}.example/sso",
                    sso_binding="redirect",
                    certificates=[{"der": _certificate(key_pair(f"bench {n % FEW}"), n)}],
                    created_at=now,
                )
                for n, owner in enumerate(organisations, start=1)
            ],
            batch_size=500,
        )
        _make_people(providers, now)
        self.companies = [first] + [
            Company(provider, FakeIdentityProvider(provider.issuer, key_name=f"bench {number % FEW}"), first.client)
            for number, provider in enumerate(providers, start=1)
        ]

    def measure(self, logins: int) -> dict[str, float]:
        spent = dict.fromkeys(STEPS, 0.0)
        for _ in range(logins):
            for step, seconds in self.log_in().items():
                spent[step] += seconds / logins
        return spent

    def count_queries(self) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self.log_in(self.companies[0])
        with CaptureQueriesContext(connection) as captured:
            self.log_in(self.companies[0])
        control = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
        return sum(not query["sql"].startswith(control) for query in captured)

    def log_in(self, company: Any = None) -> dict[str, float]:
        """One login of a returning person, step by step; returns CPU seconds."""
        from tests.flows.stage import Browser, answer_of, read_request

        company = company or random.choice(self.companies)
        browser, spent = Browser(), {}
        slug = company.identity_provider.slug
        spent[STEPS[0]], sent = _timed(lambda: company.ask(browser, idp_hint=slug))
        relay_state = parse_qs(urlsplit(sent["Location"]).query)["RelayState"][0]
        answer = company.fake.answer(
            request_id=read_request(sent).get("ID"),
            acs_url=company.acs_url,
            audience=company.audience,
            sign="both",
            attributes={"displayName": NAME, "groups": GROUPS},
        )
        fields = {"SAMLResponse": answer, "RelayState": relay_state}
        spent[STEPS[1]], there = _timed(lambda: browser.post(company.acs_url, fields))
        spent[STEPS[2]], back = _timed(lambda: browser.get(there["Location"]))
        code = answer_of(back)["code"]
        spent[STEPS[3]], tokens = _timed(lambda: company.redeem(code))
        assert tokens.status_code == 200
        return spent


def _make_people(providers: list[Any], now: datetime) -> None:
    """Alice at each identity provider, as an earlier login would have left her."""
    from broker.directory.models import Group, LinkedIdentity, Membership, Person
    from broker.registry.models import Domain

    options = {"batch_size": 500}
    people = Person.objects.bulk_create(
        [Person(organisation=one.organisation, name=NAME, created_at=now, updated_at=now) for one in providers],
        **options,
    )
    known = list(zip(people, providers, strict=True))
    LinkedIdentity.objects.bulk_create(
        [
            LinkedIdentity(
                person=person,
                identity_provider=provider,
                issuer=provider.issuer,
                subject="alice",
                linked_at=now,
                last_used_at=now,
            )
            for person, provider in known
        ],
        **options,
    )
    Domain.objects.bulk_create(
        [
            Domain(organisation=one.organisation, name=f"{one.slug}.example", proof="operator", proved_at=now)
            for one in providers
        ],
        **options,
    )
    for name in GROUPS:
        groups = Group.objects.bulk_create([Group(identity_provider=one, name=name) for one in providers], **options)
        Membership.objects.bulk_create(
            [Membership(person=person, group=group, since=now) for person, group in zip(people, groups, strict=True)],
            **options,
        )


def _certificate(pair: Any, number: int) -> str:
    """A certificate of its own over a shared key, as base64 of DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"bench-{number}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(pair.private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1000))
        .sign(pair.private_key, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _timed(do: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = do()
    return time.process_time() - start, result


if __name__ == "__main__":
    if len(sys.argv) == 2:
        work(int(sys.argv[1]))
    else:
        main()
