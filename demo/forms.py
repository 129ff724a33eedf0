"""The forms that both identity providers show: switches, and people to choose from."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from demo.people import Employee


def radio_buttons(name: str, texts: Mapping[Any, tuple[str, str]], *, chosen: str) -> str:
    """One radio button per value of `texts`, which gives its title and a line below it (or "")."""
    return "".join(
        f'<label><input type="radio" name="{name}" value="{escape(value)}"{checked(is_on=value == chosen)}> '
        f"{escape(title)}{f'<small>{escape(text)}</small>' if text else ''}</label>"
        for value, (title, text) in texts.items()
    )


def checked(*, is_on: bool) -> str:
    """The HTML attribute of a switch."""
    return " checked" if is_on else ""


def people(employees: Iterable[Employee], *, request: str) -> str:
    """A button for each person, which answers the waiting request of this handle."""
    choices = "".join(
        f'<li><form method="post" action="/login"><input type="hidden" name="request" value="{escape(request)}">'
        f'<button name="person" value="{person.login}"><strong>{escape(person.name)}</strong>'
        f"<small>{escape(person.department)}</small><small>{escape(person.email)}</small></button></form></li>"
        for person in employees
    )
    return f'<ul class="people">{choices}</ul>'
