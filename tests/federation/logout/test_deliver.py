"""Applications are told of the end of a session: over real sockets, verified by other libraries than ours."""

import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM, Actor, ActorKind
from broker.delivery.models import Attempt, Delivery, Lane
from broker.registry.cache import raise_version
from broker.registry.models import Client
from broker.sessions.models import Participant
from broker.tokens.models import PairwiseSubject
from broker.traces.services import read_trace
from federation.downstream.models import PairwiseNameID
from tests.factories import make_keys, make_session
from tests.fakes.fake_logout import EVENT, SoapParty, TokenRefused, fault, listening
from tests.fakes.fake_sp import FakeServiceProvider
from tests.fakes.saml_keys import key_pair
from tests.federation.logout.stage import as_json, asked, carry_all, end, make_oidc, make_saml, row, says, told

pytestmark = pytest.mark.django_db
State = Delivery.State


@pytest.fixture(autouse=True)
def _world(settings):
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    make_keys()


# --- OpenID Connect ---------------------------------------------------------------------------------------------------
def test_a_strict_application_accepts_the_logout_token():
    with listening(says(200)) as application:
        participant = make_oidc(application.url)
        end(participant)
    claims = told(application.heard[0], participant.client)
    assert claims["sid"] == str(participant.pk)
    assert claims["sub"] == str(participant.session.person_id)
    assert claims["aud"] == participant.client.client_id
    assert claims["exp"] - claims["iat"] <= 120
    assert claims["events"] == {EVENT: {}}
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "sid", "sub", "events"}


def test_the_answer_is_acknowledged_with_its_hash():
    with listening(says(200, b"done", Content_Type="text/plain")) as application:
        participant = make_oidc(application.url)
        end(participant)
    found = row(participant)
    assert (found.state, found.status, found.kind) == (State.CONFIRMED, 200, "logout.oidc")
    assert found.lane == f"client:{participant.client.client_id}"
    assert found.digest == hashlib.sha256(b"200\ntext/plain\ndone").hexdigest()
    assert found.detail == "200, 4 bytes of text/plain"


def test_204_acknowledges_too():
    with listening(says(204)) as application:
        participant = make_oidc(application.url)
        end(participant)
    assert row(participant).state == State.CONFIRMED


def test_a_client_that_is_told_the_session_alone_gets_no_subject():
    with listening(says(200)) as application:
        participant = make_oidc(application.url, backchannel_logout_session_required=True)
        end(participant)
    claims = told(application.heard[0], participant.client)
    assert claims["sid"] == str(participant.pk)
    assert "sub" not in claims


def test_a_pairwise_client_is_told_its_own_subject():
    with listening(says(200)) as application:
        participant = make_oidc(application.url, subject_type="pairwise")
        end(participant)
    sub = told(application.heard[0], participant.client)["sub"]
    assert sub == str(PairwiseSubject.objects.get(client=participant.client).value)
    assert sub != str(participant.session.person_id)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_token_is_signed_as_the_clients_id_tokens_are(algorithm):
    with listening(says(200)) as application:
        participant = make_oidc(application.url, id_token_algorithm=algorithm)
        end(participant)
    assert told(application.heard[0], participant.client)


def test_a_token_is_for_one_client_alone():
    with listening(says(200)) as application:
        participant = make_oidc(application.url)
        other = make_oidc(application.url, session=make_session(handle="another"))
        end(participant)
    with pytest.raises(Exception, match="udience"):
        told(application.heard[0], other.client)


def test_a_token_that_is_old_is_not_accepted_there():
    with listening(says(200)) as application:
        participant = make_oidc(application.url)
        end(participant)
    with pytest.raises(TokenRefused, match="not of now"):
        told(application.heard[0], participant.client, now=timezone.now() + timedelta(minutes=3))


