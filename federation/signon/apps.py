from django.apps import AppConfig


class SignonConfig(AppConfig):
    name = "federation.signon"
    label = "signon"
    verbose_name = "Sign-on"
    default_auto_field = "django.db.models.BigAutoField"
