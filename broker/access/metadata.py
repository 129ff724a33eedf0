"""What others are told of this policy decision point (AuthZEN section "Policy Decision Point Metadata")."""

from django.conf import settings
from django.urls import reverse


def describe_decision_point() -> dict[str, str]:
    """The metadata document. Its first member is the identifier into which its own address was inserted."""
    addresses = {
        "access_evaluation_endpoint": "access_evaluation",
        "access_evaluations_endpoint": "access_evaluations",
        "search_subject_endpoint": "access_search_subject",
        "search_resource_endpoint": "access_search_resource",
        "search_action_endpoint": "access_search_action",
    }
    return {
        "policy_decision_point": settings.BROKER_BASE_URL,
        **{member: f"{settings.BROKER_BASE_URL}{reverse(name)}" for member, name in addresses.items()},
    }
