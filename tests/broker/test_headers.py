"""Every answer carries the same security headers, also those that are copied instead of written anew."""

import pytest
from django.test import Client as Http

from broker.headers import ASKED_OFTEN

pytestmark = pytest.mark.django_db
HEADERS = (
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
)


def marks(path: str, **options: bool) -> dict[str, str | None]:
    response = Http().post(path, **options)
    assert response.status_code >= 400
    return {name: response.headers.get(name) for name in HEADERS}


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/access/v1/evaluation", "/access/v1/none"])
def test_what_is_asked_often_is_marked_like_every_other_answer(path):
    assert path.startswith(ASKED_OFTEN)
    written = marks("/oauth/revoke")
    assert None not in written.values()
    assert marks(path) == written
    assert marks(path) == written, "nor is the second answer marked otherwise"


def test_the_answer_of_the_limits_is_marked_too():
    refused = Http().post("/oauth/token", b"x" * 2_000_000, content_type="application/x-www-form-urlencoded")
    assert refused.status_code == 413
    assert all(name in refused.headers for name in HEADERS)


def test_only_an_answer_over_tls_asks_browsers_to_stay_with_it(settings):
    settings.SECURE_HSTS_SECONDS = 31_536_000
    plain, secure = Http().post("/oauth/token"), Http().post("/oauth/token", secure=True)
    assert "Strict-Transport-Security" not in plain.headers
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"
    again = Http().post("/oauth/token", secure=False)
    assert "Strict-Transport-Security" not in again.headers
