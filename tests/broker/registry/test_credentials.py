"""The evidence of credentials: listed with their use, rotated side by side, told of before they end."""

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from broker import limits
from broker.actors import SYSTEM
from broker.errors import BrokerError
from broker.events.models import Event
from broker.registry.cache import parties
from broker.registry.credential_endings import tell_credential_endings
from broker.registry.credential_uses import credential_memory, forget_old_uses, note_use
from broker.registry.credential_values import certificate
from broker.registry.credentials import Credential, list_credentials
from broker.registry.models import Client, CredentialKind, CredentialUse
from broker.registry.registering.clients import change_client, create_client
from broker.registry.secret_rotation import end_unused_secrets, rotate_secret
from broker.registry.secrets import check_secret, end_secret, import_secret, issue_secret
from broker.registry.services import find_client
from broker.registry.tasks import refresh_workloads, tend_credentials
from broker.registry.values import BadValue
from tests.factories import make_client
from tests.fakes.certificates import make_certificate
from tests.fakes.fake_op import public_jwk
from tests.fakes.fake_workload_issuer import SUBJECT, running_platform
from tests.fakes.tokens import ec_key, rsa_key

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def client(clock: Any) -> Client:
    return make_client(client_id="nightly", kind="service", application=None, owner="erp@acme.example", secret=None)


def use(client: Client, value: str, *, address: str = "192.0.2.1") -> None:
    """The client authenticates with this secret."""
    found = find_client(client.client_id)
    assert found is not None
    secret = check_secret(found, value)
    note_use(found, CredentialKind.SECRET, str(secret.pk), address=address, now=timezone.now())


def listed(client: Client) -> list[Credential]:
    return list_credentials(Client.objects.get(pk=client.pk), now=timezone.now())


def events(kind: str) -> list[dict[str, Any]]:
    return [event.details for event in Event.objects.filter(type=kind).order_by("id")]


# --- use -------------------------------------------------------------------------------------------------------------
def test_a_use_is_listed_with_its_time_and_address(client: Client, clock: Any) -> None:
    value = issue_secret(client, actor=SYSTEM)
    clock.shift(timedelta(hours=1))
    use(client, value, address="192.0.2.7")
    [found] = listed(client)
    assert (found.kind, found.owner, found.is_live) == ("secret", "erp@acme.example", True)
    assert (found.created_at, found.due_at) == (START, None)
    assert (found.last_used_at, found.last_used_from) == (START + timedelta(hours=1), "192.0.2.7")
    assert (found.uses, found.superseded_uses) == (1, 0)


def test_uses_within_a_minute_cost_no_query_and_are_counted_with_the_next(client: Client, clock: Any) -> None:
    value = issue_secret(client, actor=SYSTEM)
    use(client, value)
    find_client("nightly")
    for _ in range(9):
        with CaptureQueriesContext(connection) as queries:
            use(client, value)
        assert len(queries) == 0
    assert CredentialUse.objects.get().count == 1
    clock.shift(limits.CREDENTIAL_USE_INTERVAL)
    parties.catch_up()
    with CaptureQueriesContext(connection) as queries:
        use(client, value, address="192.0.2.9")
    assert [query["sql"].split()[0] for query in queries if "credentialuse" in query["sql"]] == ["UPDATE"]
    written = CredentialUse.objects.get()
    assert (written.count, written.last_used_from) == (11, "192.0.2.9")


def test_each_day_has_its_own_row_and_the_past_is_forgotten_but_its_last_day(client: Client, clock: Any) -> None:
    value = issue_secret(client, actor=SYSTEM)
    for _ in range(3):
        use(client, value)
        clock.shift(timedelta(days=1))
    assert [found.uses for found in listed(client)] == [3]
    clock.shift(limits.CREDENTIAL_USE_RETENTION)
    assert forget_old_uses(now=timezone.now()) == 2
    [found] = listed(client)
    assert found.last_used_at == START + timedelta(days=2)
    clock.shift(timedelta(days=-1) - limits.CREDENTIAL_USE_RETENTION)
    assert forget_old_uses(now=timezone.now()) == 0


