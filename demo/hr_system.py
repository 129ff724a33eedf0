"""Acme's HR system: who works there, and what it tells Countersign of them over SCIM.

python -m demo.hr_system --base-port 8000 --folder var/demo
"""

import argparse
import json
from collections import deque
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote

from demo.addresses import Addresses
from demo.integrations import keep_secret
from demo.look import Look, rows
from demo.scim_telling import Exchange, Operation, Telling, left_or_back, moved, renamed
from demo.staff import DEPARTMENTS, NAME_CHARS, BadRecord, Colleague, Staff
from demo.web import Answer, Page, Request, Site, redirect, serve

SOURCE = "acme-hr"
"""The source's name at Countersign, and of the file with its token."""
STAFF_FILE = "hr-staff.json"
REMEMBERED = 8
LOOK = Look("Acme HR system", "Who works here", "P", "rose")


def make_telling(folder: Path, addresses: Addresses) -> Telling:
    """How we tell Countersign, with the token in `folder`."""
    return Telling(f"{addresses.broker}/scim/v2", token=keep_secret(folder, SOURCE))


class HRSystem:
    """The pages. `accounts` is where somebody may look what became of it."""

    def __init__(self, staff: Staff, telling: Telling, *, accounts: str) -> None:
        self.staff = staff
        self.telling = telling
        self.accounts = accounts
        self.told: deque[Exchange] = deque(maxlen=REMEMBERED)

    def pages(self) -> dict[str, Page]:
        """Every page by method and path."""
        return {
            "GET /": self.home,
            "GET /person": self.person,
            "POST /hire": self.hire,
            "POST /move": self.move,
            "POST /rename": self.rename,
            "POST /leave": self.leave,
            "POST /come-back": self.come_back,
            **LOOK.files(),
        }

    def home(self, _request: Request) -> Answer:
        """GET /: everybody, the form to hire, and what was told last."""
        lines = "".join(_line(one) for one in self.staff.everybody())
        given, family = self.staff.proposal()
        content = (
            f"<h1>Who works at Acme</h1>{self._notice()}"
            '<div class="wide"><table class="list"><thead><tr><th scope="col">Name</th><th scope="col">Department</th>'
            f'<th scope="col">Standing</th></tr></thead><tbody>{lines}</tbody></table></div>'
            '<h2>Hire somebody</h2><form method="post" action="/hire" class="card">'
            f"{_text_field('Given name', 'given_name', given)}{_text_field('Family name', 'family_name', family)}"
            f'{_department_field(DEPARTMENTS[0])}<button class="main">Hire</button></form>{self._exchanges()}'
        )
        return LOOK.page("People", content)

    def person(self, request: Request) -> Answer:
        """GET /person: one, with what can be done."""
        one = self.staff.find(request.query.get("number", ""))
        facts = {
            "Number": one.number,
            "E-mail": one.email,
            "Department": one.department,
            "Standing": _standing(one),
        }
        hidden = f'<input type="hidden" name="number" value="{escape(one.number)}">'
        forms = (
            f'<h2>Leave or come back</h2><div class="buttons">{_leave_button(one)}</div>'
            f'<h2>Move</h2><form method="post" action="/move" class="card">{hidden}{_department_field(one.department)}'
            "<button>Move to this department</button></form>"
            f'<h2>Rename</h2><form method="post" action="/rename" class="card">{hidden}'
            f"{_text_field('Family name', 'family_name', one.family_name)}<button>Give this name</button></form>"
        )
        back = '<p><a href="/">Everybody</a></p>'
        content = f"<h1>{escape(one.name)}</h1>{back}{self._notice()}{rows(facts)}{forms}{self._exchanges()}"
        return LOOK.page(one.name, content)

    def hire(self, request: Request) -> Answer:
        """POST /hire: somebody new."""
        form = request.form
        hired = self.staff.hire(form.get("given_name", ""), form.get("family_name", ""), form.get("department", ""))
        return self._tell(hired, [], onward="/")

    def move(self, request: Request) -> Answer:
        """POST /move: to another department."""
        one = self.staff.move(request.form.get("number", ""), request.form.get("department", ""))
        return self._tell(one, moved(one))

    def rename(self, request: Request) -> Answer:
        """POST /rename: another family name."""
        one = self.staff.rename(request.form.get("number", ""), request.form.get("family_name", ""))
        return self._tell(one, renamed(one))

    def leave(self, request: Request) -> Answer:
        """POST /leave: somebody does not work here any more."""
        one = self.staff.leave(request.form.get("number", ""))
        return self._tell(one, left_or_back(one))

    def come_back(self, request: Request) -> Answer:
        """POST /come-back: the same person works here again."""
        one = self.staff.come_back(request.form.get("number", ""))
        return self._tell(one, left_or_back(one))

    def on_fault(self, error: Exception) -> Answer:
        """Say what cannot be written."""
        again = '<div class="buttons"><a class="button main" href="/">Back to everybody</a></div>'
        if isinstance(error, BadRecord):
            return LOOK.refused("Nothing was written", str(error), more=again)
        return LOOK.refused("Something failed here", type(error).__name__, more=again, status=500)

    def _tell(self, one: Colleague, operations: Sequence[Operation], *, onward: str = "") -> Answer:
        self.told.extend(self.telling.tell(one, operations))
        return redirect(onward or f"/person?number={quote(one.number)}")

    def _notice(self) -> str:
        if not self.told:
            return ""
        last = self.told[-1]
        if last.is_well:
            return (
                f'<p class="notice good">Countersign was told, and answered {last.status}.'
                f' <a href="{escape(self.accounts)}">Look at the accounts in the CRM</a></p>'
            )
        said = last.status or "nothing"
        return (
            f'<p class="notice bad">Countersign answered {said} to what it was told last. It is below; the next'
            " change of this person tries again.</p>"
        )

    def _exchanges(self) -> str:
        shown = "".join(_exchange(one) for one in reversed(self.told))
        return f"<h2>What was told, the newest first</h2>{shown or '<p>Nothing since the start.</p>'}"


