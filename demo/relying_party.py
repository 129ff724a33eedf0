"""The applications' side of OpenID Connect: discovery, authorization code with PKCE, tokens, userinfo, logout."""

import base64
import hashlib
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

from demo.fetching import ANSWER_BYTES, fetch_object
from demo.id_token import Expectation, IDTokenRefused, verify_id_token
from demo.logout_token import Leaving, LogoutExpectation, verify_logout_token
from demo.sign_on_failed import SignOnFailed

SCOPES = "openid profile email groups offline_access"
TRACE_HEADER = "Countersign-Trace"


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-on that is under way in one browser."""

    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the issuer gave, after the ID token passed every check."""

    id_token: str
    access_token: str
    refresh_token: str
    scope: str
    expires_in: int
    id_token_claims: Mapping[str, Any]
    userinfo: Mapping[str, Any]
    obtained_at: datetime


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """One client of the issuer."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    signed_out_uri: str

    def start(self, *, prompt: str = "", context: str = "") -> tuple[Started, str]:
        """A new sign-on, and the address to send the browser to. `context` is how strong it should be (acr)."""
        started = Started(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(started.code_verifier.encode()).digest()).rstrip(b"=")
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPES,
            "state": started.state,
            "nonce": started.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        if prompt:
            parameters["prompt"] = prompt
        if context:
            parameters["acr_values"] = context
        return started, f"{self._endpoint('authorization_endpoint')}?{urlencode(parameters)}"

    def finish(self, started: Started, answer: Mapping[str, str]) -> Tokens:
        """Redeem the code in the browser's `answer` and verify what comes back. Raises SignOnFailed."""
        if not secrets.compare_digest(answer.get("state", "").encode(), started.state.encode()):
            raise SignOnFailed("The answer's state is not the one that this browser was given.")
        if answer.get("iss") != self.issuer:  # RFC 9207
            raise SignOnFailed(f"The answer comes from {answer.get('iss', 'nobody')!r}, not from {self.issuer}.")
        if "error" in answer:
            raise SignOnFailed(
                answer.get("error_description") or "The broker refused the sign-on.",
                code=answer["error"],
                trace_id=answer.get("trace_id", ""),
            )
        form = {
            "grant_type": "authorization_code",
            "code": answer.get("code", ""),
            "redirect_uri": self.redirect_uri,
            "code_verifier": started.code_verifier,
        }
        return self._obtain(form, nonce=started.nonce, refresh_token="", id_token="")

    def refresh(self, tokens: Tokens) -> Tokens:
        """New tokens for the refresh token; the subject must stay. Raises SignOnFailed."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        fresh = self._obtain(form, nonce=None, refresh_token=tokens.refresh_token, id_token=tokens.id_token)
        if fresh.id_token_claims["sub"] != tokens.id_token_claims["sub"]:
            raise SignOnFailed("The refreshed ID token is about another person.")
        return fresh

    def logout_url(self, tokens: Tokens) -> str:
        """Where to send the browser to sign out at the issuer (RP-Initiated Logout 1.0)."""
        parameters = {"id_token_hint": tokens.id_token, "post_logout_redirect_uri": self.signed_out_uri}
        return f"{self._endpoint('end_session_endpoint')}?{urlencode(parameters)}"

    def read_logout(self, token: str) -> Leaving:
        """Whose sessions end, by the issuer's word (Back-Channel Logout 1.0). Raises LogoutRefused, SignOnFailed."""
        keys = _fetch_json(self._endpoint("jwks_uri")).get("keys", [])
        expectation = LogoutExpectation(self.issuer, self.client_id, keys, datetime.now(UTC))
        return verify_logout_token(token, expectation)

    def _obtain(self, form: dict[str, str], *, nonce: str | None, refresh_token: str, id_token: str) -> Tokens:
        # RFC 6749 2.3.1: both halves are form-encoded before they are joined.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        basic = base64.b64encode(pair.encode()).decode()
        answer = _fetch_json(
            self._endpoint("token_endpoint"), headers={"Authorization": f"Basic {basic}"}, body=urlencode(form)
        )
        now = datetime.now(UTC)
        access_token = str(answer.get("access_token", ""))
        expectation = Expectation(
            issuer=self.issuer,
            client_id=self.client_id,
            nonce=nonce,
            access_token=access_token,
            keys=_fetch_json(self._endpoint("jwks_uri")).get("keys", []),
            now=now,
        )
        given = str(answer.get("id_token") or id_token)
        try:
            claims = verify_id_token(given, expectation)
        except IDTokenRefused as refused:
            raise SignOnFailed(f"The ID token is not accepted. {refused}", code="id_token") from refused
        userinfo = _fetch_json(self._endpoint("userinfo_endpoint"), headers={"Authorization": f"Bearer {access_token}"})
        if userinfo.get("sub") != claims["sub"]:
            raise SignOnFailed("Userinfo is about another person than the ID token.")
        return Tokens(
            id_token=given,
            access_token=access_token,
            refresh_token=str(answer.get("refresh_token") or refresh_token),
            scope=str(answer.get("scope", SCOPES)),
            expires_in=int(answer.get("expires_in", 0)),
            id_token_claims=claims,
            userinfo=userinfo,
            obtained_at=now,
        )

    def _endpoint(self, name: str) -> str:
        """An address of the issuer's discovery document (OpenID Connect Discovery 4)."""
        found = _fetch_json(f"{self.issuer}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise SignOnFailed(f"The discovery document is that of {found.get('issuer')!r}.")
        if name not in found:
            raise SignOnFailed(f"The issuer offers no {name}.")
        return str(found[name])


def _fetch_json(url: str, *, headers: Mapping[str, str] | None = None, body: str | None = None) -> dict[str, Any]:
    """The JSON object at `url`. Raises SignOnFailed with the issuer's own words where it has any."""
    request = urllib.request.Request(url, data=body.encode() if body is not None else None, headers=dict(headers or {}))
    try:
        return fetch_object(request)
    except urllib.error.HTTPError as error:
        raise _refusal(error) from error
    except (OSError, ValueError) as error:
        raise SignOnFailed(f"Countersign at {url} does not answer: {error}") from error


def _refusal(error: urllib.error.HTTPError) -> SignOnFailed:
    try:
        said = json.loads(error.read(ANSWER_BYTES))
        said = said if isinstance(said, dict) else {}
    except ValueError:
        said = {}
    code = " / ".join(str(said[name]) for name in ("error", "code") if said.get(name))
    return SignOnFailed(
        str(said.get("error_description") or f"{error.url} answered with status {error.code}."),
        code=code,
        trace_id=str(said.get("trace_id") or error.headers.get(TRACE_HEADER) or ""),
    )
