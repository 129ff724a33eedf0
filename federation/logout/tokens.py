"""Logout tokens of ours (OpenID Connect Back-Channel Logout 1.0 section 2.4)."""

import secrets
from datetime import datetime
from typing import Any

from django.conf import settings

from broker import limits
from broker.keys import jose
from broker.keys.models import SigningKey
from broker.keys.services import signing_key
from broker.registry.models import Client
from broker.sessions.models import Participant
from broker.tokens.subjects import subject_of

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_TYPE = "logout+jwt"
JTI_BYTES = 20


def make_logout_token(participant: Participant, client: Client, *, now: datetime) -> str:
    """A token that tells `client` of the end of this participation; a new one for each attempt.

    It is signed as the client's ID tokens are, and names the session as they did. Beside it stands the person, unless
    the client is told the session alone: there are applications that end all of a person's sessions when they see one.
    Raises BrokerError (service.unavailable) without a signing key.
    """
    key = signing_key(SigningKey.Use.TOKEN, algorithm=SigningKey.Algorithm(client.id_token_algorithm))
    claims: dict[str, Any] = {
        "iss": settings.BROKER_BASE_URL,
        "aud": client.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + limits.LOGOUT_MESSAGE_LIFETIME).timestamp()),
        "jti": secrets.token_urlsafe(JTI_BYTES),
        "sid": str(participant.pk),
        "events": {LOGOUT_EVENT: {}},
    }
    return jose.sign(claims | _subject(participant, client), key=key, typ=LOGOUT_TOKEN_TYPE)


def _subject(participant: Participant, client: Client) -> dict[str, str]:
    if client.backchannel_logout_session_required:
        return {}
    return {"sub": subject_of(client, participant.session.person)}
