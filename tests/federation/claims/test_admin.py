"""Claim mappings and release rules in the console."""

import pytest
from django.test import Client as Browser

from broker.events.models import Event
from federation.claims.models import ClaimMapping, ReleaseRule
from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console
from tests.factories import make_application, make_identity_provider

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]
pytestmark = pytest.mark.django_db


def test_a_mapping_is_written_a_claim_on_each_line(console: Browser) -> None:
    provider = make_identity_provider()
    form = {"identity_provider": provider.pk, "lines": "email: mail, urn:oid:0.9.2342.19200300.100.1.3\ngroups: groups"}

    assert console.post("/admin/claims/claimmapping/add/", form).status_code == 302

    expected = {"email": ["mail", "urn:oid:0.9.2342.19200300.100.1.3"], "groups": ["groups"]}
    assert ClaimMapping.objects.get().claims == expected
    event = Event.objects.get(type="party.changed")
    assert (event.actor_id, event.connection, event.details["after"]) == (
        "ada@acme.example",
        provider.slug,
        {"claims": expected},
    )


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("email mail", "is no mapping"),
        ("sub: uid", "is said by Countersign itself"),
        ("email:", "is no mapping"),
        ("email: ,", "names no attribute"),
        ("e mail: mail", "is no claim name"),
    ],
)
def test_a_bad_mapping_is_an_error_of_the_form(console: Browser, lines: str, text: str) -> None:
    form = {"identity_provider": make_identity_provider().pk, "lines": lines}

    answer = console.post("/admin/claims/claimmapping/add/", form)

    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not ClaimMapping.objects.exists()


def test_a_release_rule_is_changed_with_an_event(console: Browser) -> None:
    application = make_application(release=("email",))
    page = f"/admin/claims/releaserule/{application.release_rule.pk}/change/"

    assert console.post(page, {"lines": "email\ngroups\nemail"}).status_code == 302
    assert console.post(page, {"lines": "aud"}).status_code == 200

    assert ReleaseRule.objects.get().claims == ["email", "groups"]
    assert Event.objects.get(type="party.changed").details == {
        "before": {"release": ["email"]},
        "after": {"release": ["email", "groups"]},
    }


def test_a_viewer_reads_rules_and_changes_none(viewer_console: Browser) -> None:
    provider = make_identity_provider(claims={"email": ["mail"]})
    rule = make_application(release=("email",)).release_rule
    page = f"/admin/claims/releaserule/{rule.pk}/change/"

    assert "email" in viewer_console.get(page).content.decode()
    assert viewer_console.post(page, {"lines": "groups"}).status_code == 403
    mapping = f"/admin/claims/claimmapping/{provider.claim_mapping.pk}/change/"
    assert "email: mail" in viewer_console.get(mapping).content.decode()
    assert ReleaseRule.objects.get().claims == ["email"]
