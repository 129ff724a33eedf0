"""Clients in the console: their means are entered and judged, their credentials shown with their evidence."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.credential_uses import note_use
from broker.registry.models import Client, ClientSecret, CredentialKind
from broker.registry.secret_rotation import rotate_secret
from broker.registry.secrets import check_secret
from tests.factories import CLIENT_SECRET, make_client
from tests.fakes.certificates import make_certificate, pem
from tests.fakes.fake_op import public_jwk
from tests.fakes.fake_workload_issuer import SUBJECT, running_platform
from tests.fakes.tokens import rsa_key

pytestmark = pytest.mark.django_db
KEYS = {"keys": [public_jwk(rsa_key(), "a")]}


def form(**fields: Any) -> dict[str, Any]:
    return {
        "client_id": "nightly",
        "kind": "service",
        "owner": "erp@acme.example",
        "enabled": "on",
        "authentication": "client_secret_basic",
        "pkce": "required",
        "subject_type": "public",
        "id_token_algorithm": "RS256",
        "enforcement": "enforce",
    } | fields


def add(console: Browser, **fields: Any) -> Any:
    return console.post("/admin/registry/client/add/", form(**fields))


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


@pytest.fixture
def nightly() -> Client:
    return make_client(client_id="nightly", kind="service", application=None, owner="erp@acme.example")


def test_each_means_is_registered_and_shown_again(console: Browser) -> None:
    certificate = pem(make_certificate())
    entered: dict[str, dict[str, Any]] = {
        "by-keys": {"authentication": "private_key_jwt", "key_text": json.dumps(KEYS)},
        "by-name": {"authentication": "tls_client_auth", "tls_lines": "subject_dn: CN=nightly, O=Acme"},
        "pinned": {"authentication": "self_signed_tls_client_auth", "certificate_text": certificate * 2},
        "clustered": {
            "authentication": "private_key_jwt",
            "workload_lines": f"issuer: https://k.example\nsubject: {SUBJECT}\njwks_url: https://k.example/jwks",
        },
    }
    for client_id, fields in entered.items():
        assert add(console, client_id=client_id, **fields).status_code == 302, client_id
    clients = {one.client_id: one for one in Client.objects.all()}
    assert clients["by-keys"].jwks == KEYS
    assert clients["by-name"].tls == {"subject_dn": "CN=nightly,O=Acme"}
    assert len(clients["pinned"].certificates) == 1
    assert clients["clustered"].workload["subject"] == SUBJECT
    assert not ClientSecret.objects.exists()
    for client_id, shown in [("by-name", "CN=nightly,O=Acme"), ("pinned", "BEGIN CERTIFICATE"), ("clustered", SUBJECT)]:
        page = console.get(f"/admin/registry/client/{clients[client_id].pk}/change/").content.decode()
        assert shown in page
        saved = console.post(
            f"/admin/registry/client/{clients[client_id].pk}/change/",
            form(owner="new@acme.example", **entered[client_id]),
        )
        assert saved.status_code == 302
    assert Client.objects.get(client_id="by-name").owner == "new@acme.example"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"authentication": "private_key_jwt"}, "needs its keys"),
        ({"authentication": "private_key_jwt", "key_text": "{"}, "This is not JSON"),
        ({"authentication": "private_key_jwt", "key_text": "[]"}, "is no key set"),
        ({"authentication": "private_key_jwt", "key_text": '{"keys": [{"kty": "oct", "k": "x"}]}'}, "can be public"),
        ({"authentication": "tls_client_auth"}, "needs the name"),
        ({"authentication": "tls_client_auth", "tls_lines": "nightly.acme.example"}, "is no line of the form"),
        ({"authentication": "tls_client_auth", "tls_lines": "san_dns: *.acme.example"}, "is no DNS name"),
        ({"authentication": "tls_client_auth", "tls_lines": "cn: nightly"}, "exactly one of"),
        ({"authentication": "self_signed_tls_client_auth", "certificate_text": "x"}, "Paste certificates in PEM"),
        (
            {
                "authentication": "self_signed_tls_client_auth",
                "certificate_text": pem(make_certificate()) + "-----BEGIN PRIVATE KEY-----",
            },
            "Paste certificates in PEM, and no key",
        ),
        ({"authentication": "private_key_jwt", "workload_lines": "issuer: https://127.0.0.1"}, "cannot be fetched"),
        ({"authentication": "private_key_jwt", "workload_lines": "issuer: x\nissuer: y"}, "stands twice"),
        ({"client_id": "8c1f0a52-5b6e-4f0e-9d5a-3f2b1c0d9e8f"}, "subjects of people"),
        ({"token_endpoint_audience_until": "2027-01-31"}, "only private_key_jwt"),
    ],
)
def test_means_that_authenticate_nobody_are_errors_of_the_form(
    console: Browser, fields: dict[str, Any], text: str
) -> None:
    answer = add(console, **fields)
    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not Client.objects.exists()


def test_a_platforms_keys_are_found_by_its_document(console: Browser, settings: Any) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running_platform() as platform:
        lines = f"issuer: {platform.issuer}\nsubject: {SUBJECT}"
        assert add(console, authentication="private_key_jwt", workload_lines=lines).status_code == 302
    workload = Client.objects.get().workload
    assert (workload["jwks_url"], workload["is_discovered"]) == (platform.jwks_url, True)


def test_credentials_are_shown_with_their_evidence_and_without_their_values(console: Browser, nightly: Client) -> None:
    old = nightly.secrets.get()
    value = rotate_secret(nightly, overlap=timedelta(days=20), actor=SYSTEM)
    now = timezone.now()
    new = nightly.secrets.exclude(pk=old.pk).get()
    note_use(nightly, CredentialKind.SECRET, str(new.pk), address="192.0.2.7", now=now)
    note_use(Client.objects.get(), CredentialKind.SECRET, str(old.pk), address="192.0.2.8", now=now)
    answer = console.get(f"/admin/registry/client/{nightly.pk}/change/")
    text = text_of(answer)
    assert f"Secret {new.pk} accepted" in text
    assert text.index("Credentials") < text.index("Its public keys"), "the evidence stands above the form"
    assert "192.0.2.7" in text
    assert "192.0.2.8" in text
    assert "(19 days left)" in text
    assert "1 (1 after its successor was used)" in text
    for hidden in (value, CLIENT_SECRET, old.secret_hash, new.secret_hash):
        assert hidden not in answer.content.decode()


def test_the_list_shows_the_owner_the_last_use_and_the_nearest_end(console: Browser, nightly: Client) -> None:
    make_client(client_id="orphan", kind="service", application=None)
    rotate_secret(nightly, overlap=timedelta(days=9, hours=1), actor=SYSTEM)
    note_use(nightly, CredentialKind.SECRET, str(nightly.secrets.first().pk), address="", now=timezone.now())  # type: ignore[union-attr]  # it has one
    text = text_of(console.get("/admin/registry/client/"))
    assert "no owner" in text
    assert "erp@acme.example" in text
    assert "9 days" in text
    assert f"{timezone.now():%Y-%m-%d}" in text
    assert "never" in text


def test_a_rotation_asks_for_the_overlap_and_shows_the_secret_once(console: Browser, nightly: Client) -> None:
    page = f"/admin/registry/client/{nightly.pk}/rotate-secret/"
    asked = console.get(page).content.decode()
    assert 'name="overlap_days"' in asked
    assert nightly.secrets.count() == 1
    for wrong in ("0", "181", "", "soon"):
        assert console.post(page, {"overlap_days": wrong}).status_code == 200
    assert nightly.secrets.count() == 1
    (secret,) = re.findall(r"cs_[\w-]{43}", console.post(page, {"overlap_days": "14"}).content.decode())
    check_secret(Client.objects.get(), secret)
    check_secret(Client.objects.get(), CLIENT_SECRET)
    assert Event.objects.filter(type="client_secret.issued", actor_kind="operator").count() == 1


def test_a_rotation_that_would_end_a_secret_in_use_says_so(console: Browser, nightly: Client) -> None:
    old = nightly.secrets.get()
    rotate_secret(nightly, overlap=timedelta(days=20), actor=SYSTEM)
    note_use(nightly, CredentialKind.SECRET, str(old.pk), address="", now=timezone.now())
    page = f"/admin/registry/client/{nightly.pk}/rotate-secret/"
    answer = console.post(page, {"overlap_days": "14"}, follow=True)
    assert "two secrets are live" in text_of(answer)
    assert nightly.secrets.count() == 2


def test_one_secret_is_ended_after_a_question(console: Browser, nightly: Client) -> None:
    old = nightly.secrets.get()
    value = rotate_secret(nightly, overlap=timedelta(days=20), actor=SYSTEM)
    page = f"/admin/registry/client/{nightly.pk}/end-secret/{old.pk}/"
    assert "is refused from now on" in text_of(console.get(page))
    check_secret(Client.objects.get(), CLIENT_SECRET)
    assert console.post(page).status_code == 302
    with pytest.raises(BrokerError):
        check_secret(Client.objects.get(), CLIENT_SECRET)
    check_secret(Client.objects.get(), value)
    ended = Event.objects.get(type="credential.ended")
    assert (ended.details["reason"], ended.actor_kind) == ("operator", "operator")


def test_a_secret_of_another_client_is_not_ended_here(console: Browser, nightly: Client) -> None:
    other = make_client(client_id="other").secrets.get()
    assert console.post(f"/admin/registry/client/{nightly.pk}/end-secret/{other.pk}/").status_code == 404
    other.refresh_from_db()
    assert other.expires_at is None


def test_a_viewer_sees_the_evidence_and_ends_nothing(viewer_console: Browser, nightly: Client) -> None:
    secret = nightly.secrets.get()
    text = text_of(viewer_console.get(f"/admin/registry/client/{nightly.pk}/change/"))
    assert f"Secret {secret.pk}" in text
    assert viewer_console.post(f"/admin/registry/client/{nightly.pk}/end-secret/{secret.pk}/").status_code == 403
    assert viewer_console.post(f"/admin/registry/client/{nightly.pk}/rotate-secret/").status_code == 403
    secret.refresh_from_db()
    assert (secret.expires_at, nightly.secrets.count()) == (None, 1)


def test_nobody_ends_a_secret_unasked(nightly: Client) -> None:
    answer = Browser().post(f"/admin/registry/client/{nightly.pk}/end-secret/{nightly.secrets.get().pk}/")
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]