def test_a_use_that_cannot_be_written_refuses_nobody(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    value = issue_secret(client, actor=SYSTEM)

    def away(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr("broker.registry.credential_uses._ADDITION.count", away)
    use(client, value)
    assert "use of a credential not written" in caplog.text
    assert value not in caplog.text


def test_two_processes_add_up(client: Client) -> None:
    value = issue_secret(client, actor=SYSTEM)
    for _ in range(2):
        credential_memory.forget()
        use(client, value)
    assert CredentialUse.objects.get().count == 2


def test_keys_certificates_and_workloads_are_listed_since_they_were_registered(clock: Any) -> None:
    keys = {"keys": [public_jwk(rsa_key(), "a"), public_jwk(ec_key(), "b", use="enc")]}
    signing = create_client(
        "signing", kind=Client.Kind.SERVICE, actor=SYSTEM, authentication="private_key_jwt", jwks=keys
    )
    ends_at = START + timedelta(days=20)
    pinned = create_client(
        "pinned",
        kind=Client.Kind.SERVICE,
        actor=SYSTEM,
        authentication="self_signed_tls_client_auth",
        certificates=[certificate(make_certificate(ends_at=ends_at))],
    )
    clock.shift(timedelta(days=1))
    keys = {"keys": [*keys["keys"], public_jwk(rsa_key(number=1), "c")]}
    change_client(signing, actor=SYSTEM, jwks=keys)
    assert [(one.kind, one.name, one.created_at) for one in listed(signing)] == [
        ("key", "a", START),
        ("key", "c", START + timedelta(days=1)),
    ]
    [found] = listed(pinned)
    assert (found.kind, found.due_at, found.days_left(timezone.now())) == ("certificate", ends_at, 19)
    workload = {"issuer": "https://k.example", "subject": SUBJECT, "jwks_url": "https://k.example/jwks"}
    clustered = create_client(
        "clustered", kind=Client.Kind.SERVICE, actor=SYSTEM, authentication="private_key_jwt", workload=workload
    )
    assert [(one.kind, one.name) for one in listed(clustered)] == [("workload", f"https://k.example {SUBJECT}")]


def test_a_key_that_only_its_address_shows_is_listed_by_its_use(clock: Any) -> None:
    client = create_client(
        "remote",
        kind=Client.Kind.SERVICE,
        actor=SYSTEM,
        authentication="private_key_jwt",
        jwks_url="https://remote.example/jwks",
    )
    assert listed(client) == []
    note_use(client, CredentialKind.KEY, "k1", address="192.0.2.1", now=timezone.now())
    [found] = listed(client)
    assert (found.kind, found.name, found.is_live, found.created_at, found.uses) == ("key", "k1", True, None, 1)


# --- rotation --------------------------------------------------------------------------------------------------------
def test_the_new_secret_lives_beside_the_old_until_the_chosen_date(client: Client, clock: Any) -> None:
    old = issue_secret(client, actor=SYSTEM)
    new = rotate_secret(client, overlap=timedelta(days=10), actor=SYSTEM)
    for value in (old, new):
        check_secret(Client.objects.get(), value)
    assert [one.due_at for one in listed(client)] == [None, START + timedelta(days=10)]
    clock.shift(timedelta(days=10) - timedelta(seconds=1))
    check_secret(Client.objects.get(), old)
    clock.shift(timedelta(seconds=1))
    with pytest.raises(BrokerError):
        check_secret(Client.objects.get(), old)
    check_secret(Client.objects.get(), new)


def test_a_rotation_prolongs_nothing(client: Client) -> None:
    issue_secret(client, actor=SYSTEM)
    rotate_secret(client, overlap=timedelta(days=5), actor=SYSTEM)
    rotate_secret(client, overlap=timedelta(days=90), actor=SYSTEM)
    live = [one for one in listed(client) if one.is_live]
    assert [one.due_at for one in live] == [None, START + timedelta(days=90)]


@pytest.mark.parametrize("overlap", [timedelta(0), timedelta(days=-1), limits.CLIENT_SECRET_OVERLAP_MAX * 1.01])
def test_an_overlap_out_of_bounds_is_refused(client: Client, overlap: timedelta) -> None:
    issue_secret(client, actor=SYSTEM)
    with pytest.raises(BadValue, match="overlap"):
        rotate_secret(client, overlap=overlap, actor=SYSTEM)
    assert len(listed(client)) == 1


def test_a_client_that_uses_no_secret_gets_none(client: Client) -> None:
    Client.objects.update(authentication="private_key_jwt")
    with pytest.raises(BadValue, match="uses no secret"):
        rotate_secret(Client.objects.get(), overlap=timedelta(days=1), actor=SYSTEM)


def test_a_rotation_ends_no_secret_that_somebody_still_uses(client: Client, clock: Any) -> None:
    first = issue_secret(client, actor=SYSTEM)
    rotate_secret(client, overlap=timedelta(days=60), actor=SYSTEM)
    use(client, first)
    with pytest.raises(BadValue, match="two secrets are live, and the older one"):
        rotate_secret(client, overlap=timedelta(days=60), actor=SYSTEM)
    check_secret(Client.objects.get(), first)
    clock.shift(limits.CLIENT_SECRET_UNUSED)
    rotate_secret(client, overlap=timedelta(days=60), actor=SYSTEM)
    assert [(ended["reason"], ended["owner"]) for ended in events("credential.ended")] == [
        ("third", "erp@acme.example")
    ]


def test_the_use_of_an_old_secret_is_counted_and_told_once_a_day(client: Client, clock: Any) -> None:
    old = issue_secret(client, actor=SYSTEM)
    new = rotate_secret(client, overlap=timedelta(days=60), actor=SYSTEM)
    use(client, old)
    assert events("client_secret.old_used") == []  # nobody has the new one yet
    clock.shift(timedelta(minutes=2))
    use(client, new)
    for _ in range(3):
        clock.shift(timedelta(minutes=2))
        use(client, old)
    assert [told["owner"] for told in events("client_secret.old_used")] == ["erp@acme.example"]
    assert [(one.uses, one.superseded_uses) for one in listed(client)] == [(1, 0), (4, 3)]
    clock.shift(timedelta(days=1))
    use(client, old)
    assert len(events("client_secret.old_used")) == 2
    use(client, new)
    assert len(events("client_secret.old_used")) == 2


def test_an_old_secret_ends_when_its_successor_has_taken_over(client: Client, clock: Any) -> None:
    old = issue_secret(client, actor=SYSTEM)
    new = rotate_secret(client, overlap=timedelta(days=90), actor=SYSTEM)
    use(client, new)
    clock.shift(limits.CLIENT_SECRET_UNUSED - timedelta(seconds=1))
    assert end_unused_secrets(now=timezone.now(), actor=SYSTEM) == 0
    check_secret(Client.objects.get(), old)
    clock.shift(timedelta(seconds=1))
    assert tend_credentials() == 1
    with pytest.raises(BrokerError):
        check_secret(Client.objects.get(), old)
    check_secret(Client.objects.get(), new)
    assert [ended["reason"] for ended in events("credential.ended")] == ["unused"]
    assert tend_credentials() == 0


def test_an_old_secret_does_not_end_while_it_is_used_or_its_successor_is_not(client: Client, clock: Any) -> None:
    old = issue_secret(client, actor=SYSTEM)
    new = rotate_secret(client, overlap=timedelta(days=90), actor=SYSTEM)
    clock.shift(limits.CLIENT_SECRET_UNUSED * 2)
    assert end_unused_secrets(now=timezone.now(), actor=SYSTEM) == 0
    use(client, new)
    clock.shift(limits.CLIENT_SECRET_UNUSED - timedelta(days=1))
    use(client, old)
    clock.shift(timedelta(days=1))
    assert end_unused_secrets(now=timezone.now(), actor=SYSTEM) == 0
    check_secret(Client.objects.get(), old)


def test_the_only_secret_never_ends_for_want_of_use(client: Client, clock: Any) -> None:
    value = issue_secret(client, actor=SYSTEM)
    clock.shift(timedelta(days=1000))
    assert end_unused_secrets(now=timezone.now(), actor=SYSTEM) == 0
    check_secret(Client.objects.get(), value)


# --- ends ------------------------------------------------------------------------------------------------------------
def test_the_owner_is_told_at_thirty_fourteen_seven_and_one_days_and_at_the_end(client: Client, clock: Any) -> None:
    old = issue_secret(client, actor=SYSTEM)
    rotate_secret(client, overlap=timedelta(days=40), actor=SYSTEM)
    use(client, old)
    for _ in range(45):
        for _ in range(2):
            tell_credential_endings(now=timezone.now(), actor=SYSTEM)
        clock.shift(timedelta(days=1))
    told = events("credential.expiring")
    assert [one["days"] for one in told] == [30, 14, 7, 1]
    assert {(one["kind"], one["owner"], one["last_used_at"]) for one in told} == {
        ("secret", "erp@acme.example", START.isoformat())
    }
    assert [one["reason"] for one in events("credential.ended")] == ["date"]


def test_missed_thresholds_are_told_as_one(client: Client, clock: Any) -> None:
    issue_secret(client, actor=SYSTEM)
    rotate_secret(client, overlap=timedelta(days=40), actor=SYSTEM)
    clock.shift(timedelta(days=34))
    tell_credential_endings(now=timezone.now(), actor=SYSTEM)
    assert [one["days"] for one in events("credential.expiring")] == [7]


def test_certificates_and_exceptions_are_told_of_too(clock: Any) -> None:
    create_client(
        "pinned",
        kind=Client.Kind.SERVICE,
        actor=SYSTEM,
        owner="erp@acme.example",
        authentication="self_signed_tls_client_auth",
        certificates=[certificate(make_certificate(ends_at=START + timedelta(days=5)))],
    )
    create_client(
        "old-library",
        kind=Client.Kind.SERVICE,
        actor=SYSTEM,
        owner="crm@acme.example",
        authentication="private_key_jwt",
        jwks_url="https://crm.example/jwks",
        token_endpoint_audience_until=(START + timedelta(days=5)).date(),
    )
    tell_credential_endings(now=timezone.now(), actor=SYSTEM)
    assert sorted((one["kind"], one["owner"], one["days"]) for one in events("credential.expiring")) == [
        ("certificate", "erp@acme.example", 7),
        ("exception", "crm@acme.example", 7),
    ]
    clock.shift(timedelta(days=6))
    for _ in range(2):
        tell_credential_endings(now=timezone.now(), actor=SYSTEM)
    assert sorted(one["kind"] for one in events("credential.ended")) == ["certificate", "exception"]


def test_a_date_to_rotate_by_is_told_and_ends_nothing(client: Client, clock: Any) -> None:
    value = "taken-over-0123456789abcdef0123456789abcdef"
    import_secret(client, value, actor=SYSTEM)
    clock.shift(limits.CLIENT_SECRET_ROTATE_WITHIN - timedelta(days=1))
    tell_credential_endings(now=timezone.now(), actor=SYSTEM)
    assert len(events("credential.expiring")) == 1
    clock.shift(timedelta(days=5))
    tell_credential_endings(now=timezone.now(), actor=SYSTEM)
    assert events("credential.ended") == []
    check_secret(Client.objects.get(), value)


def test_what_ended_long_ago_and_retired_clients_are_not_told_of(client: Client, clock: Any) -> None:
    issue_secret(client, actor=SYSTEM)
    rotate_secret(client, overlap=timedelta(days=1), actor=SYSTEM)
    clock.shift(timedelta(days=1) + limits.CREDENTIAL_END_NOTICE + timedelta(seconds=1))
    assert tell_credential_endings(now=timezone.now(), actor=SYSTEM) == 0
    assert events("credential.ended") == []


def test_an_operators_end_is_told_once(client: Client) -> None:
    issue_secret(client, actor=SYSTEM)
    assert end_secret(client.secrets.get(), reason="operator", actor=SYSTEM)
    assert not end_secret(client.secrets.get(), reason="operator", actor=SYSTEM)
    tell_credential_endings(now=timezone.now(), actor=SYSTEM)
    assert [one["reason"] for one in events("credential.ended")] == ["operator"]


# --- the command -----------------------------------------------------------------------------------------------------
def rotate(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("rotate_secret", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_the_new_secret_once_and_when_the_old_one_ends(client: Client) -> None:
    old = issue_secret(client, actor=SYSTEM)
    out, err = rotate("nightly", "--overlap-days", "14")
    assert re.fullmatch(r"cs_[\w-]{43}\n", out)
    check_secret(Client.objects.get(), out.strip())
    check_secret(Client.objects.get(), old)
    assert "goes on until 2026-03-16 12:00 UTC (last used: never seen)" in err
    assert out.strip() not in str(list(Event.objects.values()))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nobody",), "there is no client nobody"),
        (("nightly", "--overlap-days", "0"), "the overlap is between"),
        (("nightly", "--overlap-days", "181"), "the overlap is between"),
    ],
)
def test_the_command_says_why_it_does_nothing(client: Client, arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        rotate(*arguments)
    assert listed(client) == []


# --- registering -----------------------------------------------------------------------------------------------------
RSA, EC = public_jwk(rsa_key(), "a"), public_jwk(ec_key(), "b")
BY_KEYS: dict[str, Any] = {"authentication": "private_key_jwt"}
WORKLOAD = {"issuer": "https://k.example", "subject": "job", "jwks_url": "https://k.example/jwks"}
BAD_MEANS: dict[str, tuple[dict[str, Any], str]] = {
    "no keys": (BY_KEYS, "needs its keys"),
    "no kid": (BY_KEYS | {"jwks": {"keys": [RSA | {"kid": ""}]}}, "needs a kid"),
    "one kid twice": (BY_KEYS | {"jwks": {"keys": [RSA, EC | {"kid": "a"}]}}, "two keys have one kid"),
    "only for encryption": (
        BY_KEYS | {"jwks": {"keys": [RSA | {"use": "enc"}]}},
        "no key of the set is for signatures",
    ),
    "another curve": (BY_KEYS | {"jwks": {"keys": [EC | {"crv": "P-384"}]}}, "neither RS256 nor ES256"),
    "another algorithm": (BY_KEYS | {"jwks": {"keys": [RSA | {"alg": "PS256"}]}}, "neither RS256 nor ES256"),
    "a private key": (BY_KEYS | {"jwks": {"keys": [RSA | {"d": "AQAB"}]}}, "private key"),
    "too many keys": (
        BY_KEYS | {"jwks": {"keys": [RSA | {"kid": str(one)} for one in range(limits.CLIENT_KEYS + 1)]}},
        "at most",
    ),
    "keys and a workload": (BY_KEYS | {"jwks": {"keys": [RSA]}, "workload": WORKLOAD}, "not by both"),
    "a workload without an address": (
        BY_KEYS | {"workload": {"issuer": "https://k.example", "subject": "j"}},
        "jwks_url",
    ),
    "a workload of ours": (BY_KEYS | {"workload": WORKLOAD | {"issuer": "http://localhost:8000"}}, "than ourselves"),
    "a workload with more": (BY_KEYS | {"workload": WORKLOAD | {"secret": "x"}}, "it has no secret"),
    "no name": ({"authentication": "tls_client_auth"}, "needs the name"),
    "two names": (
        {"authentication": "tls_client_auth", "tls": {"san_dns": "a.example", "san_ip": "192.0.2.1"}},
        "exactly one",
    ),
    "an empty name": ({"authentication": "tls_client_auth", "tls": {"subject_dn": ""}}, "is a text"),
    "no certificate": ({"authentication": "self_signed_tls_client_auth"}, "needs a certificate"),
    "an exception for nothing": ({"token_endpoint_audience_until": START.date()}, "only private_key_jwt"),
    "rubbish as x5c": (
        {"authentication": "self_signed_tls_client_auth", "jwks": {"keys": [EC | {"x5c": ["AAAA"]}]}},
        "is no certificate|does not begin with a certificate",
    ),
}


@pytest.mark.parametrize("name", list(BAD_MEANS))
def test_means_that_authenticate_nobody_are_not_registered(name: str) -> None:
    fields, text = BAD_MEANS[name]
    with pytest.raises(BadValue, match=text):
        create_client("nightly", kind=Client.Kind.SERVICE, actor=SYSTEM, **fields)
    assert not Client.objects.exists()


@pytest.mark.parametrize(
    "client_id",
    [
        "8c1f0a52-5b6e-4f0e-9d5a-3f2b1c0d9e8f",
        "8C1F0A525B6E4F0E9D5A3F2B1C0D9E8F",
        "{8c1f0a52-5b6e-4f0e-9d5a-3f2b1c0d9e8f}",
        "urn:uuid:8c1f0a52-5b6e-4f0e-9d5a-3f2b1c0d9e8f",
    ],
)
def test_a_client_is_never_named_like_a_person(client_id: str) -> None:
    with pytest.raises(BadValue, match="subjects of people"):
        create_client(client_id, kind=Client.Kind.SERVICE, actor=SYSTEM)


@pytest.mark.parametrize("raw", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_not_registered(raw: bytes) -> None:
    with pytest.raises(BadValue):
        certificate(raw)


def test_the_address_of_a_platforms_keys_is_read_anew(settings: Any) -> None:
    settings.OUTGOING_NETWORKS = ["127.0.0.0/8"]
    settings.OUTGOING_PROXY = ""
    with running_platform() as platform:
        workload = {
            "issuer": platform.issuer,
            "subject": SUBJECT,
            "jwks_url": platform.jwks_url,
            "is_discovered": True,
        }
        fields: dict[str, Any] = {"authentication": "private_key_jwt", "kind": Client.Kind.SERVICE, "actor": SYSTEM}
        create_client("found", workload=workload, **fields)
        create_client("told", workload=workload | {"is_discovered": False}, **fields)
        assert refresh_workloads() == 0
        moved = f"{platform.issuer}/elsewhere"
        platform.document = {"jwks_uri": moved}
        assert refresh_workloads() == 1
        assert platform.count("/.well-known/openid-configuration") == 2
    found = {client.client_id: client.workload["jwks_url"] for client in Client.objects.all()}
    assert found == {"found": moved, "told": platform.jwks_url}
    assert refresh_workloads() == 0
