from django.apps import AppConfig


class LogoutConfig(AppConfig):
    name = "federation.logout"
    label = "logout"
    verbose_name = "Logout"
    default_auto_field = "django.db.models.BigAutoField"