def test_each_attempt_has_a_token_of_its_own():
    with listening(says(500)) as application, time_machine.travel(timezone.now(), tick=False) as clock:
        participant = make_oidc(application.url)
        end(participant)
        assert row(participant).state == State.RETRYING
        clock.shift(timedelta(hours=1))
        carry_all()
        claims = [told(application.heard[-1], participant.client, now=timezone.now())]
        claims.append(told(application.heard[0], participant.client, now=timezone.now() - timedelta(hours=1)))
    assert len(application.heard) == 2
    assert claims[0]["jti"] != claims[1]["jti"]


def test_a_refusal_is_a_dead_letter_with_the_applications_own_words():
    body = as_json(error="invalid_request", error_description="unknown\u202e sid\u0007")
    with listening(says(400, body, Content_Type="application/json")) as application:
        participant = make_oidc(application.url)
        end(participant)
    found = row(participant)
    assert (found.state, found.reason, found.status) == (State.DEAD, "logout.refused", 400)
    assert found.detail == "invalid_request: unknown sid"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>nope</html>", "text/html"),
        (b'{"error": 7}', "application/json"),
        (b"[" * 5000, "application/json"),
        (b'{"error": "a", "error": "b"}', "application/json"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_a_refusal_in_no_words_is_one_all_the_same(body, content_type):
    with listening(says(400, body, Content_Type=content_type)) as application:
        participant = make_oidc(application.url)
        end(participant)
    found = row(participant)
    assert (found.state, found.reason) == (State.DEAD, "logout.refused")
    assert found.detail == f"400, {len(body)} bytes of {content_type}"


@pytest.mark.parametrize("status", [201, 202, 401, 403, 404, 405, 410, 500, 502])
def test_any_other_status_is_no_acknowledgement_and_is_tried_again(status):
    with listening(says(status)) as application:
        participant = make_oidc(application.url)
        end(participant)
    found = row(participant)
    assert (found.state, found.reason, found.status) == (State.RETRYING, "logout.http_status", status)


@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_to_wait_is_waited_for_with_the_whole_lane(status):
    with listening(says(status, Retry_After="600")) as application:
        participant = make_oidc(application.url)
        end(participant)
    lane = Lane.objects.get(name=row(participant).lane)
    assert lane.not_before is not None
    assert lane.not_before > timezone.now() + timedelta(minutes=9)


def test_a_redirect_is_not_followed():
    with listening(says(200)) as elsewhere, listening(says(302, Location=elsewhere.url)) as application:
        participant = make_oidc(application.url)
        end(participant)
    assert elsewhere.heard == []
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, "outgoing.refused")


def test_an_answer_without_end_is_not_read():
    with listening(says(200, b"x" * (limits.LOGOUT_ANSWER_BYTES + 1))) as application:
        participant = make_oidc(application.url)
        end(participant)
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, "outgoing.refused")


def test_an_address_inside_our_network_is_not_asked(settings):
    settings.OUTGOING_NETWORKS = []
    with listening(says(200)) as application:
        participant = make_oidc(application.url)
        end(participant)
    assert application.heard == []
    assert row(participant).reason == "outgoing.refused"


def test_nobody_listens_and_the_row_waits():
    with listening(says(200)) as application:
        url = application.url
    participant = make_oidc(url)
    end(participant)
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, "outgoing.refused")


def test_an_application_that_was_switched_off_is_told_all_the_same():
    with listening(says(200)) as application:
        participant = make_oidc(application.url)
        Client.objects.update(enabled=False)
        raise_version()
        end(participant)
    assert row(participant).state == State.CONFIRMED


@pytest.mark.parametrize("change", [{"backchannel_logout_uri": ""}, {"retired_at": timezone.now()}])
def test_an_address_that_was_taken_away_meanwhile_gets_nothing(change):
    with listening(says(500)) as application, time_machine.travel(timezone.now(), tick=False) as clock:
        participant = make_oidc(application.url)
        end(participant)
        Client.objects.update(**change)
        clock.shift(timedelta(hours=1))
        carry_all()
    assert len(application.heard) == 1
    assert (row(participant).state, row(participant).reason) == (State.SKIPPED, "logout.no_address")


