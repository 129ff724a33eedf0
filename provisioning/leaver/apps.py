from django.apps import AppConfig


class LeaverConfig(AppConfig):
    name = "provisioning.leaver"
    label = "leaver"
    verbose_name = "Leavers"
    default_auto_field = "django.db.models.BigAutoField"
