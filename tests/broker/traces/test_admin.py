"""The trace page: found by the id of an error page, read hop by hop, and never without a trail."""

import pytest
from django.test import Client
from django.utils import timezone

from broker.console.models import Operator
from broker.events.models import Event
from broker.traces.collector import Collector
from broker.traces.models import Hop, Trace
from broker.traces.services import save_trace

pytestmark = pytest.mark.django_db
PAGE = "/admin/traces/trace/"
TRACE_ID = "0A1BC-2DEFG"


@pytest.fixture
def browser(client: Client) -> Client:
    """A viewer's: reading traces needs no more."""
    operator = Operator(email="vic@acme.example", name="Vic", role="viewer", created_at=timezone.now())
    operator.must_change_password = False
    operator.set_password("correct-horse-battery")
    operator.save()
    client.post("/admin/login/", {"username": operator.email, "password": "correct-horse-battery"})
    return client


@pytest.fixture
def refused() -> Trace:
    start = Collector(hop="GET /oauth/authorize")
    start.check("client_known", passed=True, expected="a registered client", actual="crm-web")
    start.note("Identity provider chosen", slug="acme")
    save_trace(TRACE_ID, start, outcome=Trace.Outcome.UNDER_WAY, application="crm", is_new=True)
    answer = Collector(hop="POST /saml/sp/acme/acs")
    answer.message("Response as it came", "<samlp:Response><script>alert(1)</script></samlp:Response>")
    answer.check("not_on_or_after", passed=False, expected="after 10:00:00", actual="09:00:00 <b>")
    save_trace(TRACE_ID, answer, outcome=Trace.Outcome.REFUSED, code="saml.expired", connection="acme")
    return Trace.objects.get()


def read(browser: Client, trace_id: str = TRACE_ID) -> str:
    answer = browser.get(f"{PAGE}{trace_id}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_tells_what_was_refused_and_who_can_mend_it(browser, refused):
    text = read(browser)
    assert "The assertion is no longer valid." in text
    assert "saml.expired" in text
    assert "the identity provider&#x27;s team" in text
    assert "Compare the clocks of both sides" in text


def test_the_page_shows_hops_in_order_with_each_check_in_words(browser, refused):
    text = read(browser)
    assert text.index("GET /oauth/authorize") < text.index("POST /saml/sp/acme/acs")
    assert "client_known" in text
    assert "passed" in text
    assert "failed" in text
    assert text.index("after 10:00:00") < text.index("09:00:00")


def test_what_came_from_outside_is_text(browser, refused):
    text = read(browser)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "09:00:00 &lt;b&gt;" in text


def test_opening_a_trace_is_an_event(browser, refused):
    read(browser)
    event = Event.objects.get(type="trace.read")
    assert (event.actor_kind, event.actor_id) == ("operator", "vic@acme.example")
    assert (event.subject_kind, event.subject_id) == ("trace", TRACE_ID)


def test_the_list_opens_nothing(browser, refused):
    assert TRACE_ID in browser.get(PAGE).content.decode()
    assert not Event.objects.filter(type="trace.read").exists()


@pytest.mark.parametrize(
    "typed", [TRACE_ID, "0A1BC2DEFG", "0a1bc-2defg", " oaIbc 2defg ", "OALBC-2DEFG", "0A1B", "0a1bc-2d"]
)
def test_a_trace_is_found_however_its_id_was_typed(browser, refused, typed):
    assert f"{PAGE}{TRACE_ID}/" in browser.get(PAGE, {"q": typed}).content.decode()


@pytest.mark.parametrize("typed", ["ZZZZZ-ZZZZZ", "2DEFG", "0A1BC-2DEFG0", "%", "' OR 1=1", "ü", "U"])
def test_another_id_finds_nothing(browser, refused, typed):
    answer = browser.get(PAGE, {"q": typed})
    assert answer.status_code == 200
    assert f"{PAGE}{TRACE_ID}/" not in answer.content.decode()


@pytest.mark.parametrize("query", [{"outcome": "refused"}, {"code": "saml.expired"}, {"connection": "acme"}])
def test_traces_are_filtered(browser, refused, query):
    save_trace("ZZZZZ-ZZZZZ", Collector(hop="GET"), outcome=Trace.Outcome.SUCCEEDED, is_new=True)
    text = browser.get(PAGE, query).content.decode()
    assert TRACE_ID in text
    assert "ZZZZZ-ZZZZZ" not in text


def test_a_damaged_hop_is_said_to_be_damaged(browser, refused):
    Hop.objects.filter(name="POST /saml/sp/acme/acs").update(sealed="k1.AAAA")
    text = read(browser)
    assert "cannot be opened" in text
    assert "client_known" in text


def test_an_unknown_trace_is_not_found_and_not_recorded(browser):
    assert browser.get(f"{PAGE}ZZZZZ-ZZZZZ/change/").status_code == 404
    assert not Event.objects.filter(type="trace.read").exists()


def test_strangers_read_no_trace(client, refused):
    answer = client.get(f"{PAGE}{TRACE_ID}/change/")
    assert answer.status_code == 302
    assert "saml.expired" not in answer.content.decode()
    assert not Event.objects.filter(type="trace.read").exists()


@pytest.mark.parametrize("page", ["add/", f"{TRACE_ID}/delete/"])
def test_nobody_writes_traces_in_the_console(browser, refused, page):
    Operator.objects.update(role="operator")
    assert browser.post(f"{PAGE}{page}", {"post": "yes"}).status_code == 403
    assert Trace.objects.exists()
