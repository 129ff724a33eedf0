"""Acme's business applications: OpenID Connect relying parties that trust only Countersign.

python -m demo.application crm --base-port 8000 --folder var/demo
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from demo.addresses import Addresses
from demo.id_token import CHECKED
from demo.integrations import keep_secret
from demo.logout_token import Leaving, LogoutRefused
from demo.look import Look
from demo.relying_party import RelyingParty, Started, Tokens
from demo.sign_on_failed import SignOnFailed
from demo.web import Answer, Beside, Page, Request, Site, Store, redirect, serve

PROMPTS = {"fresh": "login", "silent": "none", "other": "select_account"}
SECOND_FACTOR = "https://refeds.org/profile/mfa"
ACCOUNTS = "crm-accounts"
"""The target's name at Countersign, and of the file with its token."""
BACKCHANNEL_PATH = "/backchannel-logout"
TIMES = ("auth_time", "exp", "iat", "nbf", "updated_at")


@dataclass(frozen=True, slots=True)
class Business:
    """One application: how it looks and what it is for."""

    client_id: str
    look: Look
    purpose: str
    has_accounts: bool = False
    """Whether it keeps accounts, and has a SCIM service for them."""


BUSINESSES = {
    one.client_id: one
    for one in (
        Business(
            "crm",
            Look("Acme CRM", "Customers and orders", "C", "blue"),
            "Sign on to see your customers.",
            has_accounts=True,
        ),
        Business("hr", Look("Acme HR portal", "Leave and payroll", "H", "plum"), "Sign on to see your leave."),
    )
}


