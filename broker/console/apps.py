from django.apps import AppConfig
from django.contrib.admin import apps as admin


class ConsoleConfig(AppConfig):
    default = True
    name = "broker.console"
    label = "console"
    verbose_name = "Console"
    default_auto_field = "django.db.models.BigAutoField"


class AdminConfig(admin.AdminConfig):
    """Makes the console the default admin site, with which every room's `admin.py` registers."""

    default = False
    default_site = "broker.console.site.ConsoleSite"