def test_a_session_that_was_forgotten_meanwhile_ends_the_waiting():
    with listening(says(500)) as application, time_machine.travel(timezone.now(), tick=False) as clock:
        participant = make_oidc(application.url)
        end(participant)
        found = row(participant)
        Participant.objects.all().delete()
        clock.shift(timedelta(hours=1))
        carry_all()
    found.refresh_from_db()
    assert (found.state, found.reason) == (State.SKIPPED, "logout.forgotten")


# --- SAML -------------------------------------------------------------------------------------------------------------
class Erp:
    """A service provider that listens: `answers` is called with its party and the request's ID."""

    def __init__(self, answers, status=200, content_type="text/xml"):
        self.party = SoapParty(FakeServiceProvider())
        self.answers, self.status, self.content_type = answers, status, content_type

    def __call__(self, heard):
        self.asked = asked(heard, self.party)
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        return self.status, headers, self.answers(self.party, self.asked.request_id)


def end_at(erp, *, actor=None, **fields):
    """The session ends at the listening ERP. Returns its participant."""
    with listening(erp) as application:
        erp.party.url = application.url
        participant = make_saml(application.url, sp=erp.party.sp, **fields)
        end(participant, **({"actor": actor} if actor else {}))
        assert len(application.heard) == 1
    return participant


def honest(party, request_id):
    return party.answer(request_id)


def test_a_strict_service_provider_accepts_the_logout_request():
    erp = Erp(honest)
    participant = end_at(erp)
    pairwise = PairwiseNameID.objects.get(person=participant.session.person)
    assert erp.asked.name_id == str(pairwise.value)
    assert erp.asked.format.endswith(":persistent")
    assert erp.asked.name_qualifier.endswith("/saml/idp/metadata")
    assert erp.asked.sp_name_qualifier == erp.party.sp.entity_id
    assert erp.asked.session_index == str(participant.pk)
    found = row(participant)
    assert (found.state, found.kind, found.lane) == (State.CONFIRMED, "logout.saml", "service-provider:erp")
    assert (found.status, found.detail, len(found.digest)) == (200, "Success", 64)


@pytest.mark.parametrize(
    ("actor", "reason"),
    [
        (Actor(ActorKind.PERSON, "p"), "urn:oasis:names:tc:SAML:2.0:logout:user"),
        (Actor(ActorKind.OPERATOR, "ada"), "urn:oasis:names:tc:SAML:2.0:logout:admin"),
        (SYSTEM, "urn:oasis:names:tc:SAML:2.0:logout:admin"),
    ],
)
def test_the_request_says_who_wanted_it(actor, reason):
    erp = Erp(honest)
    end_at(erp, actor=actor)
    assert erp.asked.reason == reason


def test_a_transient_name_is_the_one_of_the_session():
    erp = Erp(honest)
    end_at(erp, transient_name="_drawn")
    assert (erp.asked.name_id, erp.asked.format.rpartition(":")[2]) == ("_drawn", "transient")


def test_the_name_is_the_one_that_was_told_whatever_was_set_since():
    told_then = {
        "value": "old@acme.example",
        "format": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
        "name_qualifier": "",
        "sp_name_qualifier": "",
    }
    erp = Erp(honest)
    end_at(erp, name_id=told_then)
    assert (erp.asked.name_id, erp.asked.format) == (told_then["value"], told_then["format"])
    assert (erp.asked.name_qualifier, erp.asked.sp_name_qualifier) == ("", "")


