"""A business application, downstream of us."""

from typing import ClassVar

from django.db import models

from broker.registry.models.party import Party, unique_while_live


class Application(Party):
    """A business system. Its SAML face is a ServiceProvider, its OpenID face a Client of kind sign_on."""

    class Kind(models.TextChoices):
        ERP = "erp", "ERP"
        CRM = "crm", "CRM"
        HR = "hr", "HR"
        OTHER = "other"

    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.OTHER)
    owner = models.EmailField(blank=True)
    home_url = models.URLField(max_length=1024, blank=True, help_text="where a person starts it")

    class Meta(Party.Meta):
        constraints: ClassVar = [unique_while_live("slug", "registry_application_slug")]
