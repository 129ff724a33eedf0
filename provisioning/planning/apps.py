from django.apps import AppConfig


class PlanningConfig(AppConfig):
    name = "provisioning.planning"
    label = "planning"
    verbose_name = "Plans and drift"
    default_auto_field = "django.db.models.BigAutoField"
