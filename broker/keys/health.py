"""Whether this process can sign, for /health/ready."""

from broker.errors import BrokerError
from broker.findings import Finding
from broker.keys import services
from broker.keys.models import SigningKey


def check_signing_keys() -> list[Finding]:
    """Each needed kind of key has an active one, and its private side opens."""
    return [_look_at(use, algorithm) for use, algorithm in services.NEEDED]


def _look_at(use: SigningKey.Use, algorithm: SigningKey.Algorithm) -> Finding:
    name = f"key: {use} {algorithm}"
    try:
        key = services.signing_key(use, algorithm=algorithm)
    except BrokerError as error:
        return Finding(
            name,
            "fault",
            error.detail,
            "Restore BROKER_MASTER_KEYS with the key that sealed it; on a new installation run: manage.py rotate_keys",
        )
    return Finding(name, "ok", f"{key.kid} is active and opens")
