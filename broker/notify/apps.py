from django.apps import AppConfig


class NotifyConfig(AppConfig):
    name = "broker.notify"
    label = "notify"
    verbose_name = "Webhooks"
    default_auto_field = "django.db.models.BigAutoField"
