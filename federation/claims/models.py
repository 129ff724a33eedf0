"""What we believe, and what we tell."""

from django.db import models


class ClaimMapping(models.Model):
    """Which of an identity provider's attributes become which claim: {claim: [attribute names, best first]}."""

    identity_provider = models.OneToOneField(
        "registry.IdentityProvider", on_delete=models.CASCADE, related_name="claim_mapping"
    )
    claims = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"claims of {self.identity_provider}"


class ReleaseRule(models.Model):
    """Which claims an application is told."""

    application = models.OneToOneField("registry.Application", on_delete=models.CASCADE, related_name="release_rule")
    claims = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return f"release to {self.application}"


class ContextMapping(models.Model):
    """What an identity provider's authentication contexts mean: {its name: level of federation.contexts}."""

    identity_provider = models.OneToOneField(
        "registry.IdentityProvider", on_delete=models.CASCADE, related_name="context_mapping"
    )
    contexts = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"contexts of {self.identity_provider}"
