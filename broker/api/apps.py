from django.apps import AppConfig


class APIConfig(AppConfig):
    name = "broker.api"
    verbose_name = "Management API"
