"""Who an operator is, by address and password."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from broker.console.models import Operator
from broker.console.services import normalise_email

MAX_NAME_CHARS = 254


class OperatorBackend(ModelBackend):
    """Django's password backend over operators. It runs on every console request: a closed account ends at once.

    Every refusal looks the same and takes as long, whether the account exists, is closed or the password is wrong.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Operator | None:
        """The operator, or None: Django's own contract for backends."""
        if not username or password is None:
            return None
        return super().authenticate(request, username=normalise_email(username), password=password, **kwargs)

    def user_can_authenticate(self, user: Any) -> bool:
        """Open, and not tied to a person whose account is closed."""
        return isinstance(user, Operator) and user.may_enter

    def get_user(self, user_id: Any) -> Operator | None:
        """The operator of a session."""
        operator = Operator.objects.select_related("person").filter(pk=user_id).first()
        return operator if operator and operator.may_enter else None


def lockout_username(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The name under which failures are counted: another spelling of an address gives no further tries."""
    raw_name = (credentials or {}).get("username") or request.POST.get("username", "")
    return normalise_email(str(raw_name))[:MAX_NAME_CHARS]
