"""The person's own page: every live session of theirs, and an end to each, and to nobody else's."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client as Http
from django.utils import timezone

from broker import limits
from broker.events.models import Event
from broker.registry.models import IdentityProvider
from broker.sessions.models import Session
from broker.sessions.services import is_usable, live_sessions_of
from tests.factories import (
    make_application,
    make_client,
    make_identity_provider,
    make_participant,
    make_person,
    make_session,
)

pytestmark = pytest.mark.django_db
HERE, THERE = "the-handle-of-this-browser", "the-handle-of-the-other-one"


@pytest.fixture
def identity_provider() -> IdentityProvider:
    return make_identity_provider(name="Acme sign-on")


@pytest.fixture
def here(identity_provider) -> Session:
    session = make_session(handle=HERE, identity_provider=identity_provider)
    make_participant(session=session, client=make_client(application=make_application(name="CRM")))
    return session


@pytest.fixture
def there(here, identity_provider) -> Session:
    session = make_session(
        handle=THERE,
        identity_provider=identity_provider,
        person=here.person,
        last_used_at=timezone.now() - timedelta(minutes=5),
    )
    make_participant(session=session, client=make_client(application=make_application(name="ERP")))
    return session


@pytest.fixture
def browser() -> Http:
    http = Http(enforce_csrf_checks=True)
    http.cookies[settings.SSO_COOKIE_NAME] = HERE
    return http


def press(browser, path, **fields):
    """Press the button of the person's page that posts to `path`."""
    page = browser.get("/").content.decode()
    token = re.search(rf'action="{path}"><input type="hidden" name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    return browser.post(path, {"csrfmiddlewaretoken": token[1], **fields})


def is_live(session: Session) -> bool:
    session.refresh_from_db()
    return session.ended_at is None


def test_every_live_session_is_shown_with_what_takes_part_in_it(browser, here, there):
    page = browser.get("/").content.decode()
    assert page.index("In this browser") < page.index("CRM") < page.index("In another browser") < page.index("ERP")
    assert page.count("Acme sign-on") == 2
    assert f'value="{there.pk}"' in page
    assert f'value="{here.pk}"' not in page
    assert "Sign out everywhere" in page
    for handle in (HERE, THERE, here.handle_hash, there.handle_hash):
        assert handle not in page


def test_with_one_session_there_is_nothing_to_end_elsewhere(browser, here):
    page = browser.get("/").content.decode()
    assert "In another browser" not in page
    assert "Sign out everywhere" not in page


@pytest.mark.parametrize(
    "fields",
    [
        {"ended_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
        {"last_used_at": timezone.now() - limits.SESSION_IDLE - timedelta(seconds=1)},
    ],
    ids=["ended", "expired", "idle"],
)
def test_a_session_that_is_over_is_neither_shown_nor_ended(browser, here, there, fields):
    token = press_token(browser)
    Session.objects.filter(pk=there.pk).update(**fields)
    assert str(there.pk) not in browser.get("/").content.decode()
    answer = browser.post("/signon/sessions/end", {"csrfmiddlewaretoken": token, "session": str(there.pk)})
    assert answer.status_code == 404
    assert "session.unknown" in answer.content.decode()


def press_token(browser) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/").content.decode())
    assert found
    return found[1]


def test_a_session_in_another_browser_is_ended_and_this_one_goes_on(browser, here, there):
    answer = press(browser, "/signon/sessions/end", session=str(there.pk))
    assert (answer.status_code, answer["Location"]) == (303, "/")
    assert is_live(here)
    assert not is_live(there)
    event = Event.objects.get(type="session.ended")
    assert (event.actor_kind, event.actor_id, event.subject_id) == ("person", str(here.person_id), str(there.pk))
    assert event.details["reason"] == "ended by the person"
    other = Http()
    other.cookies[settings.SSO_COOKIE_NAME] = THERE
    assert "You are not signed on here" in other.get("/").content.decode()


def test_ending_this_browsers_session_takes_its_cookie(browser, here, there):
    answer = browser.post(
        "/signon/sessions/end", {"csrfmiddlewaretoken": press_token(browser), "session": str(here.pk)}
    )
    assert answer.cookies[settings.SSO_COOKIE_NAME].value == ""
    assert not is_live(here)
    assert is_live(there)


@pytest.mark.parametrize("named", ["", "x", "213913ad-7cf6-45c0-a0ed-eb506482b689", "\x00", "' OR 1=1"])
def test_what_is_no_session_of_the_person_is_refused(browser, here, there, named):
    token = press_token(browser)
    answer = browser.post("/signon/sessions/end", {"csrfmiddlewaretoken": token, "session": named})
    assert answer.status_code == 404
    assert "session.unknown" in answer.content.decode()
    assert is_live(here)
    assert is_live(there)


def test_nobody_ends_somebody_elses_session(browser, here):
    others = make_session(handle=THERE, person=make_person())
    token = press_token(browser)
    answer = browser.post("/signon/sessions/end", {"csrfmiddlewaretoken": token, "session": str(others.pk)})
    assert answer.status_code == 404
    assert is_live(others)
    browser.post("/signon/sessions/end-all", {"csrfmiddlewaretoken": token})
    assert is_live(others)
    assert not is_live(here)


def test_signing_out_everywhere_ends_every_session_and_names_what_is_left(browser, here, there):
    answer = press(browser, "/signon/sessions/end-all")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "ended in every browser" in page
    assert page.index("CRM") < page.index("ERP")
    assert answer.cookies[settings.SSO_COOKIE_NAME].value == ""
    assert not is_live(here)
    assert not is_live(there)
    assert Event.objects.filter(type="session.ended").count() == 2


@pytest.mark.parametrize("path", ["/signon/sessions/end", "/signon/sessions/end-all"])
def test_a_foreign_form_and_a_link_end_nothing(browser, here, there, path):
    assert browser.post(path, {"session": str(there.pk)}).status_code == 403
    assert browser.get(path, {"session": str(there.pk)}).status_code == 405
    assert is_live(here)
    assert is_live(there)


@pytest.mark.parametrize("path", ["/signon/sessions/end", "/signon/sessions/end-all"])
def test_without_a_session_nothing_is_ended(there, path):
    answer = Http().post(path, {"session": str(there.pk)})
    assert answer.status_code in {200, 303}
    assert is_live(there)


def test_the_list_of_live_sessions_asks_what_each_use_asks(here, there, identity_provider):
    """One question in two forms: of one session in Python, of a person's in the database."""
    now = timezone.now()
    elsewhere = make_identity_provider(organisation=identity_provider.organisation, enabled=False)
    make_session(handle="c", person=here.person, identity_provider=elsewhere)
    make_session(handle="d", person=here.person, identity_provider=identity_provider, expires_at=now)
    make_session(handle="e", person=here.person, identity_provider=identity_provider, ended_at=now)
    rows = Session.objects.select_related("person", "identity_provider")
    assert set(live_sessions_of(here.person, now=now)) == {one for one in rows if is_usable(one, now=now)}
    here.person.is_active = False
    here.person.save()
    assert not live_sessions_of(here.person, now=now).exists()


def test_a_person_with_many_sessions_sees_a_page_of_them(
    browser, here, identity_provider, django_assert_max_num_queries
):
    for number in range(limits.CHOICES_PER_PAGE + 5):
        make_session(handle=f"handle-{number}", person=here.person, identity_provider=identity_provider)
    with django_assert_max_num_queries(10):
        page = browser.get("/").content.decode()
    assert page.count("End this session") == limits.CHOICES_PER_PAGE
