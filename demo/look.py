"""How the company's pages look: one frame, one style sheet, a colour for each site."""

from dataclasses import dataclass
from html import escape
from importlib.resources import files

from demo.web import Answer, Page

STYLE = (files("demo") / "look.css").read_bytes()
POST = b'document.getElementById("onward").submit();\n'


@dataclass(frozen=True, slots=True)
class Look:
    """A site's name, its line below the name, its sign (one or two letters) and its colour."""

    name: str
    line: str
    sign: str
    colour: str

    def page(self, title: str, content: str, *, status: int = 200, script: bool = False) -> Answer:
        """A whole page. `content` is HTML; its values were escaped by whoever wrote it."""
        end = '<script src="/onward.js"></script>' if script else ""
        html = f"""<!doctype html>
<html lang="en" class="{self.colour}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · {escape(self.name)}</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/look.css">
</head>
<body>
<header><a class="home" href="/"><span class="sign" aria-hidden="true">{escape(self.sign)}</span>
<span><strong>{escape(self.name)}</strong><small>{escape(self.line)}</small></span></a>
<span class="demonstration">Demonstration</span></header>
<main>
{content}
</main>
{end}
</body>
</html>
"""
        return Answer(html.encode(), status=status)

    def refused(self, title: str, text: str, *, more: str = "", status: int = 400) -> Answer:
        """A page that says why something did not happen."""
        return self.page(
            title, f'<h1>{escape(title)}</h1><p class="notice bad">{escape(text)}</p>{more}', status=status
        )

    def onward(self, url: str, fields: dict[str, str], *, title: str) -> Answer:
        """A form that sends itself; without scripts, a button does."""
        hidden = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in fields.items())
        content = (
            f'<h1>{escape(title)}</h1><form id="onward" method="post" action="{escape(url)}">{hidden}'
            '<button class="main">Continue</button></form>'
        )
        return self.page(title, content, script=True)

    def fault_notice(self, title: str, text: str) -> str:
        """Says on every page of an identity provider that it misbehaves on purpose."""
        return (
            f'<p class="notice bad"><strong>A fault is switched on: {escape(title)}.</strong> {escape(text)}'
            ' <a href="/faults">Change it</a></p>'
        )

    def files(self) -> dict[str, Page]:
        """The pages that hold the style sheet, the script and the icon."""
        icon = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" '
            f'fill="{_ICON_FILL[self.colour]}"/><text x="16" y="22" font-size="15" font-family="sans-serif" '
            f'font-weight="bold" text-anchor="middle" fill="#fff">{escape(self.sign)}</text></svg>'
        ).encode()
        return {
            "GET /look.css": lambda _request: Answer(STYLE, content_type="text/css; charset=utf-8"),
            "GET /onward.js": lambda _request: Answer(POST, content_type="text/javascript; charset=utf-8"),
            "GET /icon.svg": lambda _request: Answer(icon, content_type="image/svg+xml"),
        }


_ICON_FILL = {
    "amber": "#a84300",
    "blue": "#1d4f9f",
    "plum": "#7a2a78",
    "teal": "#0b6268",
    "moss": "#3c6116",
    "rose": "#9c1c4f",
}


def rows(pairs: dict[str, str]) -> str:
    """A table of names and values."""
    lines = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in pairs.items())
    return f"<table>{lines}</table>"
