"""What a login may cost: its queries are counted, and it parses no PEM, forks nothing, writes no temporary file."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from django.db import connection
from django.test import Client as DjangoClient
from django.test.utils import CaptureQueriesContext

from broker import limits
from tests.flows.saml_stage import make_erp
from tests.flows.stage import Browser, Company, answer_of, make_company

pytestmark = pytest.mark.django_db

QUERIES_OF_A_LOGIN = 25
"""Of the authorization request, the identity provider's answer, our continuation, and the token request. One of them
keeps the decision that the person may enter."""
QUERIES_OF_A_SAML_LOGIN = 18
"""The same, to a SAML application: it has no token request."""
QUERIES_OF_USERINFO = 3
QUERIES_OF_A_NEW_PERSON = 11
"""What recording a person with an identifier and a group adds, once, with an event for each of the three."""
_TRANSACTION_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
_FORBIDDEN_EVENTS = ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec", "os.system", "tempfile.mkstemp")

_seen: list[str] = []
_is_watching = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _is_watching and (event in _FORBIDDEN_EVENTS or event.startswith("tempfile.") or _writes(event, arguments)):
        _seen.append(f"{event} {arguments!r}"[:200])


def _writes(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether a file is opened for writing: the database writes its own without Python's open."""
    return event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))


sys.addaudithook(_watch)


@contextmanager
def watching() -> Iterator[list[str]]:
    """The forbidden events of a block, by the interpreter's own audit hooks."""
    global _is_watching
    _seen.clear()
    _is_watching = True
    try:
        yield _seen
    finally:
        _is_watching = False


def count_parsed_pem(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on each parsing of PEM adds its name to the list."""
    parsed: list[str] = []
    for module in list(sys.modules.values()):
        for name in ("load_pem_private_key", "load_pem_public_key", "load_pem_x509_certificate"):
            loader = getattr(module, name, None) if module else None
            if callable(loader):

                def counted(*arguments, _name=name, _loader=loader, **options):
                    parsed.append(_name)
                    return _loader(*arguments, **options)

                monkeypatch.setattr(module, name, counted)
    with pytest.raises(ValueError, match="PEM"):
        serialization.load_pem_private_key(b"none", None)
    assert parsed == ["load_pem_private_key"], "the count itself has to work"
    parsed.clear()
    return parsed


@pytest.fixture
def without_polling(monkeypatch):
    """The memories of parties and keys ask for their version by the clock, which would make a count depend on it."""
    monkeypatch.setattr(limits, "REGISTRY_POLL_INTERVAL", timedelta(hours=1))
    monkeypatch.setattr(limits, "KEY_POLL_INTERVAL", timedelta(hours=1))


def log_in(company: Company, **options: object) -> str:
    """A whole login; returns the access token."""
    code = answer_of(company.sign_on(Browser(), **options))["code"]
    return str(company.redeem(code).json()["access_token"])


def counted(captured: CaptureQueriesContext) -> list[str]:
    return [query["sql"][:160] for query in captured if not query["sql"].startswith(_TRANSACTION_CONTROL)]


@pytest.mark.parametrize("subject", ["alice", "bob"], ids=["returning person", "new person"])
def test_a_login_stays_within_its_budget_of_queries(subject, without_polling):
    company = make_company()
    log_in(company)
    email = {"mail": [f"{subject}@acme.example"], "displayName": ["Alice Ålesund"], "groups": ["engineering"]}
    log_in(company, attributes={**email, "mail": ["alice@acme.example"]})
    with CaptureQueriesContext(connection) as captured:
        log_in(company, subject=subject, attributes=email)
    allowed = QUERIES_OF_A_LOGIN + (0 if subject == "alice" else QUERIES_OF_A_NEW_PERSON)
    assert len(counted(captured)) <= allowed, "\n".join(counted(captured))


def test_a_saml_login_stays_within_its_budget_of_queries(without_polling):
    erp = make_erp()
    erp.read(erp.sign_on(Browser()))
    with CaptureQueriesContext(connection) as captured:
        erp.read(erp.sign_on(Browser()))
    assert len(counted(captured)) <= QUERIES_OF_A_SAML_LOGIN, "\n".join(counted(captured))


def test_a_login_opens_no_savepoint_and_waits_for_few_commits(without_polling):
    """What is read and written in a warm login needs two transactions: the question's, and the judged answer's."""
    erp = make_erp()
    erp.read(erp.sign_on(Browser()))
    with CaptureQueriesContext(connection) as captured:
        erp.read(erp.sign_on(Browser()))
    begun = [query["sql"].split()[0] for query in captured if query["sql"].startswith(_TRANSACTION_CONTROL)]
    # The suite's own transaction is around it, so each of the two shows as a savepoint.
    assert begun == ["SAVEPOINT", "RELEASE"] * 2


def test_userinfo_stays_within_its_budget_of_queries(without_polling):
    bearer = {"authorization": f"Bearer {log_in(make_company())}"}
    assert DjangoClient().get("/oauth/userinfo", headers=bearer).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert DjangoClient().get("/oauth/userinfo", headers=bearer).status_code == 200
    assert len(counted(captured)) <= QUERIES_OF_USERINFO, "\n".join(counted(captured))


def test_a_login_forks_nothing_and_writes_no_temporary_file():
    company = make_company()
    log_in(company)
    with watching() as seen:
        log_in(company)
    assert seen == []


def test_the_watch_sees_what_it_watches_for():
    with watching() as seen:
        subprocess.run(["true"], check=True)
        tempfile.TemporaryFile().close()
    assert any("Popen" in event for event in seen)
    assert any(event.startswith("open") for event in seen)


def test_a_login_parses_no_pem(monkeypatch):
    company = make_company()
    log_in(company)
    parsed = count_parsed_pem(monkeypatch)
    log_in(company)
    assert parsed == []
