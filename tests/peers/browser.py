"""A browser without scripts: cookies per host, redirects, and the forms that a person or a page would send."""

import base64
import contextlib
import json
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit

import httpx2
from lxml import etree, html

SAML_FIELDS = ("SAMLRequest", "SAMLResponse")
USERNAME_FIELDS = {"username", "user", "login"}
HOPS_MAX = 40
TRACE = "Countersign-Trace"


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and its status; `messages` are the SAML messages it carried, decoded."""

    method: str
    url: str
    status: int
    messages: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{self.method} {self.status} {self.url[:160]}"]
        lines += [f"    {name}: {xml}" for name, xml in self.messages.items()]
        return "\n".join(lines)


@dataclass(slots=True)
class Page:
    """Where a walk ended."""

    url: str
    status: int
    text: str
    trace_id: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.text.startswith("{"), f"{self.status} at {self.url}: {self.text[:400]}"
        return dict(json.loads(self.text))


@dataclass
class Browser:
    """One person's browser. `email` chooses the identity provider where the broker asks."""

    email: str = ""
    name: str = "alice"
    password: str = ""
    """That of `name` at the identity provider; "": the name with -password behind it."""
    hops: list[Hop] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)
    passwords_typed: int = 0

    def __post_init__(self) -> None:
        self._http = httpx2.Client(trust_env=False, timeout=30)

    def close(self) -> None:
        self._http.close()

    def visit(self, url: str) -> Page:
        """Go to `url` and on from there, until a page has nothing that a person would fill in."""
        method, fields = "GET", None
        typed = self.passwords_typed
        for _ in range(HOPS_MAX):
            response = self._request(method, url, fields)
            if response.is_redirect:
                method, url, fields = "GET", urljoin(url, response.headers["Location"]), None
                continue
            step = self._next_form(url, response) if self.passwords_typed < typed + 2 else None
            if step is None:
                return Page(url, response.status_code, response.text, response.headers.get(TRACE, ""))
            method, url, fields = step
        raise AssertionError(f"after {HOPS_MAX} hops still no end: {url}")

    def went_to(self, base: str) -> bool:
        """Whether any hop so far led to `base`."""
        return any(hop.url.startswith(f"{base}/") for hop in self.hops)

    def last_message(self, name: str) -> etree._Element:
        """The last SAML message of this name that was carried."""
        return etree.fromstring([hop.messages[name] for hop in self.hops if name in hop.messages][-1].encode())

    def forget_hops(self) -> None:
        """Begin a new walk: what was done so far counts no more, the cookies stay."""
        self.hops.clear()
        self.passwords_typed = 0

    def _request(self, method: str, url: str, fields: dict[str, str] | None) -> httpx2.Response:
        response = self._http.request(method, url, data=fields, follow_redirects=False)
        carried = {**dict(parse_qsl(urlsplit(url).query)), **(fields or {})}
        messages = {name: decode(carried[name]) for name in SAML_FIELDS if name in carried}
        self.hops.append(Hop(method, url, response.status_code, messages))
        trace_id = response.headers.get(TRACE)
        if trace_id and trace_id not in self.trace_ids:
            self.trace_ids.append(trace_id)
        return response

    def _next_form(self, url: str, response: httpx2.Response) -> tuple[str, str, dict[str, str] | None] | None:
        """Method, address and fields of the form that leads on."""
        if "html" not in response.headers.get("Content-Type", "") or not response.text:
            return None
        page = html.fromstring(response.text)
        page.make_links_absolute(url)
        for form in page.forms:
            fields = {name: value or "" for name, value in form.form_values()}
            kinds = {element.name: element.get("type", "text") for element in form.inputs if element.name}
            if "password" in kinds.values():
                self.passwords_typed += 1
                password = self.password or f"{self.name}-password"
                filled = {name: password for name, kind in kinds.items() if kind == "password"}
                filled |= dict.fromkeys(USERNAME_FIELDS & kinds.keys(), self.name)
            elif "email" in kinds and self.email and response.status_code == 200:
                filled = {"email": self.email}
            elif fields.keys() & set(SAML_FIELDS):
                filled = {}
            else:
                continue
            target, fields = urldefrag(form.action or url).url, fields | filled
            if form.method == "GET":
                return "GET", f"{target}?{urlencode(fields)}", None
            return "POST", target, fields
        return None


def decode(value: str) -> str:
    """A SAML message of the POST or the Redirect binding as text."""
    raw = base64.b64decode(value)
    with contextlib.suppress(zlib.error):
        raw = zlib.decompress(raw, -15)
    return raw.decode(errors="replace")
