from django.apps import AppConfig


class InboundConfig(AppConfig):
    name = "provisioning.inbound"
    label = "inbound"
    verbose_name = "Sources of people"
    default_auto_field = "django.db.models.BigAutoField"
