"""Sending the browser on."""

from functools import cache

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import iri_to_uri
from django.utils.html import format_html, format_html_join

from broker.http import no_store
from federation.assertions import Answer
from federation.signon import cookies
from federation.signon.steps import Step

_FORM = "(the form and its fields)"


class SeeOther(HttpResponse):
    """303: the browser follows with GET, whatever it came with. Any scheme: native applications have their own.

    And any length: Django's own redirect refuses long addresses, when the code in it is issued already. The addresses
    come from the registry and from our own doors, never from the message alone.
    """

    def __init__(self, url: str) -> None:
        super().__init__(status=303, headers={"Location": iri_to_uri(url)})


def send(answer: Answer) -> HttpResponse:
    """Redirect to the answer's address, or post its fields there."""
    if answer.fields is None:
        return no_store(SeeOther(answer.url))
    before, after = _form_page()
    inputs = format_html_join("", '<input type="hidden" name="{}" value="{}">', answer.fields.items())
    form = format_html('<form id="pass-on" method="post" action="{}">{}', answer.url, inputs)
    return no_store(HttpResponse([before, form, after]))


@cache
def _form_page() -> tuple[str, str]:
    """The page with the form, up to the form's opening tag and from behind its fields: the same for everybody."""
    before, _, after = render_to_string("signon/post_form.html", {"form_with_fields": _FORM}).partition(_FORM)
    return before, after


def follow(step: Step, *, browser: str) -> HttpResponse:
    """Carry out a step: on to the next site, or to the page that asks; with the cookies that belong to it."""
    if step.answer is not None:
        response = send(step.answer)
    else:
        assert step.login is not None  # noqa: S101 - a step has an answer or asks the person of a stored login
        response = no_store(SeeOther(f"{reverse('choose_identity_provider')}?flow={step.login.relay_state}"))
    if step.login is not None:
        cookies.set_flow_browser(response, browser)
    if step.session_handle:
        cookies.set_session_handle(response, step.session_handle)
    return response
