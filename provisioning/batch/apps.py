from django.apps import AppConfig


class BatchConfig(AppConfig):
    name = "provisioning.batch"
    label = "batch"
    verbose_name = "Imports of people"
    default_auto_field = "django.db.models.BigAutoField"