def _line(one: Colleague) -> str:
    link = f'<a href="/person?number={quote(one.number)}">{escape(one.name)}</a>'
    return (
        f'<tr><th scope="row">{link}<br>{escape(one.number)}</th><td>{escape(one.department)}</td>'
        f"<td>{_standing(one)}{_leave_button(one)}</td></tr>"
    )


def _standing(one: Colleague) -> str:
    return "works here" if one.works_here else "left"


def _leave_button(one: Colleague) -> str:
    path, words = ("/leave", "leaves") if one.works_here else ("/come-back", "comes back")
    return (
        f'<form method="post" action="{path}"><button name="number" value="{escape(one.number)}"'
        f' aria-label="{escape(one.name)} {words}">{words.capitalize()}</button></form>'
    )


def _text_field(label: str, name: str, value: str) -> str:
    return (
        f'<label class="field">{label}<input name="{name}" value="{escape(value)}" required'
        f' maxlength="{NAME_CHARS}" autocomplete="off"></label>'
    )


def _department_field(chosen: str) -> str:
    options = "".join(f"<option{' selected' if one == chosen else ''}>{escape(one)}</option>" for one in DEPARTMENTS)
    return f'<label class="field">Department<select name="department">{options}</select></label>'


def _exchange(one: Exchange) -> str:
    style = "good" if one.is_well else "bad"
    sent = f"<pre>{_pretty(one.sent)}</pre>" if one.sent is not None else ""
    shown = "" if one.is_well else " open"
    answer = f"<details{shown}><summary>Its answer</summary><pre>{_pretty(one.answer)}</pre></details>"
    return (
        f'<article class="card"><h3>{escape(one.method)} {escape(unquote(one.address))}</h3>{sent}'
        f'<p>At {one.at:%H:%M:%S} UTC Countersign answered <strong class="{style}">{one.status or "nothing"}</strong>.'
        f"</p>{answer if one.answer is not None else ''}</article>"
    )


def _pretty(value: object) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def main() -> None:
    parser = argparse.ArgumentParser(description="Acme's HR system")
    parser.add_argument("--base-port", type=int, required=True, help="Countersign's port; ours follows from it")
    parser.add_argument("--folder", type=Path, required=True, help="where the token and the people are kept")
    options = parser.parse_args()
    addresses = Addresses(options.base_port)
    staff = Staff(options.folder / STAFF_FILE)
    system = HRSystem(staff, make_telling(options.folder, addresses), accounts=f"{addresses.crm}/accounts")
    site = Site(addresses.hr_system, system.pages(), on_fault=system.on_fault)
    serve(site, port=addresses.port_of("hr_system"))


if __name__ == "__main__":
    main()