class Application:
    """The pages, and the browsers' sessions in memory."""

    def __init__(self, business: Business, relying_party: RelyingParty, *, broker: str) -> None:
        self.business = business
        self.look = business.look
        self.relying_party = relying_party
        self.broker = broker
        self.session_cookie = f"acme-{business.client_id}-session"
        self.start_cookie = f"acme-{business.client_id}-start"
        self.sessions: Store[Tokens] = Store()
        self.started: Store[Started] = Store()
        self.logouts: Store[bool] = Store()
        """IDs of logout tokens: each counts once."""
        self.ended: Store[datetime] = Store()
        """When the broker ended a browser's session, by the browser's handle."""

    def pages(self) -> dict[str, Page]:
        """Every page by method and path."""
        return {
            "GET /": self.home,
            "GET /sign-on": self.sign_on,
            "GET /callback": self.callback,
            "POST /refresh": self.refresh,
            "POST /sign-out": self.sign_out,
            "POST /sign-out-here": self.sign_out_here,
            "GET /signed-out": self.signed_out,
            f"POST {BACKCHANNEL_PATH}": self.backchannel_logout,
            **self.look.files(),
        }

    def home(self, request: Request) -> Answer:
        """What we know of who is here."""
        handle = request.cookies.get(self.session_cookie, "")
        tokens = self.sessions.find(handle)
        if tokens is None:
            ended = self.ended.find(handle)
            notice = f'<p class="notice">Countersign ended your session at {ended:%H:%M:%S} UTC.</p>' if ended else ""
            content = (
                f"{notice}<h1>Welcome to {escape(self.look.name)}</h1><p>{escape(self.business.purpose)}</p>"
                '<div class="buttons"><a class="button main" href="/sign-on">Sign on</a>'
                '<a class="button" href="/sign-on?how=silent">Sign on silently</a></div>'
                '<p class="hint">Silently asks with prompt=none, which works only while you are signed on at the'
                " broker.</p>"
            )
            if self.business.has_accounts:
                content += '<p><a href="/accounts">Who has an account here</a></p>'
            return self.look.page("Welcome", content)
        return self.look.page("Signed on", self._signed_on(tokens))

    def sign_on(self, request: Request) -> Answer:
        """GET /sign-on: off to the broker; `how` is fresh, silent, other or factor."""
        how = request.query.get("how", "")
        context = SECOND_FACTOR if how == "factor" else ""
        started, url = self.relying_party.start(prompt=PROMPTS.get(how, ""), context=context)
        return redirect(url).with_cookie(self.start_cookie, self.started.put(started))

    def callback(self, request: Request) -> Answer:
        """GET /callback: the broker's answer."""
        started = self.started.take(request.cookies.get(self.start_cookie, ""))
        if started is None:
            raise SignOnFailed("No sign-on is under way in this browser. Please start again.")
        tokens = self.relying_party.finish(started, request.query)
        self.sessions.take(request.cookies.get(self.session_cookie, ""))
        onward = redirect("/").with_cookie(self.start_cookie, "")
        return onward.with_cookie(self.session_cookie, self.sessions.put(tokens))

    def refresh(self, request: Request) -> Answer:
        """POST /refresh: new tokens without the browser going anywhere."""
        tokens = self._take_tokens(request)
        fresh = self.relying_party.refresh(tokens)
        return redirect("/").with_cookie(self.session_cookie, self.sessions.put(fresh))

    def sign_out(self, request: Request) -> Answer:
        """POST /sign-out: here and at the broker."""
        tokens = self._take_tokens(request)
        return redirect(self.relying_party.logout_url(tokens)).with_cookie(self.session_cookie, "")

    def sign_out_here(self, request: Request) -> Answer:
        """POST /sign-out-here: the broker's session stays."""
        self._take_tokens(request)
        return redirect("/").with_cookie(self.session_cookie, "")

    def signed_out(self, _request: Request) -> Answer:
        content = (
            "<h1>You are signed out</h1><p>Here and at the broker. At the identity provider you may still be signed"
            ' on.</p><div class="buttons"><a class="button main" href="/sign-on">Sign on again</a></div>'
        )
        return self.look.page("Signed out", content)

    def backchannel_logout(self, request: Request) -> Answer:
        """POST /backchannel-logout: the broker says, without any browser, that a session ended."""
        try:
            leaving = self.relying_party.read_logout(request.form.get("logout_token", ""))
        except LogoutRefused as refused:
            return _said(400, error="invalid_request", error_description=str(refused))
        except SignOnFailed as failed:
            return _said(503, error="temporarily_unavailable", error_description=failed.text)
        if not self.logouts.add(leaving.token_id, True):
            return _said(400, error="invalid_request", error_description="This logout token was used already.")
        now = datetime.now(UTC)
        for handle in self.sessions.take_where(lambda tokens: _is_leaving(tokens, leaving)):
            self.ended.add(handle, now)
        return _said(200)

    def on_fault(self, error: Exception) -> Answer:
        """Say what failed, with the broker's trace id where it gave one."""
        again = '<div class="buttons"><a class="button main" href="/">Back to the start</a></div>'
        if not isinstance(error, SignOnFailed):
            return self.look.refused("Something failed here", type(error).__name__, more=again, status=500)
        known = {"Code": error.code, "Trace id": error.trace_id}
        lines = "".join(f"<p>{name}: <code>{escape(value)}</code></p>" for name, value in known.items() if value)
        return self.look.refused("You are not signed on", error.text, more=lines + again)

    def _take_tokens(self, request: Request) -> Tokens:
        tokens = self.sessions.take(request.cookies.get(self.session_cookie, ""))
        if tokens is None:
            raise SignOnFailed("Nobody is signed on in this browser.")
        return tokens

    def _signed_on(self, tokens: Tokens) -> str:
        claims, userinfo = tokens.id_token_claims, tokens.userinfo
        name = str(userinfo.get("name") or userinfo.get("given_name") or userinfo.get("email") or claims["sub"])
        refresh = (
            '<form method="post" action="/refresh"><button>Refresh the tokens</button></form>'
            if tokens.refresh_token
            else ""
        )
        checks = "".join(f"<li>{escape(check)}</li>" for check in CHECKED)
        return (
            f"<h1>Hello, {escape(name)}</h1>"
            '<div class="buttons"><a class="button" href="/sign-on?how=fresh">Sign on freshly</a>'
            '<a class="button" href="/sign-on?how=factor">Ask for the second factor</a>'
            '<a class="button" href="/sign-on?how=other">Sign on as somebody else</a>'
            f'{refresh}<form method="post" action="/sign-out-here"><button>Sign out here only</button></form>'
            '<form method="post" action="/sign-out"><button class="main">Sign out</button></form></div>'
            f"<h2>What Countersign told us</h2>{_claims_table(claims, userinfo)}"
            f'<h2>What we checked in the ID token</h2><ul class="checks">{checks}</ul>'
            "<h2>What we hold</h2>"
            f'<p class="soft">Tokens of {tokens.obtained_at:%H:%M:%S} UTC for the scopes {escape(tokens.scope)}; the'
            f" access token lasts {tokens.expires_in} seconds, and there is"
            f" {'a' if tokens.refresh_token else 'no'} refresh token."
            f' Issuer: <a href="{escape(self.broker)}/">{escape(claims["iss"])}</a>.</p>'
        )


