"""Flows in configuration files: proposed by one human, approved by another, and not brought back by a file."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from django.utils import timezone

from broker.actors import SYSTEM, Actor, ActorKind
from broker.approvals.models import Approval
from broker.console.models import Operator
from broker.operations.configuration import apply_configuration, plan_configuration, read_configuration
from broker.operations.export import export_configuration
from broker.operations.plan_report import plan_lines
from broker.operations.plans import BadConfiguration, Outcome
from broker.registry.models import Flow
from broker.registry.registering.flow_drafts import end_flow
from tests.factories import make_flow, make_person

SAMPLES = Path(__file__).parents[2] / "samples" / "config"
ENVIRONMENT = {
    "CRM_SECRET": "canary-crm-secret-0123456789abcdef0123456789",
    "NIGHTLY_SECRET": "canary-nightly-secret-0123456789abcdef01234",
}
ADA = Actor(ActorKind.OPERATOR, "ada@acme.example")

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample's metadata and keys, to write files into."""
    for sample in (*SAMPLES.glob("*.xml"), *SAMPLES.glob("*.json"), SAMPLES / "company.yaml"):
        shutil.copy(sample, tmp_path)
    return tmp_path


def apply(folder: Path, text: str | None = None, *, prune: bool = False, actor: Actor = SYSTEM) -> Outcome:
    """Apply the sample, or `text` in its place."""
    return apply_configuration(written(folder, text), actor=actor, prune=prune)


def written(folder: Path, text: str | None):
    path = folder / "file.yaml"
    path.write_text(text or (folder / "company.yaml").read_text())
    return read_configuration(path, environment=ENVIRONMENT)


def changed(outcome: Outcome) -> list[str]:
    return [one.key for one in outcome.plan.differences]


def refused(folder: Path, text: str, *, actor: Actor = SYSTEM) -> str:
    with pytest.raises(BadConfiguration) as caught:
        apply(folder, text, actor=actor)
    return caught.value.problems[0].text


def sensitive(folder: Path, **replaced: str) -> str:
    text = re.sub(r"data_classes: .*", "data_classes: [personal]", (folder / "company.yaml").read_text())
    for before, after in replaced.items():
        text = text.replace(before, after)
    return text


def test_a_plan_says_which_flow_needs_a_second_operator(folder: Path) -> None:
    lines = plan_lines(plan_configuration(written(folder, sensitive(folder))))

    assert '    state: "proposed: needs a second operator"' in lines


def test_what_an_operator_applies_waits_for_a_second_one_and_what_the_system_applies_for_a_proposer(
    folder: Path,
) -> None:
    apply(folder, sensitive(folder))
    assert not Approval.objects.exists()
    assert Flow.objects.get().proposed_by == "countersign"

    Operator.objects.create(email="ada@acme.example", name="Ada", role="operator", created_at=timezone.now())
    apply(folder, sensitive(folder, mirror="copy"), actor=ADA)

    approval = Approval.objects.get()
    assert (approval.requested_by.email, approval.state) == ("ada@acme.example", "pending")
    assert (Flow.objects.get().state, Flow.objects.get().proposed_by) == ("proposed", "ada@acme.example")


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ("[invoices.read, invoices.write]", "[invoices.read]", "approved"),
        ("2027-12-31", "2027-06-30", "approved"),
        ("impersonation: true", "impersonation: false", "approved"),
        ("owner: integration-team@acme.example\n    expires", "owner: crm@acme.example\n    expires", "approved"),
        ("[invoices.read, invoices.write]", "[invoices.write, invoices.read]", "approved"),
        ("2027-12-31", "2028-12-31", "proposed"),
        ("Nightly invoice mirror", "Advertising", "proposed"),
        ("[personal]", "[personal, health]", "proposed"),
        ("[personal]", "[invoices]", "proposed"),
        ("subject_class: client", "subject_class: person", "proposed"),
    ],
)
def test_an_approval_outlives_a_change_only_when_that_takes_something_away(
    folder: Path, before: str, after: str, state: str
) -> None:
    text = sensitive(folder).replace("scopes: [invoices.read]", "scopes: [invoices.read, invoices.write]")
    text = text.replace("impersonation: false", "impersonation: true")
    text = text.replace("    approved_by: security@acme.example\n", "")
    apply(folder, text)
    Flow.objects.update(state="approved", approved_by="bob@acme.example")
    assert before in text

    plan = "\n".join(plan_lines(plan_configuration(written(folder, text.replace(before, after)))))
    apply(folder, text.replace(before, after))

    assert Flow.objects.get().state == state
    assert ("needs a second operator" in plan) == (state == "proposed")


def test_an_operator_whose_person_left_proposes_nothing(folder: Path) -> None:
    person = make_person(is_active=False)
    Operator.objects.create(
        email="ada@acme.example", name="Ada", role="operator", created_at=timezone.now(), person=person
    )

    assert "Only an operator whose account is open" in refused(folder, sensitive(folder), actor=ADA)

    assert not Flow.objects.exists()


def test_a_file_does_not_bring_back_what_an_operator_ended(folder: Path) -> None:
    apply(folder)
    end_flow(Flow.objects.get(), actor=ADA)
    assert changed(apply(folder)) == []

    text = (folder / "company.yaml").read_text().replace("2027-12-31", "2028-12-31")

    complaint = "ada@acme.example ended this flow; renew it in the console, where that is approved"
    assert refused(folder, text) == complaint
    assert Flow.objects.get().ended_at is not None


def test_what_requests_asked_for_is_neither_exported_nor_pruned(folder: Path) -> None:
    apply(folder)
    flow = Flow.objects.get()
    Flow.objects.create(client=flow.client, resource=flow.resource, grant="jwt_bearer", is_draft=True)

    assert "jwt_bearer" not in export_configuration()
    assert changed(apply(folder, prune=True)) == []
    assert Flow.objects.count() == 2


def test_an_export_of_flows_of_each_grant_applies_without_a_change(folder: Path) -> None:
    apply(folder)
    flow = Flow.objects.get()
    for grant in ("authorization_code", "token_exchange", "jwt_bearer"):
        make_flow(flow.client, flow.resource, grant=grant, expires=date(2027, 12, 31), impersonation=True)

    text = export_configuration()

    assert changed(apply(folder, text)) == []
    assert text.count("- client: nightly-sync") == 4


@pytest.mark.parametrize(
    ("grant", "complaint"),
    [
        ("refresh_token", "the flow of the grant that began it"),
        ("client_credential", "is no grant, like client_credentials, authorization_code, token_exchange, jwt_bearer"),
        ("urn:ietf:params:oauth:grant-type:token-exchange", "is no grant"),
    ],
)
def test_a_grant_that_no_request_could_match_is_refused(folder: Path, grant: str, complaint: str) -> None:
    text = (folder / "company.yaml").read_text().replace("grant: client_credentials", f'grant: "{grant}"')

    assert complaint in refused(folder, text)
    assert not Flow.objects.exists()
