"""A platform that gives its workloads tokens, shaped like a Kubernetes API server: a real HTTP server, real signatures.

No `typ`, the audience in a list, a subject that names the service account, an hour of life, and claims of its own.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.fake_op import Answer, FakeOpenIDProvider
from tests.fakes.tokens import Signer, es256, forge, rs256

SUBJECT = "system:serviceaccount:erp:nightly-export"
JWKS_PATH = "/openid/v1/jwks"


class FakeWorkloadIssuer(FakeOpenIDProvider):
    """See `running_platform`."""

    @property
    def jwks_url(self) -> str:
        return f"{self.issuer}{JWKS_PATH}"

    def discovery(self) -> dict[str, Any]:
        """As an API server tells it: no authorization and no token endpoint."""
        honest = {
            "issuer": self.issuer,
            "jwks_uri": self.jwks_url,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return {name: value for name, value in (honest | self.document).items() if value is not ...}

    def answer_to(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return super().answer_to(method, "/jwks" if path == JWKS_PATH else path, headers, body)

    def token(
        self,
        *,
        audience: str | list[str],
        header: dict[str, Any] | None = None,
        sign: Signer | None = None,
        **claims: Any,
    ) -> str:
        """A projected service account token; a claim or header member of ... is left out."""
        kid, key = next(iter(self.keys.items()))
        now = int(time.time())
        honest = {
            "iss": self.issuer,
            "sub": SUBJECT,
            "aud": [audience] if isinstance(audience, str) else audience,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "jti": "5f1c0c2e-2e1b-4c53-9d54-0f9b9d5d2f43",
            "kubernetes.io": {
                "namespace": "erp",
                "pod": {"name": "nightly-export-7c9", "uid": "c2a9"},
                "serviceaccount": {"name": "nightly-export", "uid": "71b2"},
            },
        }
        algorithm, signer = ("RS256", rs256(key)) if isinstance(key, rsa.RSAPrivateKey) else ("ES256", es256(key))
        head = {"alg": algorithm, "kid": kid} | (header or {})
        return forge(
            {name: value for name, value in head.items() if value is not ...},
            {name: value for name, value in (honest | claims).items() if value is not ...},
            sign or signer,
        )


@contextmanager
def running_platform(
    *, key_number: int = 8, address: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[FakeWorkloadIssuer]:
    """A platform that answers for as long as the block lasts; it signs with the suite's RSA key `key_number`."""
    platform = FakeWorkloadIssuer(key_number=key_number, address=address)
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()
