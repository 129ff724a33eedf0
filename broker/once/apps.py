from django.apps import AppConfig


class OnceConfig(AppConfig):
    name = "broker.once"
    label = "once"
    verbose_name = "Once"
    default_auto_field = "django.db.models.BigAutoField"
