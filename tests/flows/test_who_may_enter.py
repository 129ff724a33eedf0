"""Sign-on asks the policies whether this person may enter this application: at each sign-on, and from a session."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.access.decisions import open_decision
from broker.access.models import Decision, Flip
from broker.access.registering import try_version
from broker.access.replay import replay
from broker.directory.models import Person
from broker.events.models import Event
from broker.sessions.models import Participant, Session
from broker.traces.models import Trace
from broker.traces.services import read_trace
from tests.broker.access import house
from tests.flows.saml_stage import make_erp
from tests.flows.stage import Browser, answer_of, make_company

pytestmark = pytest.mark.django_db

GROUP = 'Group::"acme-idp/engineering"'


@pytest.fixture
def company():
    house.settle()
    return make_company()


def only(group=GROUP, slug=None):
    resource = f'resource == Application::"{slug}"' if slug else "resource is Application"
    return f'@id("staff") permit(principal in {group}, action == Action::"sign_on", {resource});'


def refused(response):
    answer = {key: values[0] for key, values in parse_qs(urlsplit(response["Location"]).query).items()}
    return answer["error"]


def test_without_a_policy_the_default_one_decides_and_is_kept(company):
    assert answer_of(company.sign_on(Browser()))["code"]
    row = Decision.objects.get()
    assert (row.decision, row.reasons) == (True, ["built-in/sign-on-default"])
    assert (row.subject_type, row.subject_id) == ("user", str(Person.objects.get().pk))
    assert row.trace_id == Trace.objects.latest("started_at").pk
    assert "alice@acme.example" not in str(open_decision(row).question), "nothing is kept that no rule looks at"
    assert replay(row).is_same


def test_who_is_in_the_group_enters_and_who_is_not_is_refused(company):
    house.in_force(only())
    assert answer_of(company.sign_on(Browser()))["code"]
    attributes = {"mail": ["bob@acme.example"], "groups": ["sales"]}
    response = company.sign_on(Browser(), subject="bob", attributes=attributes)
    assert refused(response) == "access_denied"
    assert "state=the-state" in response["Location"]


def test_a_refusal_opens_no_session_and_joins_nobody(company):
    house.in_force(only(group='Group::"acme-idp/board"'))
    browser = Browser()
    assert refused(company.sign_on(browser)) == "access_denied"
    assert not Session.objects.exists()
    assert not Participant.objects.exists()
    row = Decision.objects.get()
    assert (row.decision, row.reasons) == (False, [])
    event = Event.objects.filter(type="login.refused").get()
    assert (event.code, event.actor_id) == ("signon.not_permitted", str(Person.objects.get().pk))
    trace = Trace.objects.get(pk=row.trace_id)
    assert (trace.outcome, trace.code) == ("refused", "signon.not_permitted")
    checks = [entry for hop in read_trace(trace.pk) for entry in hop["entries"] if entry["type"] == "check"]
    assert [one["passed"] for one in checks if one["name"] == "may enter"] == [False]
    assert str(row.pk) in str(read_trace(trace.pk))
    assert Person.objects.get().held_memberships, "what the identity provider said of the person stays written"


def test_a_rule_that_forbids_is_named_in_the_trace(company):
    house.in_force(
        '@id("never") forbid(principal, action == Action::"sign_on", resource is Application);', slug="closed"
    )
    assert refused(company.sign_on(Browser())) == "access_denied"
    assert "closed/never" in str(read_trace(Decision.objects.get().trace_id))


def test_a_session_is_asked_at_every_application(company):
    browser = Browser()
    assert answer_of(company.sign_on(browser))["code"]
    version = house.in_force(only(group='Group::"acme-idp/board"'))
    assert refused(company.ask(browser)) == "access_denied"
    assert Session.objects.get().ended_at is None
    house.out_of_force(version)
    assert answer_of(company.ask(browser))["code"]
    assert Decision.objects.count() == 3


def test_passive_requests_are_refused_alike(company):
    browser = Browser()
    company.sign_on(browser)
    house.in_force(only(group='Group::"acme-idp/board"'))
    assert refused(company.ask(browser, prompt="none")) == "access_denied"


def test_a_policy_of_one_application_leaves_the_others_as_they_are(company):
    house.in_force(only(group='Group::"acme-idp/board"', slug="some-other"))
    assert answer_of(company.sign_on(Browser()))["code"]
    house.in_force(only(group='Group::"acme-idp/board"', slug=company.client.application.slug))
    assert refused(company.sign_on(Browser())) == "access_denied"


def test_a_group_of_another_provider_opens_nothing(company):
    house.in_force(only(group='Group::"globex-idp/engineering"'))
    assert refused(company.sign_on(Browser())) == "access_denied"


@pytest.mark.parametrize(
    ("condition", "enters"),
    [
        ("context has fresh && context.fresh", True),
        ('context has identity_provider && context.identity_provider == "acme-idp"', True),
        ('context has identity_provider && context.identity_provider == "globex-idp"', False),
        ('context has network && context.network.isInRange(ip("127.0.0.0/8"))', True),
        ('context has network && context.network.isInRange(ip("10.0.0.0/8"))', False),
        ('context has acr && context.acr == "https://refeds.org/profile/mfa"', False),
        ('principal has email && principal.email == "alice@acme.example"', True),
        ('principal has organisation && principal.organisation == "acme-idp"', True),
        ("resource has enabled && resource.enabled", True),
    ],
)
def test_rules_look_at_how_somebody_comes(company, condition, enters):
    scope = 'permit(principal is User, action == Action::"sign_on", resource is Application)'
    house.in_force(f"{scope} when {{ {condition} }};")
    response = company.sign_on(Browser())
    if enters:
        assert answer_of(response)["code"]
    else:
        assert refused(response) == "access_denied"


def test_a_rule_that_fails_lets_nobody_in(company):
    house.in_force("forbid(principal, action, resource) when { 9223372036854775807 + 1 < 0 };")
    assert refused(company.sign_on(Browser())) == "access_denied"
    assert Decision.objects.latest("at").has_failed


def test_a_saml_application_hears_that_the_request_was_denied(company):
    erp, browser = make_erp(company=company), Browser()
    assert erp.read(erp.sign_on(browser)).status == ("Success",)
    house.in_force(only(group='Group::"acme-idp/board"', slug="erp"))
    assert erp.read(erp.ask(browser)).status == ("Responder", "RequestDenied"), "from the session"
    assert erp.read(erp.sign_on(Browser())).status == ("Responder", "RequestDenied")
    assert Participant.objects.count() == 1


def test_a_candidate_changes_no_answer_and_its_flips_are_kept(company):
    version = try_version(house.draft(only(group='Group::"acme-idp/board"')), actor=house.ADA)
    assert answer_of(company.sign_on(Browser()))["code"]
    flip = Flip.objects.get()
    assert (flip.version_id, flip.would_be, flip.decision.decision) == (version.pk, False, True)


def test_what_a_policy_costs_a_sign_on_from_a_session_is_two_queries_more(company):
    browser = Browser()
    company.sign_on(browser)

    def cost():
        company.ask(browser)
        with CaptureQueriesContext(connection) as captured:
            assert answer_of(company.ask(browser))["code"]
        return len(captured)

    plain = cost()
    house.in_force(only())
    assert cost() <= plain + 2, "the identifiers and the groups, where the answer does not read them anyway"
