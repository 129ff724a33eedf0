"""Applications with python3-saml, strict: `/<variant>/whoami` wants a sign-on and tells who came.

Runs in the peers' own environment, configured by IDP_METADATA, HOST, PORT, KEY and CERTIFICATE. The broker's metadata
is read when it is needed first, since the broker reads ours before.
"""

import functools
import json
import os
import urllib.request
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.settings import OneLogin_Saml2_Settings

HOST, PORT = os.environ["HOST"], os.environ["PORT"]
BASE = f"http://{HOST}:{PORT}"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
MFA = "https://refeds.org/profile/mfa"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
VARIANTS: dict[str, dict[str, Any]] = {
    "both": {"wantMessagesSigned": True, "wantAssertionsSigned": True},
    "assertion": {"wantAssertionsSigned": True},
    "response": {"wantMessagesSigned": True, "wantAssertionsSigned": False},
    "encrypted": {"wantMessagesSigned": True, "wantAssertionsSigned": True, "wantAssertionsEncrypted": True},
    "unsigned-requests": {"authnRequestsSigned": False, "wantAssertionsSigned": True},
    "second-factor": {"wantAssertionsSigned": True, "requestedAuthnContext": [MFA]},
}
"""What each variant demands of the broker."""
NAME_IDS = {"response": EMAIL}
visitors: dict[str, dict[str, Any]] = {}


def own_pem(name: str) -> str:
    return "".join(line for line in Path(os.environ[name]).read_text().splitlines() if "----" not in line)


def own_settings(variant: str) -> dict[str, Any]:
    return {
        "strict": True,
        "debug": True,
        "sp": {
            "entityId": f"{BASE}/{variant}/metadata",
            "assertionConsumerService": {"url": f"{BASE}/{variant}/acs", "binding": POST},
            "NameIDFormat": NAME_IDS.get(variant, PERSISTENT),
            "x509cert": own_pem("CERTIFICATE"),
            "privateKey": own_pem("KEY"),
        },
        "security": {
            "authnRequestsSigned": True,
            "requestedAuthnContext": False,
            "rejectDeprecatedAlgorithm": True,
            "signatureAlgorithm": RSA_SHA256,
            "digestAlgorithm": SHA256,
            **VARIANTS[variant],
        },
    }


@functools.cache
def settings(variant: str) -> dict[str, Any]:
    with urllib.request.urlopen(os.environ["IDP_METADATA"], timeout=10) as answer:
        broker = OneLogin_Saml2_IdPMetadataParser.parse(answer.read())
    # Else the first NameID format that the broker offers would replace the one that we decided on. What its metadata
    # says of signed requests stays in: it must not keep us from signing.
    broker.pop("sp", None)
    return dict(OneLogin_Saml2_IdPMetadataParser.merge_settings(own_settings(variant), broker))


def auth(variant: str, environ: dict[str, Any], form: dict[str, str]) -> OneLogin_Saml2_Auth:
    request = {
        "https": "off",
        "http_host": environ["HTTP_HOST"],
        "script_name": environ["PATH_INFO"],
        "get_data": {},
        "post_data": form,
        "query_string": environ["QUERY_STRING"],
    }
    return OneLogin_Saml2_Auth(request, settings(variant))


def whoami(variant: str, visitor: dict[str, Any], environ: dict[str, Any]) -> tuple[int, Any]:
    if "told" in visitor:
        return 200, visitor["told"]
    saml = auth(variant, environ, {})
    target = saml.login(f"{BASE}/{variant}/whoami", force_authn=environ["QUERY_STRING"] == "fresh")
    visitor["request_id"] = saml.get_last_request_id()
    return 302, target


def acs(variant: str, visitor: dict[str, Any], environ: dict[str, Any]) -> tuple[int, Any]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    form = {name: values[0] for name, values in parse_qs(body).items()}
    saml = auth(variant, environ, form)
    saml.process_response(request_id=visitor.pop("request_id", "none was asked"))
    if saml.get_errors():
        problem = {"errors": saml.get_errors(), "reason": str(saml.get_last_error_reason())}
        return 403, {"peer": "python3-saml", **problem}
    visitor["told"] = {
        "peer": "python3-saml",
        "email": saml.get_attributes().get(MAIL, [""])[0],
        "name_id": saml.get_nameid(),
        "format": saml.get_nameid_format(),
        "context": saml.get_last_authn_contexts(),
        "attributes": saml.get_attributes(),
        "relay_state": form.get("RelayState"),
    }
    return 302, f"{BASE}/{variant}/whoami"


def metadata(variant: str, _visitor: dict[str, Any], _environ: dict[str, Any]) -> tuple[int, Any]:
    return 200, OneLogin_Saml2_Settings(own_settings(variant), sp_validation_only=True).get_sp_metadata()


PAGES = {"whoami": whoami, "acs": acs, "metadata": metadata}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/up":
        start_response("200 OK", [])
        return [b"up"]
    _, variant, page = environ["PATH_INFO"].split("/")
    cookies: SimpleCookie = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    cookie = cookies[variant].value if variant in cookies else os.urandom(16).hex()
    visitor = visitors.setdefault(f"{variant} {cookie}", {})
    status, answer = PAGES[page](variant, visitor, environ)
    headers = [("Set-Cookie", f"{variant}={cookie}; HttpOnly; SameSite=Lax; Path=/")]
    if status == 302:
        headers.append(("Location", answer))
        content = b""
    elif isinstance(answer, bytes | str):
        headers.append(("Content-Type", "application/samlmetadata+xml"))
        content = answer if isinstance(answer, bytes) else answer.encode()
    else:
        headers.append(("Content-Type", "application/json"))
        content = json.dumps(answer).encode()
    start_response(f"{status} -", headers)
    return [content]


with make_server(HOST, int(PORT), application) as server:
    server.serve_forever()
