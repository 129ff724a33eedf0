"""The porch answers whatever stands in front of it: nothing raises while a request is made."""

import io
from collections.abc import Iterator

import pytest
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory

from broker import limits
from broker.wsgi import Request, application

pytestmark = pytest.mark.django_db
HALF_A_CHARACTER = r"\ud800"
FORM = f'--x\r\nContent-Disposition: form-data; name="flow"\r\n\r\n{HALF_A_CHARACTER}\r\n--x--\r\n'.encode()


@pytest.fixture(autouse=True)
def _requests_leave_the_test_its_connection() -> Iterator[None]:
    """As Django's test client has it: a request would close the connection that holds the test's transaction."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


def environ(method: str, path: str, content_type: str) -> dict:
    return RequestFactory()._base_environ(
        REQUEST_METHOD=method,
        PATH_INFO=path,
        QUERY_STRING=f"flow={HALF_A_CHARACTER}%41",
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(FORM)),
        **{"wsgi.input": io.BytesIO(FORM)},
    )


def status(*asked: str) -> int:
    seen: list[str] = []
    application(environ(*asked), lambda line, _headers: seen.append(line))
    return int(seen[0].split()[0])


@pytest.mark.parametrize(
    "charset",
    ["charset=hex", "charset=idna", "charset=undefined", "charset=unicode_escape", "charset*=hex''x", "x*=y''z"],
)
@pytest.mark.parametrize("path", ["/signon/choose", "/saml/sp/acme-idp/acs", "/oauth/authorize", "/oauth/logout"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_charset_makes_us_stumble(method, path, charset):
    for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain"):
        assert 200 <= status(method, path, f"{kind}; {charset}") < 500


def test_every_charset_is_read_as_utf_8():
    request = Request(environ("POST", "/", "multipart/form-data; boundary=x; charset=unicode_escape"))
    assert (request.GET["flow"], request.POST["flow"]) == (rf"{HALF_A_CHARACTER}A", HALF_A_CHARACTER)


def test_content_type_chars():
    kind = "multipart/form-data; boundary=x"
    padding = limits.CONTENT_TYPE_CHARS - len(kind) - 3
    assert Request(environ("POST", "/", f"{kind};{' ' * padding}a=")).content_params == {"boundary": "x", "a": ""}
    assert Request(environ("POST", "/", f"{kind};{' ' * (padding + 2)}a=")).content_params == {"boundary": "x"}
