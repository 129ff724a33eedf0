"""The door to standardwebhooks: what stands in the headers of one attempt."""

from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook


def signed_headers(body: bytes, *, message_id: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """`webhook-id`, `-timestamp` and `-signature`, with one signature for each secret, the newest first."""
    text = body.decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(one).sign(message_id, now, text) for one in secrets),
    }
