"""Acme's identity provider: SAML 2.0 Web Browser SSO, with people to choose from and faults to switch on.

python -m demo.identity_provider --base-port 8000 --folder var/demo
"""

import argparse
import base64
import secrets
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from demo.addresses import Addresses
from demo.faults import SIGNED_TEXTS, TEXTS, Behaviour, Fault, Signed
from demo.fetching import fetch
from demo.forms import checked, people, radio_buttons
from demo.keys import load_key_pair
from demo.look import Look, rows
from demo.people import ACME
from demo.saml_answer import CONTEXT, Identity, SignedOn, write_answer, write_refusal
from demo.saml_metadata import ServiceProvider, read_service_provider, write_identity_provider
from demo.saml_request import AuthnRequest, RequestRefused, read_authn_request
from demo.web import Answer, Page, Request, Site, Store, redirect, serve

ENTITY_ID = "https://idp.acme.example/saml"
"""A name, not an address: it stays when the ports change."""
DOMAIN = "acme.example"
SLUG = "acme-idp"
COOKIE = "acme-idp-session"
KEY_FILE = "acme-idp.pem"
STRAY_KEY_FILE = "stray.pem"
METADATA_FILE = "acme-idp.xml"
LOOK = Look("Acme Identity", "The identity provider of acme.example", "A", "amber")


def make_metadata(folder: Path, *, sso_url: str) -> bytes:
    """Our metadata; the key that it names is made in `folder` at the first time."""
    key = load_key_pair(folder / KEY_FILE, name="idp.acme.example")
    return write_identity_provider(entity_id=ENTITY_ID, sso_url=sso_url, certificate=key.certificate, scope=DOMAIN)


