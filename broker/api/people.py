"""/people: who is known, and why each value is what it is. Sources write people; here they are read."""

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.api.base import Shown, View
from broker.api.paging import Order, answer_page
from broker.api.parameters import page_of, page_parameters
from broker.directory.authority import Explanation, explain_person
from broker.directory.models import Person

READ_PEOPLE, WRITE_PEOPLE = "people.read", "people.write"
FILTERS = {"organisation": "organisation__slug", "external_id": "external_id"}


class GroupShown(Shown):
    """A group that somebody is in."""

    id = serializers.UUIDField(allow_null=True)
    source = serializers.CharField(help_text="who tells of it, kind:slug", allow_blank=True)  # type: ignore[assignment]  # DRF takes fields off the class
    name = serializers.CharField()


class PersonShown(Shown):
    """Somebody whom we know, with the values that are in force."""

    id = serializers.UUIDField()
    organisation = serializers.CharField(help_text="slug")
    external_id = serializers.CharField(allow_null=True)
    active = serializers.BooleanField()
    name = serializers.CharField(allow_blank=True)
    given_name = serializers.CharField(allow_blank=True)
    family_name = serializers.CharField(allow_blank=True)
    identifiers = serializers.DictField(child=serializers.CharField(), help_text="email, eppn and user_name")
    claims = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    groups = GroupShown(many=True)
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SaidShown(Shown):
    """What one source says."""

    source = serializers.CharField(help_text="kind:slug")  # type: ignore[assignment]  # DRF takes fields off the class
    values = serializers.ListField(child=serializers.CharField(allow_blank=True))
    at = serializers.DateTimeField(help_text="since when it says so")
    evidence = serializers.CharField(allow_blank=True, help_text="trace:, journal: or event: and an id")
    in_force = serializers.BooleanField()
    standing = serializers.CharField(help_text="why it is in force, or is not")
    conflict = serializers.CharField(allow_blank=True, help_text="the code of the conflict that is recorded of it")


class AttributeShown(Shown):
    """Why an attribute is what it is."""

    attribute = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField(allow_blank=True))
    winner = serializers.CharField(allow_blank=True, help_text="the source whose value is in force; empty: none")
    rule = serializers.CharField(help_text="by which it won")
    sources = SaidShown(many=True)


class AttributesShown(Shown):
    """Everything that is known of a person."""

    person = serializers.UUIDField()
    version = serializers.IntegerField()
    attributes = AttributeShown(many=True)


def show_person(person: Person) -> dict[str, Any]:
    """A person as a caller sees them."""
    own = ("id", "external_id", "name", "given_name", "family_name", "claims", "version", "created_at", "updated_at")
    groups = [membership.group for membership in person.memberships.all()]
    shown = sorted(({"id": one.uid, "source": one.source, "name": one.name} for one in groups), key=str)
    return {str(name): getattr(person, name) for name in own} | {
        "organisation": person.organisation.slug,
        "active": person.is_active,
        "identifiers": {row.kind: row.value for row in person.identifiers.all()},
        "groups": shown,
    }


def show_explanation(found: Explanation) -> dict[str, Any]:
    """Why a value is what it is, as a caller sees it."""
    return {
        "attribute": found.attribute,
        "values": list(found.values),
        "winner": found.winner,
        "rule": found.rule,
        "sources": [
            {
                "source": one.source,
                "values": list(one.values),
                "at": one.at,
                "evidence": one.evidence,
                "in_force": one.is_winner,
                "standing": one.standing,
                "conflict": one.conflict,
            }
            for one in found.sources
        ],
    }


class People(View):
    """Whom we know."""

    scopes = {"GET": READ_PEOPLE}
    filters = FILTERS

    @extend_schema(parameters=page_parameters(FILTERS), responses=page_of(PersonShown))
    def get(self, request: Request) -> Response:
        """List people, those whose account is closed too."""
        return answer_page(_PEOPLE.all(), request, order=Order(("id",)), filters=FILTERS, represent=show_person)


class OnePerson(View):
    """One person."""

    scopes = {"GET": READ_PEOPLE}

    @extend_schema(responses=PersonShown)
    def get(self, request: Request, person_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Show a person."""
        return self.one(show_person(get_object_or_404(_PEOPLE, pk=person_id)))


class Attributes(View):
    """Where one person's values come from."""

    scopes = {"GET": READ_PEOPLE}

    @extend_schema(responses=AttributesShown)
    def get(self, request: Request, person_id: uuid.UUID) -> Response:  # noqa: ARG002 - DRF's signature
        """Say why each value of a person is what it is.

        Every source's value stands there with its time and evidence: the one in force and those that lost.
        """
        person = get_object_or_404(Person, pk=person_id)
        found = [show_explanation(one) for one in explain_person(person)]
        return Response({"person": person.pk, "version": person.version, "attributes": found})


_PEOPLE = Person.objects.select_related("organisation").prefetch_related("identifiers", "memberships__group")
