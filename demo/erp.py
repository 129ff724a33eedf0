"""Acme's ERP: a SAML service provider that trusts only Countersign.

python -m demo.erp --base-port 8000 --folder var/demo
"""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from demo.addresses import Addresses
from demo.keys import load_key_pair
from demo.look import Look, rows
from demo.saml_logout import REFUSED, SUCCESS, LogoutRefused, write_fault
from demo.saml_metadata import write_service_provider
from demo.saml_party import SAMLParty, Started
from demo.saml_response import CHECKED, Told
from demo.sign_on_failed import SignOnFailed
from demo.web import Answer, Page, Request, Site, Store, redirect, serve

ENTITY_ID = "https://erp.acme.example/saml"
"""A name, not an address: it stays when the ports change."""
SIGNING_KEY_FILE = "erp-signing.pem"
ENCRYPTION_KEY_FILE = "erp-encryption.pem"
METADATA_FILE = "erp-sp.xml"
ACS_PATH = "/acs"
SLO_PATH = "/slo"
ARRIVED_PATH = "/arrived"
SECOND_FACTOR = "https://refeds.org/profile/mfa"
SESSION_COOKIE = "acme-erp-session"
START_COOKIE = "acme-erp-start"
LOOK = Look("Acme ERP", "Orders, stock and invoices", "E", "moss")


def make_metadata(folder: Path, *, address: str) -> bytes:
    """Our metadata; the keys that it names are made in `folder` at the first time."""
    return write_service_provider(
        entity_id=ENTITY_ID,
        acs_url=f"{address}{ACS_PATH}",
        slo_url=f"{address}{SLO_PATH}",
        signing_certificate=load_key_pair(folder / SIGNING_KEY_FILE, name="erp.acme.example").certificate,
        encryption_certificate=load_key_pair(folder / ENCRYPTION_KEY_FILE, name="erp.acme.example").certificate,
    )


def make_party(folder: Path, *, address: str, metadata_url: str) -> SAMLParty:
    """Our side of SAML, with the keys in `folder`."""
    return SAMLParty(
        entity_id=ENTITY_ID,
        acs_url=f"{address}{ACS_PATH}",
        slo_url=f"{address}{SLO_PATH}",
        metadata_url=metadata_url,
        signing_key=load_key_pair(folder / SIGNING_KEY_FILE, name="erp.acme.example"),
        encryption_key=load_key_pair(folder / ENCRYPTION_KEY_FILE, name="erp.acme.example").private,
    )


