"""What may happen once happens once, however many ask at one moment: on PostgreSQL, with a connection per thread."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client as DjangoClient
from django.utils import timezone

from broker.actors import SYSTEM
from broker.directory.models import Identifier, Person
from broker.events import catalogue, sealing
from broker.events.models import Event, Seal
from broker.events.services import record
from broker.events.verification import verify_book
from broker.keys.services import ensure_keys
from broker.once.services import AlreadyUsed, claim_once
from broker.sessions.models import Session
from broker.tokens.models import Grant, RefreshToken
from tests.factories import CLIENT_SECRET
from tests.flows.stage import REDIRECT_URI, Browser, Company, answer_of, basic, make_company, read_request

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AtOnce = Callable[[list[Callable[[], Any]]], list[Any]]
MANY = 20


@pytest.fixture
def company() -> Company:
    return make_company()


def same_browser(browser: Browser) -> Browser:
    """Another tab: the same cookies in a client of its own, since a test client serves one thread."""
    other = DjangoClient()
    other.cookies.update(browser.http.cookies)
    return Browser(other)


def refresh(company: Company, token: str) -> Any:
    return DjangoClient().post(
        "/oauth/token",
        urlencode({"grant_type": "refresh_token", "refresh_token": token}),
        content_type="application/x-www-form-urlencoded",
        headers={"authorization": basic(company.client.client_id, CLIENT_SECRET)},
    )


def sign_on_offline(company: Company) -> str:
    """The code of a sign-on that asked for a refresh token."""
    ask = {"scope": "openid offline_access"}
    return answer_of(company.sign_on(Browser(), ask=ask))["code"]


def test_one_answer_posted_many_times_opens_one_session(company, at_once: AtOnce) -> None:
    browser = Browser()
    sent = company.ask(browser)
    fields = {
        "SAMLResponse": company.fake.answer(
            request_id=read_request(sent).get("ID"),
            acs_url=company.acs_url,
            audience=company.audience,
            attributes={"mail": ["alice@acme.example"]},
        ),
        "RelayState": parse_qs(urlsplit(sent["Location"]).query)["RelayState"][0],
    }

    def post() -> tuple[int, bool]:
        tab = same_browser(browser)
        response = tab.follow(tab.post(company.acs_url, fields))
        return response.status_code, response.get("Location", "").startswith(f"{REDIRECT_URI}?code=")

    answers = at_once([post] * MANY)
    assert Counter(answers)[303, True] == 1, answers
    assert all(400 <= status < 500 for status, has_code in answers if not has_code), answers
    assert Session.objects.count() == 1
    assert Event.objects.filter(type="login.succeeded").count() == 1


def test_one_code_redeemed_many_times_gives_one_answer(company, at_once: AtOnce) -> None:
    code = answer_of(company.sign_on(Browser()))["code"]
    answers = at_once([lambda: company.redeem(code).status_code] * MANY)
    assert Counter(answers) == {200: 1, 400: MANY - 1}
    assert Grant.objects.count() == 1


def test_one_refresh_token_used_many_times_has_one_child(company, at_once: AtOnce) -> None:
    token = company.redeem(sign_on_offline(company)).json()["refresh_token"]
    answers = at_once([lambda: refresh(company, token)] * MANY)
    assert Counter(answer.status_code for answer in answers) == {200: MANY}
    children = {answer.json()["refresh_token"] for answer in answers}
    assert len(children) == 1
    assert children != {token}
    assert sorted(RefreshToken.objects.values_list("generation", flat=True)) == [0, 1]


def test_a_spent_parent_and_its_spent_child_together_end_the_family(company, at_once: AtOnce) -> None:
    parent = company.redeem(sign_on_offline(company)).json()["refresh_token"]
    child = refresh(company, parent).json()["refresh_token"]
    grandchild = refresh(company, child).json()["refresh_token"]
    answers = at_once([lambda: refresh(company, parent).status_code] * MANY)
    assert Counter(answers) == {400: MANY}
    assert refresh(company, grandchild).status_code == 400


def test_a_person_who_comes_for_the_first_time_in_many_browsers_is_one_person(company, at_once: AtOnce) -> None:
    answers = at_once([lambda: company.sign_on(Browser()).status_code] * MANY)
    assert Counter(answers) == {303: MANY}
    assert (Person.objects.count(), Identifier.objects.count()) == (1, 1)


def test_a_person_whose_address_is_new_is_refused_in_no_browser(company, at_once: AtOnce) -> None:
    company.sign_on(Browser(), attributes={"displayName": ["Alice"]})
    answers = at_once([lambda: company.sign_on(Browser()).status_code] * MANY)
    assert Counter(answers) == {303: MANY}
    assert Identifier.objects.count() == 1


def test_a_value_is_claimed_once(at_once: AtOnce) -> None:
    until = timezone.now() + timedelta(hours=1)
    answers = at_once([lambda: claim_once("a-kind", "a-value", until=until)] * MANY)
    assert Counter(type(answer) for answer in answers) == {type(None): 1, AlreadyUsed: MANY - 1}


def test_many_sealers_and_writers_make_one_chain_that_holds(at_once: AtOnce, settings, tmp_path) -> None:
    settings.SEAL_LOG = tmp_path / "seals.log"
    ensure_keys(SYSTEM)

    def write() -> None:
        for number in range(10):
            record(catalogue.KEY_ACTIVATED, actor=SYSTEM, subject=("key", str(number)))

    def seal() -> None:
        for _ in range(5):
            sealing.seal_events(timezone.now())

    answers = at_once([write, seal] * (MANY // 2))
    assert [answer for answer in answers if answer is not None] == []
    while sealing.seal_events(timezone.now()) is not None:
        pass
    found = verify_book(settings.SEAL_LOG, now=timezone.now())
    assert found.problems == []
    assert Seal.objects.values("previous_digest").distinct().count() == Seal.objects.count()
    assert sum(Seal.objects.values_list("count", flat=True)) == Event.objects.count()


def test_two_people_of_one_company_sign_on_at_once_for_the_first_time(company, at_once: AtOnce) -> None:
    def sign_on(name: str) -> str:
        attributes = {"mail": [f"{name}@acme.example"], "groups": ["engineering"]}
        return answer_of(company.sign_on(Browser(), subject=name, attributes=attributes))["code"]

    answers = at_once([lambda name=f"person{number}": sign_on(name) for number in range(MANY)])
    assert [answer for answer in answers if not isinstance(answer, str)] == []
    assert Session.objects.values("person").distinct().count() == MANY


def test_one_person_signs_on_in_many_browsers_at_once_for_the_first_time(company, at_once: AtOnce) -> None:
    def sign_on() -> str:
        return answer_of(company.sign_on(Browser(), attributes={"mail": ["alice@acme.example"]}))["code"]

    answers = at_once([sign_on] * MANY)
    assert [answer for answer in answers if not isinstance(answer, str)] == []
    assert Session.objects.count() == MANY
    assert Session.objects.values("person").distinct().count() == 1
