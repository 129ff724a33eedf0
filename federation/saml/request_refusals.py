"""The public codes of refused requests, beside those of refused answers."""

from collections.abc import Iterator
from contextlib import contextmanager

from broker.errors import BrokerError


@contextmanager
def refused_as_request() -> Iterator[None]:
    """Say of an application's request, as `saml_idp.…`, what `saml.…` says of an identity provider's answer.

    The steps are the same; who can mend what they find is not. Also a decorator.
    """
    try:
        yield
    except BrokerError as refusal:
        if not refusal.code.startswith("saml."):
            raise
        raise BrokerError(
            refusal.code.replace("saml.", "saml_idp.", 1),
            detail=refusal.detail,
            expected=refusal.expected,
            actual=refusal.actual,
        ) from refusal