class ERP:
    """The pages, and the browsers' sessions in memory."""

    def __init__(self, party: SAMLParty, *, metadata: bytes, broker: str) -> None:
        self.party = party
        self.metadata = metadata
        self.broker = broker
        self.sessions: Store[Told] = Store()
        self.started: Store[Started] = Store()
        self.answers: Store[Mapping[str, str]] = Store()
        self.ended: Store[datetime] = Store()
        """When the broker ended a browser's session, by the browser's handle."""

    def pages(self) -> dict[str, Page]:
        """Every page by method and path."""
        return {
            "GET /": self.home,
            "GET /metadata": lambda _request: Answer(self.metadata, content_type="application/samlmetadata+xml"),
            "GET /sign-on": self.sign_on,
            f"POST {ACS_PATH}": self.acs,
            f"GET {ARRIVED_PATH}": self.arrived,
            "POST /sign-out-here": self.sign_out_here,
            f"POST {SLO_PATH}": self.slo,
            **LOOK.files(),
        }

    def home(self, request: Request) -> Answer:
        """What we know of who is here."""
        handle = request.cookies.get(SESSION_COOKIE, "")
        told = self.sessions.find(handle)
        if told is not None:
            return LOOK.page("Signed on", self._signed_on(told))
        ended = self.ended.find(handle)
        notice = f'<p class="notice">Countersign ended your session at {ended:%H:%M:%S} UTC.</p>' if ended else ""
        content = (
            f"{notice}<h1>Welcome to Acme ERP</h1><p>Sign on to see your orders.</p>"
            '<div class="buttons"><a class="button main" href="/sign-on">Sign on</a>'
            '<a class="button" href="/sign-on?how=factor">Sign on with the second factor</a>'
            '<a class="button" href="/sign-on?how=silent">Sign on silently</a></div>'
            '<p class="hint">Silently asks with IsPassive, which works only while you are signed on at the broker.</p>'
        )
        return LOOK.page("Welcome", content)

    def sign_on(self, request: Request) -> Answer:
        """GET /sign-on: off to the broker; `how` is fresh, silent or factor."""
        how = request.query.get("how", "")
        context = SECOND_FACTOR if how == "factor" else ""
        started, url = self.party.start(force=how == "fresh", passive=how == "silent", context=context)
        return redirect(url).with_cookie(START_COOKIE, self.started.put(started))

    def acs(self, request: Request) -> Answer:
        """POST /acs: the broker's answer. Our cookies are Lax and stay behind when another site posts: on by GET."""
        return redirect(f"{ARRIVED_PATH}?answer={self.answers.put(request.form)}")

    def arrived(self, request: Request) -> Answer:
        """GET /arrived: the same browser, with its cookies."""
        form = self.answers.take(request.query.get("answer", ""))
        started = self.started.take(request.cookies.get(START_COOKIE, "")) if form is not None else None
        if form is None or started is None:
            raise SignOnFailed("No sign-on is under way in this browser. Please start again.")
        told = self.party.finish(started, form)
        self.sessions.take(request.cookies.get(SESSION_COOKIE, ""))
        onward = redirect("/").with_cookie(START_COOKIE, "")
        return onward.with_cookie(SESSION_COOKIE, self.sessions.put(told))

    def sign_out_here(self, request: Request) -> Answer:
        """POST /sign-out-here: the broker's session stays."""
        self.sessions.take(request.cookies.get(SESSION_COOKIE, ""))
        return redirect("/").with_cookie(SESSION_COOKIE, "")

    def slo(self, request: Request) -> Answer:
        """POST /slo: the broker says over SOAP, without any browser, that a session ended."""
        try:
            leaving = self.party.read_logout(request.body)
        except LogoutRefused as refused:
            if not refused.request_id:
                return _envelope(write_fault(str(refused)), status=500)
            return _envelope(self.party.answer_logout(refused.request_id, status=REFUSED))
        except SignOnFailed as failed:
            return _envelope(write_fault(failed.text), status=500)
        now = datetime.now(UTC)
        taken = self.sessions.take_where(
            lambda told: (told.name_id["NameID"], told.session_index) == (leaving.name_id, leaving.session_index)
        )
        for handle in taken:
            self.ended.add(handle, now)
        # Who signed out here before is signed out: it is no news.
        return _envelope(self.party.answer_logout(leaving.request_id, status=SUCCESS))

    def on_fault(self, error: Exception) -> Answer:
        """Say what failed, with the status where the broker gave one."""
        again = '<div class="buttons"><a class="button main" href="/">Back to the start</a></div>'
        if not isinstance(error, SignOnFailed):
            return LOOK.refused("Something failed here", type(error).__name__, more=again, status=500)
        code = f"<p>Code: <code>{escape(error.code)}</code></p>" if error.code else ""
        return LOOK.refused("You are not signed on", error.text, more=code + again)

    def _signed_on(self, told: Told) -> str:
        name = " ".join(told.attributes.get("displayName", ())) or told.name_id["NameID"]
        facts = {
            **told.name_id,
            "SessionIndex": told.session_index,
            "AuthnInstant": told.authenticated_at,
            "AuthnContextClassRef": told.context,
            "Encrypted": "yes, for our key" if told.was_encrypted else "no",
        }
        checks = "".join(f"<li>{escape(check)}</li>" for check in CHECKED)
        return (
            f"<h1>Hello, {escape(name)}</h1>"
            '<div class="buttons"><a class="button" href="/sign-on?how=fresh">Sign on freshly</a>'
            '<a class="button" href="/sign-on?how=factor">Ask for the second factor</a>'
            '<form method="post" action="/sign-out-here"><button>Sign out here only</button></form>'
            f'<a class="button main" href="{escape(self.broker)}/oauth/logout">Sign out</a></div>'
            f"<h2>What Countersign told us</h2>{rows(facts)}"
            f"<h2>Attributes</h2>{rows({name: ', '.join(values) for name, values in told.attributes.items()})}"
            f'<h2>What we checked in the answer</h2><ul class="checks">{checks}</ul>'
            f'<p class="soft">The session at <a href="{escape(self.broker)}/">the broker</a> is for all'
            " applications.</p>"
        )


def _envelope(xml: bytes, *, status: int = 200) -> Answer:
    return Answer(xml, status=status, content_type="text/xml; charset=utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Acme's ERP")
    parser.add_argument("--base-port", type=int, required=True, help="Countersign's port; ours follows from it")
    parser.add_argument("--folder", type=Path, required=True, help="where the keys are kept")
    options = parser.parse_args()
    addresses = Addresses(options.base_port)
    party = make_party(options.folder, address=addresses.erp, metadata_url=f"{addresses.broker}/saml/idp/metadata")
    erp = ERP(party, metadata=make_metadata(options.folder, address=addresses.erp), broker=addresses.broker)
    site = Site(addresses.erp, erp.pages(), on_fault=erp.on_fault, open_to_all=frozenset({ACS_PATH}))
    serve(site, port=addresses.port_of("erp"))


if __name__ == "__main__":
    main()
