"""A whole login, from each protocol to each: `python -m bench.login`.

Two processes, each with a database of its own, one with 5 registered SAML identity providers and one with 5,000, are
driven in turn. What is compared is CPU time of the broker's requests, on the thread that answers them: what the
identity provider and the application do is not in it. A login by SAML walks through the identity providers at random,
so that memories are cold as often as in life; the OpenID provider, one beside the thousands, answers over HTTP.
"""

import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from bench.workers import ask, start

FEW, MANY = 5, 5_000
ALLOWED = 1.2
QUERIES_ALLOWED = 25
PAIRS = (("saml", "oidc"), ("saml", "saml"), ("oidc", "oidc"), ("oidc", "saml"))
"""(upstream, downstream)"""
STEPS = ("request", "answer arrives", "answer is judged", "token request")
"""An answer by OpenID Connect is judged as it arrives; a SAML application has no token request."""
CONTROL = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
OPENID_DOMAIN = "globex.example"


def main(*, rounds: int = 20, logins: int = 10) -> dict[tuple[str, str], float]:
    """Print the split of each pair, and return the ratios (medians of the rounds)."""
    workers = {count: start("bench.login", count) for count in (FEW, MANY)}
    for worker in workers.values():
        for pair in PAIRS:
            ask(worker, {"pair": pair, "logins": 2})  # both are ready, and warm
    print(f"{rounds} rounds of {logins} logins; SQLite; CPU milliseconds of the broker, medians at {MANY} companies")
    results = {pair: _compare(workers, pair, rounds=rounds, logins=logins) for pair in PAIRS}
    for worker in workers.values():
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(timeout=30)
    print(f"{'':26}" + "".join(f"{' to '.join(pair).upper():>15}" for pair in PAIRS))
    for step in STEPS:
        print(f"{step:26}" + "".join(_cell(results[pair]["split"][step]) for pair in PAIRS))
    print(f"{'in all':26}" + "".join(_cell(sum(results[pair]["split"].values())) for pair in PAIRS))
    print(f"{f'queries (of {QUERIES_ALLOWED})':26}" + "".join(f"{results[pair]['queries']:15}" for pair in PAIRS))
    ratios = {pair: median(results[pair]["ratios"]) for pair in PAIRS}
    print(f"{f'{MANY} against {FEW}':26}" + "".join(f"{ratios[pair]:15.2f}" for pair in PAIRS))
    for pair in PAIRS:
        spread = f"{min(results[pair]['ratios']):.2f} to {max(results[pair]['ratios']):.2f}"
        print(f"  {' to '.join(pair).upper()}: {ratios[pair]:.2f} times the cost ({spread}); at most {ALLOWED}")
    return ratios


def _compare(
    workers: dict[int, subprocess.Popen[str]], pair: tuple[str, str], *, rounds: int, logins: int
) -> dict[str, Any]:
    """The split at many companies, the ratio of each round, and the queries of one login."""
    measured: dict[int, list[dict[str, float]]] = {FEW: [], MANY: []}
    for number in range(rounds):
        for count in sorted(workers, reverse=bool(number % 2)):
            measured[count].append(ask(workers[count], {"pair": pair, "logins": logins}))
    return {
        "split": {step: median(split[step] for split in measured[MANY]) for step in STEPS},
        "ratios": [sum(b.values()) / sum(a.values()) for a, b in zip(measured[FEW], measured[MANY], strict=True)],
        "queries": int(ask(workers[MANY], {"pair": pair, "logins": 0})["queries"]),
    }


def _cell(seconds: float) -> str:
    return f"{seconds * 1000:15.2f}" if seconds else f"{'-':>15}"


