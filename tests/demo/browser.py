"""A browser for one of the demonstration's sites: keeps cookies, reads forms, opens no socket."""

import io
import re
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

from demo.web import Site


class Browser:
    """After each call `status`, `headers` and `text` are those of the answer."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.text = ""

    def get(self, address: str, *, authorization: str = "") -> "Browser":
        return self._ask("GET", address, b"", {"HTTP_AUTHORIZATION": authorization} if authorization else {})

    def post(self, address: str, *, origin: str | None = None, **fields: str) -> "Browser":
        """Send a form from a page of `origin`; our cookies are Lax and stay behind when that is another site."""
        extra = {"HTTP_ORIGIN": self.site.address if origin is None else origin}
        if extra["HTTP_ORIGIN"] != self.site.address:
            extra["HTTP_COOKIE"] = ""
        return self._ask("POST", address, urlencode(fields).encode(), extra)

    def follow(self) -> "Browser":
        """Go where the answer leads, within the site."""
        return self.get(self.location)

    @property
    def location(self) -> str:
        return dict(self.headers).get("Location", "")

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of the page's forms."""
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', self.text)
        return {unescape(name): unescape(value) for name, value in found}

    def _ask(self, method: str, address: str, body: bytes, extra: dict[str, Any]) -> "Browser":
        parts = urlsplit(address)
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "wsgi.input": io.BytesIO(body),
            **extra,
        }

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.status, self.headers = int(status.split()[0]), headers

        self.text = b"".join(self.site(environ, start_response)).decode()
        for name, value in self.headers:
            if name == "Set-Cookie":
                cookie, _, rest = value.partition(";")
                key, _, content = cookie.partition("=")
                if "Max-Age=0" in rest:
                    self.cookies.pop(key, None)
                else:
                    self.cookies[key] = content
        return self
