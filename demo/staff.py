"""Who works at Acme, as its HR system keeps them: in a file, by their number."""

import json
import re
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from demo.people import ACME

DOMAIN = "acme.example"
DEPARTMENTS = ("Sales", "Human Resources", "Engineering", "Finance", "Warehouse")
NAME_CHARS = 40
AT_MOST = 200
NEWCOMERS = (("Nora", "Berg"), ("Idris", "Bello"), ("Mai", "Tanaka"), ("Tomás", "Rivera"), ("Zofia", "Nowak"))
"""Who is proposed as the next one."""


class BadRecord(ValueError):
    """What was asked cannot be written; the text is for the person at the form."""


@dataclass(frozen=True, slots=True)
class Colleague:
    """One person. `login` is the part of the address before the @ and stays, whatever the name becomes."""

    number: str
    login: str
    given_name: str
    family_name: str
    department: str
    works_here: bool = True

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    @property
    def email(self) -> str:
        return f"{self.login}@{DOMAIN}"


FIRST = tuple(
    Colleague(one.employee_id, one.login, one.given_name, one.family_name, one.department) for one in ACME.values()
)
"""Acme's people of the first day, who also sign on."""


class Staff:
    """Everybody, written to `file` after each change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        kept = [Colleague(**row) for row in json.loads(file.read_text())] if file.exists() else FIRST
        self._held = {one.number: one for one in kept}

    def everybody(self) -> list[Colleague]:
        """Who works here first, then who left, by number."""
        return sorted(self._held.values(), key=lambda one: (not one.works_here, one.number))

    def find(self, number: str) -> Colleague:
        """Raises BadRecord."""
        found = self._held.get(number)
        if found is None:
            raise BadRecord("There is nobody of this number.")
        return found

    def proposal(self) -> tuple[str, str]:
        """Given and family name of somebody who could be hired."""
        known = {one.given_name for one in self._held.values()}
        return next((one for one in NEWCOMERS if one[0] not in known), ("", ""))

    def hire(self, given_name: str, family_name: str, department: str) -> Colleague:
        """A new colleague, with a number and a login that nobody had. Raises BadRecord."""
        given, family = _checked_name(given_name), _checked_name(family_name)
        with self._lock:
            if len(self._held) >= AT_MOST:
                raise BadRecord("Nobody more fits in here.")
            highest = max(int(number.rpartition("-")[2]) for number in self._held)
            taken = {one.login for one in self._held.values()}
            plain = _plain(given) or "colleague"
            login = next(one for count in range(AT_MOST + 1) if (one := f"{plain}{count or ''}") not in taken)
            hired = Colleague(f"A-{highest + 1}", login, given, family, _checked_department(department))
            self._keep(hired)
        return hired

    def move(self, number: str, department: str) -> Colleague:
        """Raises BadRecord, as do the next three."""
        return self._change(number, lambda one: replace(one, department=_checked_department(department)))

    def rename(self, number: str, family_name: str) -> Colleague:
        return self._change(number, lambda one: replace(one, family_name=_checked_name(family_name)))

    def leave(self, number: str) -> Colleague:
        return self._change(number, lambda one: replace(one, works_here=False))

    def come_back(self, number: str) -> Colleague:
        return self._change(number, lambda one: replace(one, works_here=True))

    def _change(self, number: str, change: Callable[[Colleague], Colleague]) -> Colleague:
        with self._lock:
            changed = change(self.find(number))
            self._keep(changed)
        return changed

    def _keep(self, colleague: Colleague) -> None:
        held = {**self._held, colleague.number: colleague}
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps([asdict(one) for one in held.values()]))
        draft.replace(self._file)
        self._held = held


def _checked_name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > NAME_CHARS or not name.isprintable():
        raise BadRecord(f"A name has 1 to {NAME_CHARS} characters.")
    return name


def _checked_department(text: str) -> str:
    if text not in DEPARTMENTS:
        raise BadRecord("There is no such department.")
    return text


def _plain(text: str) -> str:
    """Its letters without accents, in lower case."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "", folded)
