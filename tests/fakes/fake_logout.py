"""Applications that are told of the end of a session, and believe nothing that they did not check.

Verified by other libraries than ours: logout tokens by PyJWT, LogoutRequests by python-xmlsec.

    told = read_logout_token(token, jwks=…, issuer=…, client_id=…)      # claims, or a TokenRefused
    sp = SoapParty(FakeServiceProvider())
    request = sp.read(envelope, idp=…, certificate=…)                  # what is asked, or an AnswerRefused
    sp.answer(request.request_id)                                      # a signed LogoutResponse in its envelope

`listening` is an application on a port of its own, which answers what a test wants.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from lxml import etree

from tests.fakes.fake_idp import NS, SAML, SAMLP, STATUS, instant, make_id, sign_element, signing
from tests.fakes.fake_sp import AnswerRefused, FakeServiceProvider, expect, moment, signature_holds
from tests.fakes.saml_keys import KeyPair

EVENT = "http://schemas.openid.net/event/backchannel-logout"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
GREATEST_LIFETIME = 120
SKEW = 30


class TokenRefused(Exception):
    """The application does not accept a logout token."""


def read_logout_token(
    token: str, *, jwks: Mapping[str, Any], issuer: str, client_id: str, now: datetime | None = None
) -> dict[str, Any]:
    """The claims of a token that passes OpenID Connect Back-Channel Logout 1.0 section 2.6, taken strictly."""
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "logout+jwt":
        raise TokenRefused(f"typ is {header.get('typ')}")
    if header.get("alg") not in ("RS256", "ES256"):
        raise TokenRefused(f"alg is {header.get('alg')}")
    keys = [one for one in jwt.PyJWKSet.from_dict(dict(jwks)).keys if one.key_id == header.get("kid")]
    if len(keys) != 1:
        raise TokenRefused("no such key")
    # The clock is the test's, so the library judges everything but the times.
    claims = dict(
        jwt.decode(
            token,
            keys[0].key,
            algorithms=[header["alg"]],
            audience=client_id,
            issuer=issuer,
            options={
                "require": ["iss", "aud", "iat", "exp", "jti", "events"],
                "verify_exp": False,
                "verify_iat": False,
                "strict_aud": True,
            },
        )
    )
    seconds = int((now or datetime.now(UTC)).timestamp())
    if not seconds - SKEW <= claims["iat"] <= seconds + SKEW or claims["exp"] < seconds - SKEW:
        raise TokenRefused("not of now")
    if not 0 < claims["exp"] - claims["iat"] <= GREATEST_LIFETIME:
        raise TokenRefused("good for too long")
    if claims["events"] != {EVENT: {}}:
        raise TokenRefused(f"the events are {claims['events']}")
    if "nonce" in claims:
        raise TokenRefused("it has a nonce: it is an ID token")
    if not (claims.get("sub") or claims.get("sid")):
        raise TokenRefused("it names nobody")
    return claims


@dataclass(frozen=True)
class LogoutAsked:
    """What an accepted LogoutRequest says."""

    request_id: str
    name_id: str
    format: str
    name_qualifier: str
    sp_name_qualifier: str
    session_index: str
    reason: str


@dataclass
class SoapParty:
    """A service provider's end of the SOAP binding."""

    sp: FakeServiceProvider
    url: str = "https://erp.example/saml/slo"

    def read(self, envelope: bytes, *, idp: str, certificate: bytes, now: datetime | None = None) -> LogoutAsked:
        """Accept a LogoutRequest as a strict service provider does. Raises AnswerRefused."""
        now = now or datetime.now(UTC)
        body = etree.fromstring(envelope)
        expect([child.tag for child in body], [f"{{{SOAP}}}Body"])
        expect([child.tag for child in body[0]], [f"{{{SAMLP}}}LogoutRequest"])
        request = body[0][0]
        expect(request.get("Version"), "2.0")
        expect(request.get("Destination"), self.url)
        order = [etree.QName(child).localname for child in request]
        expect(order, ["Issuer", "Signature", "NameID", "SessionIndex"])
        if not signature_holds(request, certificate):
            raise AnswerRefused("it is not signed")
        expect(request.findtext("saml:Issuer", namespaces=NS), idp)
        if moment(request.get("NotOnOrAfter")) <= now or moment(request.get("IssueInstant")) > now + timedelta(
            seconds=SKEW
        ):
            raise AnswerRefused("not of now")
        name_id = request.find("saml:NameID", NS)
        assert name_id is not None
        return LogoutAsked(
            request_id=str(request.get("ID")),
            name_id=name_id.text or "",
            format=name_id.get("Format", ""),
            name_qualifier=name_id.get("NameQualifier", ""),
            sp_name_qualifier=name_id.get("SPNameQualifier", ""),
            session_index=request.findtext("samlp:SessionIndex", "", NS),
            reason=request.get("Reason", ""),
        )

    def answer(
        self,
        request_id: str | None,
        *,
        status: tuple[str, ...] = ("Success",),
        message: str = "",
        issuer: str | None = None,
        issuer_format: str | None = None,
        destination: str | None = None,
        key: KeyPair | None = None,
        sign: bool = True,
        method: str = "rsa-sha256",
        tag: str = "LogoutResponse",
        edit: Callable[[etree._Element], None] | None = None,
        wrap: Callable[[etree._Element], etree._Element] | None = None,
    ) -> bytes:
        """A LogoutResponse in its envelope. `edit` works on it once it is signed, `wrap` replaces the envelope."""
        root = etree.Element(f"{{{SAMLP}}}{tag}", nsmap={"samlp": SAMLP, "saml": SAML})
        values = {
            "ID": make_id(),
            "Version": "2.0",
            "IssueInstant": instant(datetime.now(UTC)),
            "InResponseTo": request_id,
            "Destination": destination,
        }
        for name, value in values.items():
            if value is not None:
                root.set(name, value)
        said = etree.SubElement(root, f"{{{SAML}}}Issuer")
        said.text = issuer or self.sp.entity_id
        if issuer_format:
            said.set("Format", issuer_format)
        holder = told = etree.SubElement(root, f"{{{SAMLP}}}Status")
        for code in status:
            holder = etree.SubElement(holder, f"{{{SAMLP}}}StatusCode", Value=STATUS + code)
        if message:
            etree.SubElement(told, f"{{{SAMLP}}}StatusMessage").text = message
        if sign:
            sign_element(root, signing(key or self.sp.key, method=method))
        if edit:
            edit(root)
        return etree.tostring((wrap or in_envelope)(root))


def in_envelope(message: etree._Element) -> etree._Element:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"S": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(message)
    return envelope


def fault(text: str = "cannot parse") -> bytes:
    """A SOAP fault in its envelope."""
    return (
        f'<S:Envelope xmlns:S="{SOAP}"><S:Body><S:Fault><faultcode>S:Client</faultcode>'
        f"<faultstring>{text}</faultstring></S:Fault></S:Body></S:Envelope>"
    ).encode()


@dataclass(frozen=True)
class Heard:
    """One request that an application got."""

    path: str
    headers: Mapping[str, str]
    body: bytes


Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Listener:
    """An application that listens on loopback. `reply` is asked for each answer."""

    reply: Callable[[Heard], Reply]
    heard: list[Heard] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/backchannel-logout"


@contextmanager
def listening(reply: Callable[[Heard], Reply]) -> Iterator[Listener]:
    """A running application; it has ended when the block has."""
    listener = Listener(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard = Heard(self.path, headers, self.rfile.read(length))
            listener.heard.append(heard)
            status, headers, body = listener.reply(heard)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
