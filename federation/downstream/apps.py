from django.apps import AppConfig


class DownstreamConfig(AppConfig):
    name = "federation.downstream"
    label = "downstream"
    verbose_name = "Applications' doors"
    default_auto_field = "django.db.models.BigAutoField"
