"""Globex's identity provider: OpenID Connect, with people to choose from, a second factor and faults to switch on.

python -m demo.openid_provider --base-port 8000 --folder var/demo
"""

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from demo.addresses import Addresses
from demo.authorization import (
    AuthorizationError,
    AuthorizationRefused,
    AuthorizationRequest,
    Client,
    answer_url,
    read_authorization_request,
)
from demo.fetching import fetch_object
from demo.forms import people, radio_buttons
from demo.keys import load_key_pair
from demo.look import Look, rows
from demo.people import GLOBEX, Employee
from demo.sign_ons import PASSWORD, SECOND_FACTOR, SignedOn
from demo.token_answer import Issuer, write_id_token, write_userinfo
from demo.token_endpoint import Code, TokenRefused, TokenRequest, redeem
from demo.token_faults import TEXTS, TokenFault
from demo.web import Answer, Page, Request, Site, Store, redirect, serve

SLUG = "globex-login"
CLIENT_ID = "countersign"
COOKIE = "globex-login-session"
KEY_FILE = "globex-login.pem"
STRAY_KEY_FILE = "globex-stray.pem"
ACCESS_TOKEN_LIFETIME = timedelta(minutes=5)
LOOK = Look("Globex Login", "The identity provider of globex.example", "G", "teal")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for a person; `signed_on` once only the second factor is missing."""

    asked: AuthorizationRequest
    signed_on: SignedOn | None = None


class OpenIDProvider:
    """The pages, and what is kept in memory: who is signed on, which requests wait, codes and tokens, a fault."""

    def __init__(self, *, address: str, client: Client, folder: Path) -> None:
        self.address = address
        self.client = client
        self.issuer = Issuer(
            address,
            key=load_key_pair(folder / KEY_FILE, name="login.globex.example").private,
            stray_key=load_key_pair(folder / STRAY_KEY_FILE, name="nobody knows this key").private,
        )
        self.fault = TokenFault.NONE
        self.sessions: Store[SignedOn] = Store()
        self.waiting: Store[Waiting] = Store()
        self.codes: Store[Code] = Store()
        self.used_ids: Store[str] = Store()
        self.access_tokens: Store[tuple[Employee, datetime]] = Store()

    @property
    def token_url(self) -> str:
        return f"{self.address}/token"

    def pages(self) -> dict[str, Page]:
        """Every page by method and path."""
        return {
            "GET /": self.home,
            "GET /.well-known/openid-configuration": lambda _request: answer_json(self.configuration()),
            "GET /jwks": lambda _request: answer_json(self.issuer.jwks()),
            "GET /authorize": self.authorize,
            "POST /login": self.login,
            "POST /second-factor": self.second_factor,
            "POST /token": self.token,
            "GET /userinfo": self.userinfo,
            "POST /sign-out": self.sign_out,
            "GET /faults": self.faults,
            "POST /faults": self.set_fault,
            **LOOK.files(),
        }

    def configuration(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery 3)."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": self.token_url,
            "userinfo_endpoint": f"{self.address}/userinfo",
            "jwks_uri": f"{self.address}/jwks",
            "scopes_supported": ["openid", "profile", "email", "groups"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
            "acr_values_supported": [PASSWORD, SECOND_FACTOR],
            "prompt_values_supported": ["none", "login", "select_account"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "claims_supported": [
                *("sub", "email", "email_verified", "name", "given_name", "family_name", "department", "employee_id"),
                *("groups", "acr", "amr", "auth_time"),
            ],
        }

    def home(self, request: Request) -> Answer:
        """Who is signed on here."""
        signed_on = self.sessions.find(request.cookies.get(COOKIE, ""))
        if signed_on:
            person = signed_on.employee
            state = (
                f"<p>You are signed on as <strong>{escape(person.name)}</strong>.</p>"
                + rows({"E-mail": person.email, "Department": person.department, "How": ", ".join(signed_on.methods)})
                + '<form class="buttons" method="post" action="/sign-out"><button>Sign out here</button></form>'
            )
        else:
            state = "<p>Nobody is signed on in this browser. Start at an application; it sends you here.</p>"
        content = (
            f"<h1>Globex Login</h1>{self._fault_notice()}{state}"
            '<p><a href="/faults">Switch a fault on</a> ·'
            ' <a href="/.well-known/openid-configuration">Our configuration</a></p>'
        )
        return LOOK.page("Home", content)

    def authorize(self, request: Request) -> Answer:
        """GET /authorize: the broker asks who this is."""
        try:
            asked = read_authorization_request(request.query, client=self.client)
        except AuthorizationRefused as refused:
            return LOOK.refused("We do not answer this request", str(refused))
        except AuthorizationError as error:
            return self._send_error(error, state=request.query.get("state", ""))
        signed_on = self.sessions.find(request.cookies.get(COOKIE, ""))
        is_known = signed_on is not None and signed_on.is_fresh_enough(asked, now=datetime.now(UTC))
        if signed_on is not None and is_known and signed_on.is_strong_enough(asked):
            return self._answer(asked, signed_on)
        if "none" in asked.prompts:
            missing = "Somebody would have to be asked."
            return self._send_error(AuthorizationError("login_required", missing), state=asked.state)
        if signed_on is not None and is_known:
            return self._second_factor_page(asked, signed_on)
        return self._login_page(asked, again=signed_on)

    def login(self, request: Request) -> Answer:
        """POST /login: one of the people was chosen."""
        employee = GLOBEX.get(request.form.get("person", ""))
        waiting = self.waiting.take(request.form.get("request", ""))
        if employee is None or waiting is None:
            return LOOK.refused("This sign-on is no longer under way", "Please start again at the application.")
        signed_on = SignedOn(employee, datetime.now(UTC), second_factor=False)
        if not signed_on.is_strong_enough(waiting.asked):
            return self._second_factor_page(waiting.asked, signed_on)
        return self._sign_on(request, waiting.asked, signed_on)

    def second_factor(self, request: Request) -> Answer:
        """POST /second-factor: confirmed, or gone on without."""
        waiting = self.waiting.take(request.form.get("request", ""))
        if waiting is None or waiting.signed_on is None:
            return LOOK.refused("This sign-on is no longer under way", "Please start again at the application.")
        signed_on = waiting.signed_on
        if request.form.get("confirmed") == "yes":
            signed_on = signed_on.stepped_up(datetime.now(UTC))
        return self._sign_on(request, waiting.asked, signed_on)

    def token(self, request: Request) -> Answer:
        """POST /token: the broker redeems its code."""
        now = datetime.now(UTC)
        try:
            keys = fetch_object(self.client.jwks_url).get("keys", [])
            audiences = frozenset({self.address, self.token_url})
            asked = TokenRequest(request.form, self.client, keys, audiences, now)
            code = redeem(asked, codes=self.codes, used_ids=self.used_ids)
        except TokenRefused as refused:
            status = 401 if refused.error == "invalid_client" else 400
            return answer_json({"error": refused.error, "error_description": refused.description}, status=status)
        except (OSError, ValueError) as error:
            told = f"The client's keys at {self.client.jwks_url}: {error}"
            return answer_json({"error": "invalid_client", "error_description": told}, status=401)
        access_token = self.access_tokens.put((code.signed_on.employee, now + ACCESS_TOKEN_LIFETIME))
        id_token = write_id_token(
            code.asked,
            code.signed_on,
            issuer=self.issuer,
            audience=self.client.client_id,
            access_token=access_token,
            fault=self.fault,
            now=now,
        )
        return answer_json(
            {
                "token_type": "Bearer",
                "access_token": access_token,
                "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
                "scope": "openid profile email groups",
                "id_token": id_token,
            }
        )

    def userinfo(self, request: Request) -> Answer:
        """GET /userinfo."""
        scheme, _, token = request.authorization.partition(" ")
        found = self.access_tokens.find(token) if scheme.lower() == "bearer" else None
        if found is None or found[1] <= datetime.now(UTC):
            return answer_json({"error": "invalid_token"}, status=401)
        return answer_json(write_userinfo(found[0], fault=self.fault))

    def sign_out(self, request: Request) -> Answer:
        self.sessions.take(request.cookies.get(COOKIE, ""))
        return redirect("/").with_cookie(COOKIE, "")

    def faults(self, _request: Request) -> Answer:
        """GET /faults: the switches."""
        content = (
            f"<h1>How this identity provider answers</h1>{self._fault_notice()}"
            '<form method="post" action="/faults"><fieldset><legend>What is wrong</legend>'
            f"{radio_buttons('fault', TEXTS, chosen=self.fault)}</fieldset>"
            '<button class="main">Answer like this from now on</button></form>'
            '<p class="hint">Then sign on freshly at an application. The broker shows a code and a trace id;'
            " its console shows, under that id, what was expected and what arrived.</p>"
        )
        return LOOK.page("Faults", content)

    def set_fault(self, request: Request) -> Answer:
        try:
            self.fault = TokenFault(request.form.get("fault", ""))
        except ValueError:
            return LOOK.refused("There is no such switch", "Please choose among those on the page.")
        return redirect("/faults")

    def on_fault(self, error: Exception) -> Answer:
        """Something of ours failed."""
        return LOOK.refused("Something failed here", f"{type(error).__name__}: {error}", status=500)

    def _login_page(self, asked: AuthorizationRequest, *, again: SignedOn | None) -> Answer:
        fresh = (
            f"<p>A fresh sign-on is wanted, although {escape(again.employee.given_name)} is signed on.</p>"
            if again
            else ""
        )
        content = (
            f"<h1>Who are you?</h1>{self._fault_notice()}{fresh}"
            "<p>Countersign asks. This is a demonstration: choose a person, there is no"
            f" password.</p>{people(GLOBEX.values(), request=self.waiting.put(Waiting(asked)))}"
        )
        return LOOK.page("Sign on", content)

    def _second_factor_page(self, asked: AuthorizationRequest, signed_on: SignedOn) -> Answer:
        handle = escape(self.waiting.put(Waiting(asked, signed_on)))
        content = (
            f"<h1>One more step, {escape(signed_on.employee.given_name)}</h1>{self._fault_notice()}"
            "<p>Countersign asks for the second factor. In the demonstration your phone is a"
            " button.</p>"
            f'<form class="buttons" method="post" action="/second-factor"><input type="hidden" name="request"'
            f' value="{handle}"><button class="main" name="confirmed" value="yes">Confirm on my phone</button>'
            '<button name="confirmed" value="no">Go on without it</button></form>'
            '<p class="hint">Without it we say so, and the application decides whether that is enough.</p>'
        )
        return LOOK.page("Second factor", content)

    def _sign_on(self, request: Request, asked: AuthorizationRequest, signed_on: SignedOn) -> Answer:
        self.sessions.take(request.cookies.get(COOKIE, ""))
        return self._answer(asked, signed_on).with_cookie(COOKIE, self.sessions.put(signed_on))

    def _answer(self, asked: AuthorizationRequest, signed_on: SignedOn) -> Answer:
        if self.fault is TokenFault.DENIED:
            return self._send_error(AuthorizationError("access_denied", "Not today."), state=asked.state)
        code = self.codes.put(Code(asked, signed_on, datetime.now(UTC)))
        issuer = "https://login.another.example" if self.fault is TokenFault.MIX_UP else self.address
        return redirect(answer_url(self.client, {"code": code}, state=asked.state, issuer=issuer))

    def _send_error(self, error: AuthorizationError, *, state: str) -> Answer:
        parameters = {"error": error.error, "error_description": error.description}
        return redirect(answer_url(self.client, parameters, state=state, issuer=self.address))

    def _fault_notice(self) -> str:
        return "" if self.fault is TokenFault.NONE else LOOK.fault_notice(*TEXTS[self.fault])


def answer_json(told: dict[str, Any], *, status: int = 200) -> Answer:
    """`told` as JSON."""
    return Answer(json.dumps(told).encode(), status=status, content_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(description="Globex's identity provider")
    parser.add_argument("--base-port", type=int, required=True, help="Countersign's port; ours follows from it")
    parser.add_argument("--folder", type=Path, required=True, help="where the keys are kept")
    options = parser.parse_args()
    addresses = Addresses(options.base_port)
    client = Client(
        CLIENT_ID,
        redirect_uri=f"{addresses.broker}/oidc/{SLUG}/callback",
        jwks_url=f"{addresses.broker}/oauth/jwks",
    )
    provider = OpenIDProvider(address=addresses.globex, client=client, folder=options.folder)
    serve(Site(provider.address, provider.pages(), on_fault=provider.on_fault), port=addresses.port_of("globex"))


if __name__ == "__main__":
    main()