def _is_leaving(tokens: Tokens, leaving: Leaving) -> bool:
    """The one session where it is named, else each of the person's."""
    name, value = ("sid", leaving.session) if leaving.session else ("sub", leaving.subject)
    return bool(tokens.id_token_claims.get(name) == value)


def _said(status: int, **words: str) -> Answer:
    return Answer(json.dumps(words).encode() if words else b"", status=status, content_type="application/json")


def _claims_table(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{_show(name, claims)}</td><td>{_show(name, userinfo)}</td></tr>'
        for name in sorted(claims.keys() | userinfo.keys())
    )
    head = (
        '<thead><tr><th scope="col">Claim</th><th scope="col">ID token</th><th scope="col">Userinfo</th></tr></thead>'
    )
    return f'<div class="wide"><table>{head}<tbody>{lines}</tbody></table></div>'


def _show(name: str, claims: Mapping[str, Any]) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if name in TIMES and isinstance(value, int):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list):
        return escape(", ".join(str(one) for one in value))
    return escape(value if isinstance(value, str) else json.dumps(value))


def make_site(name: str, addresses: Addresses, folder: Path) -> Site | Beside:
    """The application `name`, with the secrets in `folder`."""
    business, address = BUSINESSES[name], addresses.address_of(name)
    relying_party = RelyingParty(
        issuer=addresses.broker,
        client_id=name,
        client_secret=(folder / f"{name}.secret").read_text().strip(),
        redirect_uri=f"{address}/callback",
        signed_out_uri=f"{address}/signed-out",
    )
    application = Application(business, relying_party, broker=addresses.broker)
    site = Site(address, application.pages(), on_fault=application.on_fault)
    if not business.has_accounts:
        return site
    # Imported only here: the core's libraries take memory that the other application does not need.
    from demo.accounts import SCIM_PATH, Accounts
    from demo.accounts_page import AccountsPage

    accounts = Accounts(folder / f"{ACCOUNTS}.json", token=keep_secret(folder, ACCOUNTS))
    site.pages |= AccountsPage(accounts, look=business.look).pages()
    return Beside(site, SCIM_PATH, accounts)


def main() -> None:
    parser = argparse.ArgumentParser(description="one of Acme's business applications")
    parser.add_argument("application", choices=sorted(BUSINESSES))
    parser.add_argument("--base-port", type=int, required=True, help="Countersign's port; ours follows from it")
    parser.add_argument("--folder", type=Path, required=True, help="where the client secret is kept")
    options = parser.parse_args()
    addresses = Addresses(options.base_port)
    site = make_site(options.application, addresses, options.folder)
    serve(site, port=addresses.port_of(options.application))


if __name__ == "__main__":
    main()
