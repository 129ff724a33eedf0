"""What stands around a broker in the comparison with SATOSA: a service provider, identity providers, a browser.

Nothing here is timed but the browser's requests to the broker: each from before it connects to the last byte of the
answer, on a connection of its own. The identity provider and the service provider really sign and verify.
"""

import base64
import http.client
import secrets
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import xmlsec
from lxml import etree

from bench.alice import GROUPS, NAME, attributes_at, mail_at
from tests.fakes.fake_idp import EMAIL, NS, PERSISTENT, SAML, FakeIdentityProvider
from tests.fakes.fake_sp import FakeServiceProvider

SERVICE_PROVIDER = FakeServiceProvider()
RELAY_STATE = "the-relay-state"
REQUEST_SECONDS = 60
HOPS_MAX = 8


class Unexpected(Exception):
    """The broker did not answer as a login goes on."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    location: str
    body: str


class Browser:
    """One person's browser: it keeps cookies for the broker, and adds up how long the broker took."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.spent: list[float] = []
        """Seconds of each request, in order."""
        self._cookies: dict[str, str] = {}

    def get(self, url: str) -> Answer:
        return self._request("GET", url)

    def post(self, url: str, fields: dict[str, str]) -> Answer:
        return self._request("POST", url, urlencode(fields).encode())

    def leave(self, answer: Answer, url: str) -> Answer:
        """Follow redirects for as long as they stay on the broker; returns the answer that leads away."""
        for _ in range(HOPS_MAX):
            target = urljoin(url, answer.location)
            if answer.status not in {302, 303} or not target.startswith(self.base_url + "/"):
                return answer
            url, answer = target, self.get(target)
        raise Unexpected("the broker redirects to itself without end")

    def _request(self, method: str, url: str, body: bytes | None = None) -> Answer:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://idp.example"}
        began = time.perf_counter()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=REQUEST_SECONDS)
        connection.request(method, path, body, {name: value for name, value in headers.items() if value})
        response = connection.getresponse()
        read = response.read()
        connection.close()
        self.spent.append(time.perf_counter() - began)
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return Answer(response.status, response.headers.get("Location", ""), read.decode())


@dataclass(frozen=True, slots=True)
class Company:
    """An identity provider with its one person, and the address at the broker where a login by it begins."""

    fake: FakeIdentityProvider
    domain: str
    sso_url: str


@dataclass(frozen=True, slots=True, eq=False)
class Broker:
    """A running broker: its address, its entityID, the companies registered there, and its certificate (DER)."""

    name: str
    base_url: str
    issuer: str
    companies: Sequence[Company]
    certificate: bytes = field(repr=False)
    process_id: int

    def log_in(self) -> list[float]:
        """One login at a company by chance; returns the seconds of each of the broker's requests. Raises Unexpected."""
        company = secrets.choice(self.companies)
        browser, request_id = Browser(self.base_url), "_" + secrets.token_hex(16)
        inside = asked_inside(company.domain)
        query = SERVICE_PROVIDER.redirect(
            company.sso_url, request_id=request_id, relay_state=RELAY_STATE, inside=inside
        )
        start = f"{company.sso_url}?{query}"
        away = browser.leave(browser.get(start), start)
        acs_url, fields = _identity_provider_answer(company, away)
        page = browser.leave(browser.post(acs_url, fields), acs_url)
        check_answer(page, self, company, request_id=request_id)
        return browser.spent


def asked_inside(domain: str) -> str:
    """What stands in the AuthnRequest: a Subject, which leads to one of thousands of companies, and a NameIDPolicy."""
    return (
        f'<saml:Subject><saml:NameID Format="{EMAIL}">{mail_at(domain)}</saml:NameID></saml:Subject>'
        f'<samlp:NameIDPolicy Format="{PERSISTENT}" AllowCreate="true"/>'
    )


def check_answer(page: Answer, broker: Broker, company: Company, *, request_id: str) -> None:
    """The service provider's side: a signed Response to its request, about this person. Raises Unexpected.

    Less strict than the suite's fake, which wants a SessionNotOnOrAfter; SATOSA sends none.
    """
    action, fields = read_form(page)
    if action != SERVICE_PROVIDER.acs_urls[0]:
        raise Unexpected(f"status {page.status}, not a form for the service provider: {page.body[:2000]}")
    response = etree.fromstring(base64.b64decode(fields["SAMLResponse"]))
    xmlsec.tree.add_ids(response, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(broker.certificate, xmlsec.constants.KeyDataFormatCertDer)
    context.verify(response.find("ds:Signature", NS))
    told = {value.text for value in response.iter(f"{{{SAML}}}AttributeValue")}
    found = (response.get("InResponseTo"), response.findtext("saml:Issuer", namespaces=NS), fields["RelayState"])
    if found != (request_id, broker.issuer, RELAY_STATE) or not {mail_at(company.domain), NAME, *GROUPS} <= told:
        raise Unexpected(f"the Response says something else: {found}, {told}")
    if not response.findtext(".//saml:NameID", namespaces=NS):
        raise Unexpected("the Response names nobody")


def read_form(page: Answer) -> tuple[str, dict[str, str]]:
    """The action and the fields of the page's form."""
    form = _Form()
    form.feed(page.body)
    return form.action, form.fields


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action, self.fields = "", dict[str, str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action") or ""
        elif tag == "input" and given.get("name"):
            self.fields[given["name"] or ""] = given.get("value") or ""


def _identity_provider_answer(company: Company, away: Answer) -> tuple[str, dict[str, str]]:
    """The ACS and the form fields with which the identity provider answers the request that `away` carries."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(away.location).query).items()}
    if not away.location.startswith(company.fake.sso_url) or "SAMLRequest" not in query:
        raise Unexpected(
            f"status {away.status}, not the way to the identity provider: {away.location}{away.body[:500]}"
        )
    request = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"]), -15))
    acs_url = request.get("AssertionConsumerServiceURL", "")
    answer = company.fake.answer(
        request_id=request.get("ID"),
        acs_url=acs_url,
        audience=request.findtext("saml:Issuer", namespaces=NS) or "",
        sign="both",
        attributes=attributes_at(company.domain),
    )
    return acs_url, {"SAMLResponse": answer, "RelayState": query["RelayState"]}
