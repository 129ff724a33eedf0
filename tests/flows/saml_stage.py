"""Acme's ERP, a SAML application, beside Acme's identity provider (tests.flows.stage)."""

import base64
import html
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from broker.actors import SYSTEM
from broker.keys.services import saml_signing_certificates
from broker.registry.models import Application, ServiceProvider
from broker.registry.registering.applications import create_service_provider
from tests.factories import make_application
from tests.fakes.fake_sp import Answer, FakeServiceProvider
from tests.flows.stage import Browser, Company, make_company

RELAY_STATE = "https://erp.example/invoices?year=2026&text=a+b%20c"


@dataclass
class ERP:
    """The application, its fake, and the company that signs on to it."""

    application: Application
    face: ServiceProvider
    sp: FakeServiceProvider
    company: Company

    @property
    def sso_url(self) -> str:
        return f"{settings.BROKER_BASE_URL}/saml/idp/sso"

    def ask(
        self, browser: Browser, *, by: str = "redirect", relay_state: str | None = RELAY_STATE, **options: Any
    ) -> Any:
        """The application sends the browser to us, and it follows for as long as it stays here."""
        options = {"destination": self.sso_url, "request_id": "_the-request", "relay_state": relay_state} | options
        if by == "post":
            return browser.follow(browser.post(self.sso_url, self.sp.form(**options)))
        return browser.follow(browser.get(f"{self.sso_url}?{self.sp.redirect(**options)}"))

    def answer(self, browser: Browser, sent: Any, **options: Any) -> Any:
        """The identity provider answers what `sent` asks of it."""
        return self.company.answer(browser, sent, **options)

    def sign_on(self, browser: Browser, *, ask: dict[str, Any] | None = None, **options: Any) -> Any:
        """The whole way from the application to the page that posts the answer to it."""
        return self.answer(browser, self.ask(browser, **(ask or {})), **options)

    def read(self, page: Any, *, request_id: str | None = "_the-request", **options: Any) -> Answer:
        """What the application makes of the answer that a page posts. The address and the fields are the page's."""
        url, fields = posted(page)
        assert url in self.sp.acs_urls, url
        options = {"acs_url": url, "now": timezone.now()} | options
        return self.sp.read(
            fields,
            idp_key=saml_signing_certificates()[0],
            idp=f"{settings.BROKER_BASE_URL}/saml/idp/metadata",
            request_id=request_id,
            **options,
        )


def posted(page: Any) -> tuple[str, dict[str, str]]:
    """The address and the fields of the one form in a page that leads away from us, as a browser would read them."""
    content = page.content.decode()
    forms = re.findall(r'<form[^>]* method="post" action="([^"]*)"[^>]*>(.*?)</form>', content, re.DOTALL)
    assert len(forms) == 1, content
    url, inside = forms[0]
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', inside)
    return html.unescape(url), {html.unescape(name): html.unescape(value) for name, value in fields}


def make_erp(
    *,
    company: Company | None = None,
    sp: FakeServiceProvider | None = None,
    release: tuple[str, ...] = ("email", "name", "groups"),
    metadata: dict[str, Any] | None = None,
    slug: str = "erp",
    **fields: Any,
) -> ERP:
    """The ERP. `fields` are its SAML face's; `metadata` what its metadata says (`FakeServiceProvider.metadata`)."""
    sp = sp or FakeServiceProvider()
    company = company or make_company()
    application = make_application(slug=slug, name="ERP", kind="erp", release=release)
    face = create_service_provider(application, actor=SYSTEM, metadata=sp.metadata(**(metadata or {})), **fields)
    return ERP(application, face, sp, company)


def xml_of(page: Any) -> bytes:
    """The XML of the Response that a page posts."""
    return base64.b64decode(posted(page)[1]["SAMLResponse"])
