"""Which public credentials the registration of a client holds, under the names by which their use is written down."""

import hashlib

from broker.registry.credential_values import chained_certificates
from broker.registry.models import Client, CredentialKind

NAME_CHARS = 255


def registered_names(client: Client) -> list[tuple[CredentialKind, str]]:
    """(kind, name) of each key, certificate and workload of the client's method. Secrets are rows of their own."""
    match client.authentication:
        case Client.Authentication.PRIVATE_KEY_JWT:
            keys = client.jwks.get("keys", ())
            found = [(CredentialKind.KEY, key["kid"]) for key in keys if key.get("use", "sig") == "sig"]
            return [*found, (CredentialKind.WORKLOAD, workload_name(client))] if client.workload else found
        case Client.Authentication.TLS_CLIENT_AUTH:
            return [(CredentialKind.CERTIFICATE, tls_name(client))]
        case Client.Authentication.SELF_SIGNED_TLS_CLIENT_AUTH:
            thumbprints = [one["thumbprint"] for one in client.certificates]
            thumbprints += [one.thumbprint for one in chained_certificates(client.jwks)]
            return [(CredentialKind.CERTIFICATE, thumbprint) for thumbprint in dict.fromkeys(thumbprints)]
    return []


def workload_name(client: Client) -> str:
    """The issuer and subject of the client's workload."""
    return shortened(f"{client.workload['issuer']} {client.workload['subject']}")


def tls_name(client: Client) -> str:
    """The name in the certificate of a client whose certificates an authority issues, one after the other."""
    [(kind, text)] = client.tls.items()
    return shortened(f"{kind}={text}")


def shortened(name: str) -> str:
    """A name that does not fit the column is known by its beginning and its digest."""
    if len(name) <= NAME_CHARS:
        return name
    return f"{name[: NAME_CHARS - 18]}… {hashlib.sha256(name.encode()).hexdigest()[:16]}"
