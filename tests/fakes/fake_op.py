"""A small OpenID provider: a real HTTP server on loopback with real signatures, and every flaw that a test wants.

The tests play the browser: `authorize` is the provider's sign-on page. What a single sign-on shall get instead of the
honest thing is said there; what an address shall answer instead, in `raw`.
"""

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.fakes.tokens import Signer, b64, es256, forge, rs256, rsa_key

CLIENT_ID = "countersign:at/globex+1"
CLIENT_SECRET = "a secret: with+odd %letters~"
ALICE = {
    "sub": "alice-at-globex",
    "email": "alice@globex.example",
    "name": "Alice Ålesund",
    "given_name": "Alice",
    "family_name": "Ålesund",
    "groups": ["engineering", "on call"],
}
Answer = tuple[int, str, bytes]
"""(status, content type, body)"""


@dataclass(slots=True)
class SignOn:
    """One code, and what will be given for it."""

    request: dict[str, str]
    claims: dict[str, Any]
    header: dict[str, Any]
    sign: Signer | None
    userinfo: dict[str, Any]
    tokens: dict[str, Any]
    access_token: str


class FakeOpenIDProvider:
    """See `running`. `keys`: {kid: private key} as published; the first one signs."""

    def __init__(self, *, key_number: int, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        """`address`: the host and port to listen at; the default is a free port of `localhost`."""
        self.keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {"op-1": rsa_key(number=key_number)}
        self.document: dict[str, Any] = {}
        """Changes to the discovery document; ... removes a member."""
        self.raw: dict[str, bytes | Callable[[socket.socket], None]] = {}
        """{path: the bytes to answer, or what to do with the connection}"""
        self.asked: list[str] = []
        """Paths, in order."""
        self.token_requests: list[tuple[dict[str, str], dict[str, str]]] = []
        """(headers, form) of each token request."""
        self.accepts: Callable[[dict[str, str], dict[str, str]], bool] = by_basic_or_post
        """Whether a token request is authenticated."""
        self._codes: dict[str, SignOn] = {}
        self._tokens: dict[str, SignOn] = {}
        self._server = _Server(address, _handler(self))
        host = address[0] if address[1] else "localhost"
        self.issuer = f"http://{host}:{self._server.server_port}"

    # The browser's side ------------------------------------------------------------------------------------------
    def authorize(
        self,
        location: str,
        *,
        person: dict[str, Any] = ALICE,
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        sign: Signer | None = None,
        userinfo: dict[str, Any] | None = None,
        tokens: dict[str, Any] | None = None,
        answer: dict[str, Any] | None = None,
    ) -> str:
        """The person signs on; returns where the browser is sent. Each change of None or ... removes a member.

        `claims` and `header` change the ID token, `userinfo` that answer, `tokens` the token answer, `answer` the
        parameters with which the browser comes back.
        """
        request = read_request(location)
        now = int(time.time())
        access_token = secrets.token_urlsafe(24)
        honest = {
            "iss": self.issuer,
            "aud": request["client_id"],
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": request.get("nonce"),
            "at_hash": half_hash(access_token),
            **person,
        }
        code = secrets.token_urlsafe(16)
        kid = next(iter(self.keys), "none")
        self._codes[code] = SignOn(
            request=request,
            claims=_changed(honest, claims),
            header=_changed({"alg": self._algorithm(kid), "kid": kid, "typ": "JWT"}, header),
            sign=sign,
            userinfo=_changed(person, userinfo),
            tokens=tokens or {},
            access_token=access_token,
        )
        back = {"code": code, "state": request["state"], "iss": self.issuer}
        return f"{request['redirect_uri']}?{urlencode(_changed(back, answer), doseq=True)}"

    def id_token_of(self, url: str) -> str:
        """The ID token that the code in `url` would bring: what a thief of it holds."""
        return self._sign(self._codes[parse_qs(urlsplit(url).query)["code"][0]])

    # The server's side -------------------------------------------------------------------------------------------
    def discovery(self) -> dict[str, Any]:
        """The document as it is served."""
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": ["openid", "profile", "email"],
        }
        return _changed(honest, self.document)

    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return {"keys": [public_jwk(key, kid) for kid, key in self.keys.items()]}

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return self.asked.count(path)

    def answer_to(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path == "/.well-known/openid-configuration":
            return _json(200, self.discovery())
        if path == "/jwks":
            return _json(200, self.jwks())
        if path == "/token" and method == "POST":
            return self._redeem(headers, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        if path == "/userinfo":
            sign_on = self._tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
            return _json(200, sign_on.userinfo) if sign_on else _json(401, {"error": "invalid_token"})
        return _json(404, {"error": "not_found"})

    def _redeem(self, headers: dict[str, str], form: dict[str, str]) -> Answer:
        self.token_requests.append((headers, form))
        if not self.accepts(headers, form):
            return _json(401, {"error": "invalid_client", "error_description": "who are you?"})
        sign_on = self._codes.pop(form.get("code", ""), None)
        if sign_on is None or form.get("redirect_uri") != sign_on.request["redirect_uri"]:
            return _json(400, {"error": "invalid_grant"})
        if s256(form.get("code_verifier", "")) != sign_on.request.get("code_challenge"):
            return _json(400, {"error": "invalid_grant", "error_description": "PKCE"})
        self._tokens[sign_on.access_token] = sign_on
        honest = {"access_token": sign_on.access_token, "token_type": "Bearer", "expires_in": 300}
        return _json(200, _changed(honest | {"id_token": self._sign(sign_on)}, sign_on.tokens))

    def _sign(self, sign_on: SignOn) -> str:
        key = next(iter(self.keys.values()))
        honest = rs256(key) if isinstance(key, rsa.RSAPrivateKey) else es256(key)
        return forge(sign_on.header, sign_on.claims, sign_on.sign or honest)

    def _algorithm(self, kid: str) -> str:
        return "ES256" if isinstance(self.keys.get(kid), ec.EllipticCurvePrivateKey) else "RS256"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def running(*, key_number: int = 7) -> Iterator[FakeOpenIDProvider]:
    """A provider that answers for as long as the block lasts; it signs with the suite's RSA key `key_number`."""
    provider = FakeOpenIDProvider(key_number=key_number)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def read_request(location: str) -> dict[str, str]:
    """The parameters of an authorization request; one that stands twice is a mistake."""
    found = parse_qs(urlsplit(location).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: values[0] for name, values in found.items()}


def by_basic_or_post(headers: dict[str, str], form: dict[str, str]) -> bool:
    """The suite's client, by one method and not by two."""
    by_post = (form.get("client_id"), form.get("client_secret"))
    if "client_secret" in form:
        return by_post == (CLIENT_ID, CLIENT_SECRET) and "authorization" not in headers
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    return kind == "Basic" and (unquote_plus(client_id), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)


def public_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str, **changes: Any) -> dict[str, Any]:
    """A public key as RFC 7517 writes it."""
    numbers = key.public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        members = {"kty": "RSA", "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}
    else:
        members = {
            "kty": "EC",
            "alg": "ES256",
            "crv": "P-256",
            "x": _number(numbers.x, 32),
            "y": _number(numbers.y, 32),
        }
    return {"kid": kid, "use": "sig", **members, **changes}


def s256(verifier: str) -> str:
    return b64(hashlib.sha256(verifier.encode()).digest())


def half_hash(token: str) -> str:
    """at_hash of a token (OpenID Connect Core 3.1.3.6)."""
    return b64(hashlib.sha256(token.encode()).digest()[:16])


def _number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _changed(honest: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    return {
        name: value for name, value in {**honest, **(changes or {})}.items() if value is not ... and value is not None
    }


def _json(status: int, body: dict[str, Any]) -> Answer:
    return status, "application/json", json.dumps(body).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is what many tests are about."""


def _handler(provider: FakeOpenIDProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            provider.asked.append(path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            raw = provider.raw.get(path)
            if callable(raw):
                raw(self.connection)
                return
            if raw is not None:
                self.wfile.write(raw)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, content_type, answer = provider.answer_to(self.command, path, headers, body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            """Silent."""

    return Handler


def http(body: bytes | str, *, status: str = "200 OK", content_type: str = "application/json", **headers: str) -> bytes:
    """Bytes of an HTTP answer, for `raw`."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
