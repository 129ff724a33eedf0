"""How clients prove who they are, and the form in which token requests come."""

import base64
from urllib.parse import urlencode

import pytest
from django.db import OperationalError
from django.test import Client as Http

from broker import limits
from broker.actors import SYSTEM
from broker.events.models import Event
from broker.registry import secrets
from broker.registry.cache import parties, raise_version
from broker.registry.models import Client
from broker.tokens import client_auth
from broker.tokens.models import Grant
from tests.broker.tokens.desk import FORM, basic, post_form
from tests.broker.tokens.refusals import assert_refused
from tests.factories import CLIENT_SECRET, make_client, make_participant

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.broker.tokens.urls")]
INVALID_CLIENT = {"error": "invalid_client", "code": "oauth.invalid_client", "status": 401}
INVALID_REQUEST = {"error": "invalid_request", "code": "oauth.invalid_request"}


def post(desk, *, authorization="", **changes):
    headers = {"authorization": authorization} if authorization else {}
    return post_form("/oauth/token", desk.redemption(desk.code(), **changes), **headers)


def use_post(desk):
    Client.objects.filter(pk=desk.client.pk).update(authentication="client_secret_post")
    raise_version()


def b64(text):
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def test_client_secret_basic_passes(desk):
    assert post(desk, authorization=desk.authorization).status_code == 200


def test_client_secret_post_passes_where_it_is_registered(desk):
    use_post(desk)
    assert post(desk, client_id=desk.client.client_id, client_secret=CLIENT_SECRET).status_code == 200


def test_basic_halves_are_form_decoded_however_eagerly_they_were_encoded(desk):
    secret = "p+l:u%s/ü=1234567890"
    desk.client = make_client(client_id="crm:web+1", secret=None)
    secrets.import_secret(desk.client, secret, actor=SYSTEM)
    encoded = "".join(f"%{byte:02x}" for byte in secret.encode())
    desk.participant = make_participant(client=desk.client, session=desk.participant.session)
    assert post(desk, authorization=b64(f"crm%3Aweb%2B1:{encoded}")).status_code == 200
    assert post(desk, authorization=basic("crm:web+1", secret)).status_code == 200


def test_the_scheme_is_read_without_case(desk):
    assert post(desk, authorization=desk.authorization.replace("Basic", "bAsIc")).status_code == 200


def test_a_client_id_beside_basic_must_be_the_same(desk):
    assert post(desk, authorization=desk.authorization, client_id=desk.client.client_id).status_code == 200
    response = post(desk, authorization=desk.authorization, client_id="another")
    assert_refused(response, **INVALID_REQUEST, reason="client_id")


def test_an_unknown_client_and_a_wrong_secret_get_the_same_answer(desk):
    unknown = post(desk, authorization=basic("nobody", CLIENT_SECRET))
    assert_refused(unknown, **INVALID_CLIENT, reason="unknown_client")
    wrong = post(desk, authorization=basic(desk.client.client_id, "wrong"))
    assert_refused(wrong, **INVALID_CLIENT, reason="secret")
    public = [{k: v for k, v in response.json().items() if k != "trace_id"} for response in (unknown, wrong)]
    assert public[0] == public[1]
    headers = [{k: v for k, v in response.items() if k != "Countersign-Trace"} for response in (unknown, wrong)]
    assert {k: v for k, v in headers[0].items() if k != "Content-Length"} == {
        k: v for k, v in headers[1].items() if k != "Content-Length"
    }


def test_a_refused_client_is_challenged(desk):
    response = post(desk, authorization=basic(desk.client.client_id, "wrong"))
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic é",
        "Basic Zm9v",
        "Basic Og==",
        b64(b"\xff\xfe:x"),
        b64("%ff:x"),
        b64("\x00:x"),
        b64("a" * 5000 + ":x"),
        b64(":" + CLIENT_SECRET),
        "Bearer abc",
        "Digest username=x",
        "x" * 5000,
    ],
)
def test_malformed_credentials_are_refused_as_such(desk, authorization):
    response = post(desk, authorization=authorization)
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
    assert not Grant.objects.exists()


def test_no_credentials_are_refused(desk):
    assert_refused(post(desk), **INVALID_CLIENT, reason="no_credentials")
    assert_refused(post(desk, client_id=desk.client.client_id), **INVALID_CLIENT, reason="no_credentials")
    assert_refused(
        post(desk, client_id=desk.client.client_id, client_secret=""), **INVALID_CLIENT, reason="no_credentials"
    )