def test_an_answer_of_yesterday_is_not_taken_for_todays():
    seen = []

    def answers(party, request_id):
        seen.append(request_id)
        return party.answer(seen[0], sign=len(seen) > 1)

    erp = Erp(answers)
    with listening(erp) as application, time_machine.travel(timezone.now(), tick=False) as clock:
        erp.party.url = application.url
        participant = make_saml(application.url, sp=erp.party.sp)
        end(participant)
        assert row(participant).reason == "logout.unsigned"
        clock.shift(timedelta(hours=1))
        carry_all()
    assert seen[0] != seen[1]
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, "logout.in_response_to")


def test_partial_logout_is_acknowledged_and_named():
    participant = end_at(Erp(lambda party, asked_id: party.answer(asked_id, status=("Success", "PartialLogout"))))
    assert row(participant).state == State.CONFIRMED
    assert "PartialLogout" in row(participant).detail


@pytest.mark.parametrize(
    "content_type", ["text/xml; charset=utf-8", "application/soap+xml", "application/xml", "TEXT/XML"]
)
def test_the_types_that_soap_uses_are_read(content_type):
    assert row(end_at(Erp(honest, content_type=content_type))).state == State.CONFIRMED


FLAWS = {
    "unsigned": (lambda party, asked_id: party.answer(asked_id, sign=False), "logout.unsigned"),
    "another key": (lambda party, asked_id: party.answer(asked_id, key=key_pair("a stranger")), "logout.signature"),
    "another request": (lambda party, asked_id: party.answer("_old"), "logout.in_response_to"),
    "another issuer": (lambda party, asked_id: party.answer(asked_id, issuer="https://x.example"), "logout.issuer"),
    "another place": (
        lambda party, asked_id: party.answer(asked_id, destination="https://x.example/slo"),
        "logout.destination",
    ),
    "a fault": (lambda party, asked_id: fault(), "logout.fault"),
    "a page": (lambda party, asked_id: b"<html><body>Sign in</body></html>", "logout.malformed"),
    "nothing": (lambda party, asked_id: b"", "logout.malformed"),
    "not now": (lambda party, asked_id: party.answer(asked_id, status=("Responder",)), "logout.status"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_what_proves_nothing_is_named_and_tried_again(flaw):
    answers, code = FLAWS[flaw]
    participant = end_at(Erp(answers))
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, code)
    assert row(participant).digest == ""
    assert Attempt.objects.get().code == code


@pytest.mark.parametrize("status", [("Requester", "UnknownPrincipal"), ("Requester",), ("VersionMismatch",)])
def test_an_application_that_refuses_for_good_is_a_dead_letter(status):
    participant = end_at(Erp(lambda party, asked_id: party.answer(asked_id, status=status, message="no session")))
    found = row(participant)
    assert (found.state, found.reason) == (State.DEAD, "logout.status")
    assert status[-1] in found.detail
    assert "no session" in found.detail


@pytest.mark.parametrize("content_type", ["text/html", "application/json", ""])
def test_an_answer_of_another_type_is_not_read(content_type):
    participant = end_at(Erp(honest, content_type=content_type))
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, "logout.content_type")


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 502])
def test_another_http_status_than_soaps_is_no_answer(status):
    participant = end_at(Erp(honest if status != 204 else lambda party, asked_id: b"", status=status))
    assert (row(participant).state, row(participant).reason) == (State.RETRYING, "logout.http_status")


def test_a_fault_under_500_is_an_answer_and_breaks_no_lane():
    participant = end_at(Erp(lambda party, asked_id: fault("no"), status=500))
    assert row(participant).reason == "logout.fault"
    assert "no" in row(participant).detail
    assert Lane.objects.get().failures == 0


def test_the_trace_of_the_sign_out_shows_which_check_failed_and_no_signature():
    participant = end_at(Erp(lambda party, asked_id: party.answer("_old")))
    hop = read_trace(row(participant).trace_id)[-1]
    assert hop["name"] == "LogoutRequest to erp"
    failed = [entry["name"] for entry in hop["entries"] if entry.get("passed") is False]
    assert failed[0] == "answer in response to"
    assert "characters of signature" in str(hop["entries"])
