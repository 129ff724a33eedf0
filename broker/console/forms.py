"""The console's forms for signing in and for one's own password."""

from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm


class SignInForm(AuthenticationForm):
    """Address and password. The refusal is the same whatever the reason is."""

    error_messages = {
        "invalid_login": "This e-mail address and password do not open the console.",
        "inactive": "This e-mail address and password do not open the console.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail address"
        self.fields["username"].widget.attrs |= {"autocomplete": "username", "inputmode": "email"}


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """The old password and twice the new one, which has to be another."""

    def clean_new_password1(self) -> str:
        """Refuses the old password: a one-time password must not become a lasting one."""
        password = str(self.cleaned_data["new_password1"])
        if self.user.check_password(password):
            raise ValidationError("The new password must be another than the old one.", code="password_unchanged")
        return password
