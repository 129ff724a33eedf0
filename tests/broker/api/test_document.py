"""/api/schema and /api/docs: valid, complete, and about every operation that there is."""

import pytest
from django.test import Client as DjangoClient
from openapi_spec_validator import validate

from broker.api import urls
from broker.api.document import document
from provisioning.leaver import urls as leaver_urls
from tests.broker.api.calls import ALL

pytestmark = pytest.mark.django_db


def operations():
    described = DjangoClient().get("/api/schema").json()
    return [
        (path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_document_is_openapi_3_1_and_needs_no_token():
    answer = DjangoClient().get("/api/schema")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/vnd.oai.openapi+json")
    assert answer.json()["openapi"] == "3.1.0"
    validate(answer.json())


def test_it_holds_every_method_of_every_address():
    served = {
        (pattern.name, method.lower())
        for pattern in (*urls.urlpatterns, *leaver_urls.urlpatterns)
        for method in getattr(getattr(pattern.callback, "cls", None), "scopes", {})
    }
    assert len(operations()) == len(served)
    assert len({operation["operationId"] for _, _, operation in operations()}) == len(served)


def test_each_operation_says_what_it_does_which_scope_it_needs_and_how_it_refuses():
    for path, method, operation in operations():
        assert operation["summary"].endswith("."), path
        assert operation["tags"]
        (scope,) = operation["security"][0]["accessToken"]
        assert scope in ALL
        assert {"400", "401", "403", "429", "500", "503"} <= set(operation["responses"]), path
        assert ("404" in operation["responses"]) is ("{" in path)
        if method == "patch":
            assert {"409", "412", "415", "428"} <= set(operation["responses"])
        if method == "post":
            assert {"409", "415", "422"} <= set(operation["responses"])


def test_the_scopes_of_the_document_are_those_that_the_resource_has():
    flow = document("")["components"]["securitySchemes"]["accessToken"]["flows"]["clientCredentials"]
    assert tuple(flow["scopes"]) == ALL
    assert flow["tokenUrl"].endswith("/oauth/token")


def test_who_has_the_document_is_not_sent_it_again():
    tag = DjangoClient().get("/api/schema")["ETag"]
    again = DjangoClient().get("/api/schema", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_the_document_is_only_read(path):
    assert DjangoClient().post(path).status_code == 405


def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere():
    answer = DjangoClient().get("/api/docs")
    text = answer.content.decode()
    assert answer.status_code == 200
    for path, method, operation in operations():
        assert f'id="{operation["operationId"]}"' in text
        assert f"{method.upper()} {path}" in text
    assert "<script" not in text
    assert "style=" not in text
    assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_the_page_gives_examples_that_the_document_allows():
    text = DjangoClient().get("/api/docs").content.decode()
    assert "&quot;next_cursor&quot;" in text
    assert "registry.write" in text