class IdentityProvider:
    """The pages, and what is kept in memory: who is signed on, which requests wait, how we misbehave."""

    def __init__(self, *, address: str, metadata_url: str, folder: Path) -> None:
        self.address = address
        self.metadata_url = metadata_url
        self.metadata = make_metadata(folder, sso_url=self.sso_url)
        self.identity = Identity(
            ENTITY_ID,
            key=load_key_pair(folder / KEY_FILE, name="idp.acme.example"),
            stray_key=load_key_pair(folder / STRAY_KEY_FILE, name="nobody knows this key"),
        )
        self.behaviour = Behaviour()
        self.sessions: Store[SignedOn] = Store()
        self.waiting: Store[AuthnRequest] = Store()

    @property
    def sso_url(self) -> str:
        return f"{self.address}/sso"

    def pages(self) -> dict[str, Page]:
        """Every page by method and path."""
        return {
            "GET /": self.home,
            "GET /metadata": lambda _request: Answer(self.metadata, content_type="application/samlmetadata+xml"),
            "GET /sso": self.sign_on,
            "POST /login": self.login,
            "POST /sign-out": self.sign_out,
            "GET /faults": self.faults,
            "POST /faults": self.set_faults,
            **LOOK.files(),
        }

    def home(self, request: Request) -> Answer:
        """Who is signed on here."""
        signed_on = self.sessions.find(request.cookies.get(COOKIE, ""))
        if signed_on:
            person = signed_on.employee
            state = (
                f"<p>You are signed on as <strong>{escape(person.name)}</strong>.</p>"
                + rows({"E-mail": person.email, "Department": person.department, "Employee": person.employee_id})
                + '<form class="buttons" method="post" action="/sign-out"><button>Sign out here</button></form>'
            )
        else:
            state = "<p>Nobody is signed on in this browser. Start at an application; it sends you here.</p>"
        content = (
            f"<h1>Acme Identity</h1>{self._fault_notice()}{state}"
            '<p><a href="/faults">Switch a fault on</a> · <a href="/metadata">Our metadata</a></p>'
        )
        return LOOK.page("Home", content)

    def sign_on(self, request: Request) -> Answer:
        """GET /sso: a service provider asks who this is."""
        now = datetime.now(UTC)
        try:
            asked = read_authn_request(
                request.query_string, service_provider=self._service_provider(), sso_url=self.sso_url, now=now
            )
        except RequestRefused as refused:
            return LOOK.refused("We do not answer this request", str(refused))
        if asked.contexts and CONTEXT not in asked.contexts:
            return self._send(
                asked, write_refusal(asked, ("Responder", "NoAuthnContext"), identity=self.identity, now=now)
            )
        signed_on = self.sessions.find(request.cookies.get(COOKIE, ""))
        if signed_on and not asked.force:
            return self._answer(asked, signed_on)
        if asked.passive:
            return self._send(asked, write_refusal(asked, ("Responder", "NoPassive"), identity=self.identity, now=now))
        return self._login_page(asked, again=signed_on)

    def login(self, request: Request) -> Answer:
        """POST /login: one of the people was chosen."""
        employee = ACME.get(request.form.get("person", ""))
        asked = self.waiting.take(request.form.get("request", ""))
        if employee is None or asked is None:
            return LOOK.refused("This sign-on is no longer under way", "Please start again at the application.")
        self.sessions.take(request.cookies.get(COOKIE, ""))
        signed_on = SignedOn(employee, datetime.now(UTC), "_" + secrets.token_hex(16))
        return self._answer(asked, signed_on).with_cookie(COOKIE, self.sessions.put(signed_on))

    def sign_out(self, request: Request) -> Answer:
        self.sessions.take(request.cookies.get(COOKIE, ""))
        return redirect("/").with_cookie(COOKIE, "")

    def faults(self, _request: Request) -> Answer:
        """GET /faults: the switches."""
        now = self.behaviour
        signed = {one.value: (text, "") for one, text in SIGNED_TEXTS.items()}
        content = (
            f"<h1>How this identity provider answers</h1>{self._fault_notice()}"
            '<form method="post" action="/faults">'
            f"<fieldset><legend>What is wrong</legend>{radio_buttons('fault', TEXTS, chosen=now.fault)}</fieldset>"
            f"<fieldset><legend>What is signed</legend>{radio_buttons('signed', signed, chosen=now.signed)}"
            f'<label><input type="checkbox" name="encrypted" value="yes"{checked(is_on=now.encrypted)}> '
            "Encrypt the assertion<small>An honest variant: AES-256-GCM under the broker's key.</small></label>"
            "</fieldset>"
            '<button class="main">Answer like this from now on</button></form>'
            '<p class="hint">Then sign on freshly at an application. The broker shows a code and a trace id;'
            " its console shows, under that id, what was expected and what arrived.</p>"
        )
        return LOOK.page("Faults", content)

    def set_faults(self, request: Request) -> Answer:
        try:
            self.behaviour = Behaviour(
                fault=Fault(request.form.get("fault", "")),
                signed=Signed(request.form.get("signed", "")),
                encrypted=request.form.get("encrypted") == "yes",
            )
        except ValueError:
            return LOOK.refused("There is no such switch", "Please choose among those on the page.")
        return redirect("/faults")

    def on_fault(self, error: Exception) -> Answer:
        """Something of ours failed."""
        return LOOK.refused("Something failed here", f"{type(error).__name__}: {error}", status=500)

    def _login_page(self, asked: AuthnRequest, *, again: SignedOn | None) -> Answer:
        fresh = (
            f"<p>A fresh sign-on is wanted, although {escape(again.employee.given_name)} is signed on.</p>"
            if again
            else ""
        )
        content = (
            f"<h1>Who are you?</h1>{self._fault_notice()}{fresh}"
            f"<p>{escape(asked.service_provider.entity_id)} asks. This is a demonstration: choose a person, there is"
            f" no password.</p>{people(ACME.values(), request=self.waiting.put(asked))}"
        )
        return LOOK.page("Sign on", content)

    def _answer(self, asked: AuthnRequest, signed_on: SignedOn) -> Answer:
        response = write_answer(
            asked, signed_on, identity=self.identity, behaviour=self.behaviour, now=datetime.now(UTC)
        )
        return self._send(asked, response)

    def _send(self, asked: AuthnRequest, response: bytes) -> Answer:
        fields = {"SAMLResponse": base64.b64encode(response).decode()}
        if asked.relay_state:
            fields["RelayState"] = asked.relay_state
        return LOOK.onward(asked.acs_url, fields, title="Back to where you came from")

    def _service_provider(self) -> ServiceProvider:
        """The broker as its metadata describes it now."""
        try:
            return read_service_provider(fetch(self.metadata_url))
        except (OSError, ValueError) as error:
            raise RequestRefused(f"The service provider's metadata at {self.metadata_url}: {error}") from error

    def _fault_notice(self) -> str:
        fault = self.behaviour.fault
        return "" if fault is Fault.NONE else LOOK.fault_notice(*TEXTS[fault])


def main() -> None:
    parser = argparse.ArgumentParser(description="Acme's identity provider")
    parser.add_argument("--base-port", type=int, required=True, help="Countersign's port; ours follows from it")
    parser.add_argument("--folder", type=Path, required=True, help="where the key is kept")
    options = parser.parse_args()
    addresses = Addresses(options.base_port)
    provider = IdentityProvider(
        address=addresses.identity_provider,
        metadata_url=f"{addresses.broker}/saml/sp/{SLUG}/metadata",
        folder=options.folder,
    )
    site = Site(provider.address, provider.pages(), on_fault=provider.on_fault)
    serve(site, port=addresses.port_of("identity_provider"))


if __name__ == "__main__":
    main()
