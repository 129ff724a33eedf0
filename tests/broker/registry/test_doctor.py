"""What the doctor says of parties."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from broker.findings import Finding
from broker.registry.doctor import check_parties
from broker.registry.models import Flow, Resource
from tests.factories import make_application, make_client, make_identity_provider, make_organisation

pytestmark = pytest.mark.django_db


def find(name: str) -> Finding:
    return next(finding for finding in check_parties() if finding.name == f"parties: {name}")


def certificate(days: int) -> dict[str, Any]:
    end = timezone.now() + timedelta(days=days, minutes=1)
    return {"der": "", "subject": "CN=x", "fingerprint": "ab", "not_after": end.isoformat()}


def whole_provider(**fields: Any) -> None:
    make_identity_provider(**{"metadata": "<x/>", "certificates": [certificate(400)]} | fields)


def test_an_empty_registry_is_never_in_order() -> None:
    assert find("identity providers").level == "warning"
    assert find("identity providers").text.startswith("0 are registered")
    assert find("applications").level == "warning"


def test_a_whole_registry_is_in_order() -> None:
    whole_provider()
    make_client()

    findings = check_parties()

    assert [finding.text for finding in findings if finding.level != "ok"] == []
    assert len(findings) == 9


@pytest.mark.parametrize("fields", [{"metadata": ""}, {"certificates": []}, {"sso_url": ""}])
def test_an_enabled_identity_provider_without_usable_metadata_is_a_fault(fields: dict[str, Any]) -> None:
    whole_provider(slug="broken", **fields)

    assert find("identity providers").level == "fault"
    assert "broken" in find("identity providers").text


def test_identity_providers_that_are_all_switched_off_are_a_warning() -> None:
    whole_provider(enabled=False)

    assert find("identity providers").level == "warning"


def test_an_organisation_without_a_proved_domain_is_a_warning() -> None:
    whole_provider(slug="mute", organisation=make_organisation(domains=()))

    assert find("domains").level == "warning"
    assert "mute" in find("domains").text


@pytest.mark.parametrize(
    ("days", "level"), [([-1], "warning"), ([30], "warning"), ([-1, 400], "ok"), ([30, 400], "ok"), ([61], "ok")]
)
def test_the_last_certificate_decides(days: list[int], level: str) -> None:
    whole_provider(certificates=[certificate(one) for one in days])

    assert find("certificates").level == level


def test_an_application_without_a_face_is_a_warning() -> None:
    make_application(slug="bare")

    assert "bare" in find("applications").text
    assert find("applications").level == "warning"


def test_a_party_that_nobody_owns_is_a_warning() -> None:
    make_client(application=make_application(slug="orphan", owner=""))

    assert find("owners").text == "nobody owns: orphan"


def test_a_secret_past_its_date_is_a_warning_and_a_missing_one_a_fault() -> None:
    client = make_client(client_id="late")
    client.secrets.update(rotate_by=timezone.now().date() - timedelta(days=1))
    assert (find("client secrets").level, "late" in find("client secrets").text) == ("warning", True)

    client.secrets.update(rotate_by=None, expires_at=timezone.now())
    assert (find("client secrets").level, "late" in find("client secrets").text) == ("fault", True)


def test_an_expired_flow_is_a_warning() -> None:
    client = make_client(kind="service", client_id="sync")
    resource = Resource.objects.create(identifier="https://api.example/", scopes={"read": "Read"})
    flow = Flow.objects.create(
        client=client,
        resource=resource,
        grant="client_credentials",
        purpose="x",
        owner="a@acme.example",
        expires=timezone.now().date(),
    )
    assert find("flows").level == "ok"
    assert "1 only proposed" in find("flows").text

    Flow.objects.filter(pk=flow.pk).update(expires=timezone.now().date() - timedelta(days=1))
    assert (find("flows").level, "sync" in find("flows").text) == ("warning", True)


def test_a_finding_names_ten_and_counts_the_rest() -> None:
    for number in range(12):
        make_application(slug=f"bare{number:02}")

    assert find("applications").text.endswith("bare09 and 2 more")


def test_a_client_without_its_means_is_spoken_of() -> None:
    make_client(client_id="nightly", kind="service", authentication="private_key_jwt", secret=None)
    finding = find("client credentials")
    assert (finding.level, "nightly" in finding.text) == ("warning", True)


def test_certificates_that_nobody_passes_on_are_a_fault(settings: Any) -> None:
    make_client(client_id="nightly", kind="service", authentication="tls_client_auth", tls={"san_dns": "n.example"})
    assert find("client credentials").level == "fault"
    settings.CLIENT_CERTIFICATE_HEADER = "Client-Cert"
    assert find("client credentials").level == "ok"


def test_a_credential_that_ends_soon_is_spoken_of() -> None:
    client = make_client(client_id="nightly", kind="service")
    assert find("client credentials").level == "ok"
    client.secrets.update(expires_at=timezone.now() + timedelta(days=29))
    finding = find("client credentials")
    assert (finding.level, "nightly" in finding.text) == ("warning", True)
    client.secrets.update(expires_at=timezone.now() - timedelta(days=1))
    assert find("client credentials").level == "ok"
