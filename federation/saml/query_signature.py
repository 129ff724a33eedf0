"""Verifying the signature that stands beside a Redirect message, over its raw octets (SAML bindings 3.4.4.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import BrokerError
from broker.traces.collector import Collector
from federation.checks import Compared, run_checks
from federation.saml.algorithms import SIGNATURE_METHODS
from federation.saml.bindings import QuerySignature
from federation.saml.signature import compare_signature


@dataclass(frozen=True, slots=True)
class QueryCase:
    """A signature and who may have made it; `certificates` are DER and the only source of keys."""

    signature: QuerySignature
    certificates: Sequence[bytes]


def verify_query(signature: QuerySignature, *, certificates: Sequence[bytes], trace: Collector, subject: str) -> None:
    """Raises saml.algorithm and saml.signature."""
    run_checks(QUERY_CHECKS, QueryCase(signature, certificates), trace=trace, subject=subject)


def check_signature_method(case: QueryCase) -> Compared:
    actual = case.signature.algorithm
    if actual not in SIGNATURE_METHODS:
        raise BrokerError("saml.algorithm", expected="RSA or ECDSA with SHA-2", actual=actual[:200])
    return "RSA or ECDSA with SHA-2", actual


def check_signature_value(case: QueryCase) -> Compared:
    method = SIGNATURE_METHODS[case.signature.algorithm]
    return compare_signature(case.signature.octets, case.signature.value, method=method, certificates=case.certificates)


QUERY_CHECKS = (check_signature_method, check_signature_value)