def work(count: int) -> None:
    """A worker: for each line {pair, logins} a line with the mean CPU seconds of each step, or the queries of one."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({"BROKER_VAR": folder, "BROKER_OUTGOING_NETWORKS": "127.0.0.0/8"})
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        logging.disable(logging.CRITICAL)
        from django.conf import settings
        from django.core.management import call_command

        from tests.fakes.fake_op import running

        settings.ALLOWED_HOSTS.append("testserver")  # what Django's test client says
        call_command("migrate", verbosity=0)
        with running() as openid_provider:
            stage = _Stage(count, openid_provider)
            for line in sys.stdin:
                question = json.loads(line)
                pair, logins = tuple(question["pair"]), question["logins"]
                answer = stage.measure(pair, logins) if logins else {"queries": stage.count_queries(pair)}
                print(json.dumps(answer), flush=True)


class _Stage:
    """The companies and the two applications of one worker."""

    def __init__(self, count: int, openid_provider: Any) -> None:
        from bench.companies import make_known_at, register_companies
        from tests.flows.openid_stage import make_openid_company
        from tests.flows.saml_stage import make_erp

        self.globex = make_openid_company(openid_provider)
        self.erp = make_erp(company=self.globex)
        self.registered = register_companies(count)
        make_known_at(self.erp.application)

    def measure(self, pair: tuple[str, str], logins: int) -> dict[str, float]:
        spent = dict.fromkeys(STEPS, 0.0)
        for _ in range(logins):
            for step, seconds in self.log_in(pair).items():
                spent[step] += seconds / logins
        return spent

    def count_queries(self, pair: tuple[str, str]) -> int:
        """Of a login by an identity provider that was asked a moment ago."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        chosen = self.registered[0]
        self.log_in(pair, chosen)
        with CaptureQueriesContext(connection) as captured:
            self.log_in(pair, chosen)
        return sum(not query["sql"].startswith(CONTROL) for query in captured)

    def log_in(self, pair: tuple[str, str], chosen: Any = None) -> dict[str, float]:
        """One login of a returning person; CPU seconds by step."""
        from tests.flows.stage import Browser

        upstream, downstream = pair
        browser, chosen = Browser(), chosen or random.choice(self.registered)
        company = self._company(chosen) if upstream == "saml" else self.globex
        domain = chosen.domain if upstream == "saml" else OPENID_DOMAIN
        spent = {}
        spent[STEPS[0]], sent = _timed(self._question(browser, company, domain, downstream=downstream))
        if upstream == "saml":
            fields = self._saml_answer(company, domain, sent)
            spent[STEPS[1]], there = _timed(lambda: browser.post(company.acs_url, fields))
            url = urljoin(company.acs_url, there["Location"])
        else:
            url = company.fake.authorize(sent["Location"])
        spent[STEPS[2]], back = _timed(lambda: browser.get(url))
        if downstream == "saml":
            assert self.erp.read(back).attributes
        else:
            spent[STEPS[3]] = self._redeem(company, back)
        return spent

    def _company(self, chosen: Any) -> Any:
        from tests.flows.stage import Company

        return Company(chosen.identity_provider, chosen.fake, self.globex.client)

    def _question(self, browser: Any, company: Any, domain: str, *, downstream: str) -> Callable[[], Any]:
        """What sends the browser to us; it names the identity provider as far as the protocol can."""
        from bench.satosa_driver import asked_inside

        if downstream == "oidc":
            return lambda: company.ask(browser, idp_hint=company.identity_provider.slug)
        url, inside = self.erp.sso_url, asked_inside(domain)
        query = self.erp.sp.redirect(url, request_id="_the-request", relay_state="/", inside=inside)
        return lambda: browser.get(f"{url}?{query}")

    def _saml_answer(self, company: Any, domain: str, sent: Any) -> dict[str, str]:
        from bench.alice import attributes_at
        from tests.flows.stage import read_request

        answer = company.fake.answer(
            request_id=read_request(sent).get("ID"),
            acs_url=company.acs_url,
            audience=company.audience,
            sign="both",
            attributes=attributes_at(domain),
        )
        return {"SAMLResponse": answer, "RelayState": parse_qs(urlsplit(sent["Location"]).query)["RelayState"][0]}

    def _redeem(self, company: Any, back: Any) -> float:
        from tests.flows.stage import answer_of

        code = answer_of(back)["code"]
        seconds, tokens = _timed(lambda: company.redeem(code))
        assert tokens.status_code == 200
        return seconds


def _timed(do: Callable[[], Any]) -> tuple[float, Any]:
    start = time.thread_time()
    result = do()
    return time.thread_time() - start, result


if __name__ == "__main__":
    if len(sys.argv) == 2:
        work(int(sys.argv[1]))
    else:
        main()
