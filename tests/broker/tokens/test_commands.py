"""issue_token and revoke_tokens: why a client gets a token, and the end of everything that somebody holds."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from broker.events.models import Event
from broker.registry.cache import raise_version
from broker.registry.models import Client, Flow, FlowEvidence
from broker.tokens.holdings import holdings_of
from broker.tokens.models import Grant
from tests.broker.tokens.gate import INACTIVE
from tests.broker.tokens.test_revocation import exchanged_from, is_revoked
from tests.factories import make_person, make_resource

pytestmark = pytest.mark.django_db


def run(*arguments):
    """What a command says, and its exit code."""
    said = StringIO()
    try:
        call_command(*arguments, stdout=said)
    except SystemExit as end:
        return said.getvalue(), end.code
    return said.getvalue(), 0


def explain(gate, *arguments):
    return run("issue_token", "--explain", "--client", gate.service.client_id, *arguments)


# --- issue_token ----------------------------------------------------------------------------------------------------
def test_it_is_said_which_flow_and_key_would_make_the_token(gate):
    said, code = explain(gate)
    assert code == 0
    for phase in range(3, 11):
        assert f"\n{phase}. " in f"\n{said}"
    assert "ok  flow.registered" in said
    assert f"It would be issued for {gate.resource.identifier} with invoices.read" in said
    assert f"flow:  {gate.flow.pk}, 'Nightly invoice mirror', owned by integration@acme.example" in said
    assert "key:   " in said


def test_an_explanation_leaves_nothing_behind_and_holds_no_token(gate):
    said, _ = explain(gate)
    assert "eyJ" not in said
    assert not Grant.objects.exists()
    assert not Event.objects.filter(type="token.issued").exists()
    assert gate.service_token()


def test_the_token_is_printed_only_when_it_is_asked_for(gate):
    said, code = run("issue_token", "--issue", "--client", gate.service.client_id, "--scope", "invoices.read")
    assert code == 0
    response = json.loads(said.splitlines()[-1])
    assert gate.is_active(response["access_token"])
    event = Event.objects.get(type="token.issued")
    assert event.actor_kind == "system"
    assert f"grant: {event.subject_id}" in said


REFUSALS = [
    (lambda gate: Flow.objects.update(state="proposed", approved_by=""), (), "flow.not_approved"),
    (lambda gate: Flow.objects.update(ended_at=timezone.now()), (), "flow.ended"),
    (lambda gate: Flow.objects.all().delete(), ("--resource",), "flow.none"),
    (lambda gate: None, ("--scope", "invoices.write"), "flow.scope"),
    (lambda gate: None, ("--scope", "invoices.delete"), "flow.scope_unknown"),
    (lambda gate: None, ("--resource", "https://unknown.example"), "oauth.invalid_target"),
    (lambda gate: Client.objects.update(enabled=False), (), "oauth.invalid_grant"),
    (lambda gate: Client.objects.update(kind="sign_on"), (), "oauth.unauthorized_client"),
]


@pytest.mark.parametrize(("change", "arguments", "code"), REFUSALS, ids=[code for _, _, code in REFUSALS])
def test_it_is_said_why_there_is_none(gate, change, arguments, code):
    change(gate)
    raise_version()
    arguments = ("--resource", gate.resource.identifier) if arguments in ((), ("--resource",)) else arguments
    said, exit_code = explain(gate, *arguments)
    assert exit_code == 1
    assert f"Refused with {code}: " in said
    assert "expected: " in said
    assert "found: " in said
    assert not FlowEvidence.objects.exists()
    assert not Event.objects.filter(type="flow.proposed").exists()


def test_the_failed_check_says_what_was_expected_and_found(gate):
    said, _ = explain(gate, "--scope", "invoices.write")
    assert "NO  flow.scopes: expected invoices.read, found invoices.write" in said


def test_an_unknown_client_is_no_explanation(gate):
    with pytest.raises(CommandError, match="no client is registered"):
        call_command("issue_token", "--explain", "--client", "nobody")


def test_one_has_to_say_whether_it_shall_be_issued(gate):
    with pytest.raises(CommandError):
        call_command("issue_token", "--client", gate.service.client_id)


# --- revoke_tokens --------------------------------------------------------------------------------------------------
def test_everything_of_a_client_ends_and_nothing_of_others(gate):
    token = gate.service_token()
    grant = Grant.objects.get()
    child = exchanged_from(grant, client=gate.stranger)
    other = gate.person_tokens()["access_token"]
    said, _ = run("revoke_tokens", "--client", gate.service.client_id)
    assert "Revoked: 2 grants, 0 exchanged from them, 0 codes" in said, "the one that it holds, and the one about it"
    assert is_revoked(grant)
    assert is_revoked(child)
    assert gate.introspect(token).json() == INACTIVE
    assert gate.is_active(other)
    event = Event.objects.get(type="holdings.revoked")
    assert (event.subject_kind, event.subject_id) == ("client", gate.service.client_id)
    assert event.details["grants"] + event.details["descendants"] == 2


def test_a_client_that_stands_may_ask_again_at_once(gate):
    before = gate.service_token()
    run("revoke_tokens", "--client", gate.service.client_id)
    assert gate.is_active(gate.service_token())
    assert gate.introspect(before).json() == INACTIVE


def test_everything_of_a_person_ends_with_codes_on_their_way(gate):
    tokens = gate.person_tokens(offline=True)
    service_token = gate.service_token()
    code = gate.desk.code()
    said, _ = run("revoke_tokens", "--person", str(gate.desk.person.pk))
    assert "1 grants, 0 exchanged from them, 1 codes" in said
    assert gate.introspect(tokens["access_token"]).json() == INACTIVE
    assert gate.desk.refresh(tokens["refresh_token"]).status_code == 400
    assert gate.desk.redeem(code).status_code == 400
    assert gate.is_active(service_token)


def test_a_list_ends_nothing(gate):
    token = gate.service_token()
    said, _ = run("revoke_tokens", "--client", gate.service.client_id, "--list")
    assert gate.resource.identifier in said
    assert str(Grant.objects.get().pk) in said
    assert gate.is_active(token)


def test_of_who_holds_nothing_nothing_is_written(gate):
    said, _ = run("revoke_tokens", "--person", str(make_person().pk))
    assert "Revoked: 0 grants" in said
    assert not Event.objects.filter(type="holdings.revoked").exists()


@pytest.mark.parametrize("whose", [("--client", "nobody"), ("--person", "00000000-0000-4000-8000-000000000000"), ()])
def test_somebody_has_to_be_named_who_exists(gate, whose):
    with pytest.raises(CommandError):
        call_command("revoke_tokens", *whose)


def test_holdings_are_the_living_grants_the_newest_first(gate):
    refreshed = gate.person_tokens(offline=True)["refresh_token"]
    gate.desk.refresh(refreshed)
    Grant.objects.create(
        client=gate.desk.client,
        resource=make_resource(),
        person=gate.desk.person,
        created_at=timezone.now(),
        expires_at=timezone.now(),
    )
    (grant,) = holdings_of(gate.desk.client, now=timezone.now())
    (same,) = holdings_of(gate.desk.person, now=timezone.now())
    assert grant == same
    assert grant.refreshed_at is not None
    assert list(holdings_of(gate.service, now=timezone.now())) == []
