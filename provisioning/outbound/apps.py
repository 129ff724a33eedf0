from django.apps import AppConfig


class OutboundConfig(AppConfig):
    name = "provisioning.outbound"
    label = "outbound"
    verbose_name = "Targets"
    default_auto_field = "django.db.models.BigAutoField"
