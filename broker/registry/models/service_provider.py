"""An application's SAML face."""

from django.db import models

from broker.registry.models.application import Application


class ServiceProvider(models.Model):
    """What an application's SAML metadata says, and how it wants to be answered."""

    class NameID(models.TextChoices):
        PERSISTENT = "persistent"
        EMAIL = "email"
        TRANSIENT = "transient"

    class Sign(models.TextChoices):
        RESPONSE = "response"
        ASSERTION = "assertion"
        BOTH = "both"

    class Encrypt(models.TextChoices):
        AUTO = "auto"
        ALWAYS = "always"
        NEVER = "never"

    class RequireSigned(models.TextChoices):
        AUTO = "auto"
        ALWAYS = "always"
        NEVER = "never"

    application = models.OneToOneField(Application, on_delete=models.CASCADE, related_name="service_provider")
    entity_id = models.CharField(max_length=1024, unique=True)
    metadata = models.TextField()
    name_id = models.CharField(max_length=16, choices=NameID.choices, default=NameID.PERSISTENT)
    sign = models.CharField(max_length=16, choices=Sign.choices, default=Sign.BOTH)
    encrypt = models.CharField(max_length=8, choices=Encrypt.choices, default=Encrypt.AUTO)
    require_signed_requests = models.CharField(max_length=8, choices=RequireSigned.choices, default=RequireSigned.AUTO)
    idp_initiated = models.BooleanField(
        default=False, db_default=False, help_text="takes answers that it did not ask for"
    )

    def __str__(self) -> str:
        return self.entity_id
