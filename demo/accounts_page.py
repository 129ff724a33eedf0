"""The CRM's page of its accounts: who has one, what came over SCIM, and how the service misbehaves on purpose."""

from collections.abc import Mapping
from html import escape
from typing import Any

from demo.accounts import Accounts, Behaviour
from demo.forms import radio_buttons
from demo.look import Look
from demo.web import Answer, Page, Request, redirect

PATH = "/accounts"
TEXTS = {
    Behaviour.HONEST: ("Do what we are told", "An account that is closed is closed."),
    Behaviour.LIES: ("Say “closed” and leave it open", "Whoever closes an account is answered 200; it stays active."),
    Behaviour.DOWN: ("Be down", "Every request is answered 503."),
}
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class AccountsPage:
    """The pages below PATH."""

    def __init__(self, accounts: Accounts, *, look: Look) -> None:
        self.accounts = accounts
        self.look = look

    def pages(self) -> dict[str, Page]:
        """Every page by method and path."""
        return {
            f"GET {PATH}": self.show,
            f"POST {PATH}/behave": self.behave,
            f"POST {PATH}/turn-on": self.turn_on,
        }

    def show(self, _request: Request) -> Answer:
        """GET /accounts: who has one, what it does on purpose, and what came."""
        title, text = TEXTS[self.accounts.behaviour]
        is_well = self.accounts.behaviour is Behaviour.HONEST
        notice = (
            ""
            if is_well
            else f'<p class="notice bad"><strong>It misbehaves on purpose: {escape(title)}.</strong> {escape(text)}</p>'
        )
        people = self.accounts.people()
        lines = "".join(_line(one) for one in people)
        heard = "".join(
            f'<tr><th scope="row">{one.at:%H:%M:%S}</th><td>{escape(one.method)} {escape(one.address)}</td>'
            f"<td>{one.status}</td></tr>"
            for one in self.accounts.heard
        )
        content = (
            f"<h1>Accounts</h1><p>Countersign keeps them over SCIM; nobody here makes one by hand.</p>{notice}"
            + (_table(("Name", "Department", "Account"), lines) if people else "<p>Nobody has an account yet.</p>")
            + f'<h2>What the service does</h2><form method="post" action="{PATH}/behave">'
            + "<fieldset><legend>From now on</legend>"
            + radio_buttons("behaviour", TEXTS, chosen=self.accounts.behaviour)
            + '</fieldset><div class="buttons"><button class="main">Behave like this</button></div></form>'
            + "<h2>What came over SCIM</h2>"
            + (_table(("Time (UTC)", "Request", "Status"), heard) if heard else "<p>Nothing since the start.</p>")
        )
        return self.look.page("Accounts", content)

    def behave(self, request: Request) -> Answer:
        """POST /accounts/behave: what the service does from now on."""
        self.accounts.behaviour = Behaviour(request.form.get("behaviour", ""))
        return redirect(PATH)

    def turn_on(self, request: Request) -> Answer:
        """POST /accounts/turn-on: somebody here opens an account again."""
        self.accounts.turn_on(request.form.get("account", ""))
        return redirect(PATH)


def _line(account: Mapping[str, Any]) -> str:
    name = escape(str(account.get("displayName") or account.get("userName", "")))
    department = escape(str((account.get(ENTERPRISE) or {}).get("department", "")))
    standing = '<span class="good">active</span>'
    if account.get("active") is False:
        standing = (
            f'<span class="bad">closed</span> <form method="post" action="{PATH}/turn-on">'
            f'<input type="hidden" name="account" value="{escape(str(account["id"]))}">'
            f'<button aria-label="Turn on {name} again">Turn on</button></form>'
        )
    login = escape(str(account.get("userName", "")))
    return f'<tr><th scope="row"><strong>{name}</strong><br>{login}</th><td>{department}</td><td>{standing}</td></tr>'


def _table(heads: tuple[str, ...], lines: str) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    return f'<div class="wide"><table class="list"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