def test_two_methods_at_once_are_refused_even_when_both_are_right(desk):
    response = post(
        desk, authorization=desk.authorization, client_id=desk.client.client_id, client_secret=CLIENT_SECRET
    )
    assert_refused(response, **INVALID_REQUEST, reason="two_methods")


def test_another_method_than_the_registered_one_is_refused(desk):
    response = post(desk, client_id=desk.client.client_id, client_secret=CLIENT_SECRET)
    assert_refused(response, **INVALID_CLIENT, reason="method")
    use_post(desk)
    assert_refused(post(desk, authorization=desk.authorization), **INVALID_CLIENT, reason="method")


def test_the_table_of_methods_is_what_is_offered():
    assert [method.value for method in client_auth.METHODS] == [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "tls_client_auth",
        "self_signed_tls_client_auth",
    ]
    assert set(client_auth.METHODS) == set(Client.Authentication)


@pytest.mark.parametrize("method", ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"])
def test_a_client_of_another_method_cannot_fall_back_to_a_secret(desk, method):
    Client.objects.update(authentication=method)
    raise_version()
    assert_refused(post(desk, authorization=desk.authorization), **INVALID_CLIENT, reason="method")


# --- the form --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri", "code_verifier", "unheard_of"])
def test_a_repeated_parameter_is_refused(desk, name):
    fields = desk.redemption(desk.code(), unheard_of="x")
    pairs = [*fields.items(), (name, fields[name])]
    response = post_form("/oauth/token", pairs, authorization=desk.authorization)
    assert_refused(response, **INVALID_REQUEST, reason="repeated")


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        ("grant_type=authorization_code", "multipart/form-data; boundary=x", "content_type"),
        ('{"grant_type": "authorization_code"}', "application/json", "content_type"),
        ("grant_type=authorization_code", "text/plain", "content_type"),
        ("grant_type=authorization_code", "", "content_type"),
        ("grant_type", FORM, "missing"),
        ("grant_type=", FORM, "missing"),
        ("&&&", FORM, "missing"),
        ("grant_type=%ff", FORM, "body"),
        (b"grant_type=\xff\xfe", FORM, "body"),
        ("grant_type=a%00", FORM, "characters"),
        ("grant_type=a&x%0a=y", FORM, "characters"),
        ("&".join(f"p{number}=1" for number in range(60)), FORM, "body"),
        ("grant_type=" + "a" * 9000, FORM, "too_long"),
    ],
)
def test_a_malformed_form_is_refused(desk, body, content_type, reason):
    http = Http(raise_request_exception=False)
    headers = {"authorization": desk.authorization}
    response = http.post("/oauth/token", body, content_type=content_type, headers=headers)
    assert_refused(response, **INVALID_REQUEST, reason=reason)


def test_a_charset_beside_the_content_type_is_no_fault(desk):
    fields = urlencode(desk.redemption(desk.code()))
    headers = {"authorization": desk.authorization}
    response = Http().post("/oauth/token", fields, content_type=f"{FORM}; charset=UTF-8", headers=headers)
    assert response.status_code == 200


def test_parameters_in_the_url_are_refused(desk):
    response = post_form("/oauth/token?client_secret=x", desk.redemption(desk.code()), authorization=desk.authorization)
    assert_refused(response, **INVALID_REQUEST, reason="query")


def test_a_form_above_the_limit_is_refused_before_it_is_parsed(desk):
    response = post_form("/oauth/token", {"x": "a" * limits.FORM_BYTES}, authorization=desk.authorization)
    assert response.status_code == 413
    assert response.json()["code"] == "request.too_large"


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "head"])
def test_only_post_is_offered(desk, method):
    response = getattr(Http(raise_request_exception=False), method)("/oauth/token")
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert "Access-Control-Allow-Origin" not in response


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(desk, monkeypatch):
    form = desk.redemption(desk.code())

    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr("broker.registry.cache._VERSION.first", away)
    parties.forget()
    response = post_form("/oauth/token", form, authorization=desk.authorization)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    body = response.json()
    assert (body["error"], body["code"]) == ("temporarily_unavailable", "oauth.server_error")
    assert body["trace_id"] == response["Countersign-Trace"]
    assert response["Cache-Control"] == "no-store"
    monkeypatch.undo()
    assert desk.redeem(form["code"]).status_code == 200


def test_neither_secret_nor_header_is_written_down(desk, caplog):
    post(desk, authorization=desk.authorization)
    post(desk, authorization=basic(desk.client.client_id, "a-wrong-secret"))
    written = caplog.text + str(list(Event.objects.values()))
    for secret in (CLIENT_SECRET, "a-wrong-secret", desk.authorization.split()[1]):
        assert secret not in written
