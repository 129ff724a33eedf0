"""How a SAML application knows a person: persistent and pairwise, by e-mail address, or anew in each session.

The application's setting is the most that it may know. A request may ask for that or for less (NameIDPolicy), in this
order: transient, persistent, email.
"""

from collections.abc import Mapping
from uuid import UUID

from broker.directory.identifiers import comparable
from broker.directory.models import Identifier, Person
from broker.errors import BrokerError
from broker.registry.models import Application, ServiceProvider
from broker.registry.services import proved_domains
from broker.sessions.models import Participant
from broker.sessions.services import transient_name_of
from broker.statements import Parameter, Read
from federation.downstream.addresses import entity_id
from federation.downstream.models import PairwiseNameID
from federation.saml.names import (
    NAME_ID_EMAIL,
    NAME_ID_PERSISTENT,
    NAME_ID_TRANSIENT,
    NAME_ID_UNSPECIFIED,
)
from federation.saml.verified import NameID, NameIDPolicy
from federation.saml.writable import is_writable

Kind = ServiceProvider.NameID
FORMATS: Mapping[str, str] = {
    Kind.TRANSIENT: NAME_ID_TRANSIENT,
    Kind.PERSISTENT: NAME_ID_PERSISTENT,
    Kind.EMAIL: NAME_ID_EMAIL,
}
"""Setting -> format, what tells least first."""
_KINDS = {uri: kind for kind, uri in FORMATS.items()}
_TELLS = {kind: rank for rank, kind in enumerate(FORMATS)}
_ANY = ("", NAME_ID_UNSPECIFIED, "urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified")
"""Formats that ask for nothing; the last is in no specification, and in many requests."""


def kind_for(face: ServiceProvider, policy: NameIDPolicy) -> str:
    """The kind of NameID that answers `policy`. Raises saml_idp.name_id where the application may not have it."""
    if policy.sp_name_qualifier not in ("", face.entity_id):
        raise BrokerError(
            "saml_idp.name_id", expected=f"the SPNameQualifier {face.entity_id}", actual=policy.sp_name_qualifier
        )
    if policy.format in _ANY:
        return face.name_id
    kind = _KINDS.get(policy.format)
    if kind is None or _TELLS[kind] > _TELLS[face.name_id]:
        allowed = [uri for one, uri in FORMATS.items() if _TELLS[one] <= _TELLS[face.name_id]]
        raise BrokerError("saml_idp.name_id", expected=" or ".join(allowed), actual=policy.format)
    return kind


def name_id_of(person: Person, face: ServiceProvider, *, kind: str, participant: Participant) -> NameID:
    """The person's NameID for this application, which takes part as `participant`.

    Raises saml_idp.name_id when there is no such name. A first persistent NameID is made whatever AllowCreate says:
    local policy has let the person in already.
    """
    if kind == Kind.EMAIL:
        email = email_of(person)
        if not is_writable(email):
            raise BrokerError("saml_idp.name_id", expected="a person with an e-mail address", actual="none")
        return NameID(email, NAME_ID_EMAIL)
    value = transient_name_of(participant) if kind == Kind.TRANSIENT else pairwise(person, face.application)
    return NameID(value, FORMATS[kind], name_qualifier=entity_id(), sp_name_qualifier=face.entity_id)


def told_name_id(participant: Participant, face: ServiceProvider) -> NameID:
    """The person's NameID as this application was told it in this session."""
    if participant.name_id not in ({}, Participant.PERSISTENT):
        return NameID(**participant.name_id)
    if participant.transient_name:
        return NameID(participant.transient_name, NAME_ID_TRANSIENT, entity_id(), face.entity_id)
    value = pairwise(participant.session.person, participant.application)
    return NameID(value, NAME_ID_PERSISTENT, entity_id(), face.entity_id)


def check_wanted_person(person: Person, face: ServiceProvider, *, wanted: NameID) -> None:
    """The person who signed on is the one whom the request's Subject names (SAML core 3.4.1.4).

    Raises saml_idp.subject.
    """
    if wanted.format == NAME_ID_PERSISTENT:
        is_same = wanted.value == pairwise(person, face.application)
    else:
        email = email_of(person)
        is_same = bool(email) and comparable(wanted.value) == comparable(email)
    if not is_same:
        raise BrokerError("saml_idp.subject", expected=f"the person of the request's Subject ({wanted.format})")


def can_be_compared(wanted: NameID) -> bool:
    """Whether a request's Subject names a person in a way that `check_wanted_person` knows."""
    return wanted.format in (NAME_ID_PERSISTENT, NAME_ID_EMAIL) or (wanted.format in _ANY and "@" in wanted.value)


def email_of(person: Person) -> str:
    """The person's e-mail address inside a domain that is proved now; empty when there is none."""
    email = person.held_identifiers.get(Identifier.Kind.EMAIL, "")
    return email if email.rpartition("@")[2].lower() in proved_domains(person.organisation_id) else ""


def pairwise(person: Person, application: Application) -> str:
    """The person's persistent NameID for this application, made at the first time."""
    known = _PAIRWISE.first(application=application.pk, person=person.pk)
    if known is None:
        made, _ = PairwiseNameID.objects.get_or_create(application=application, person=person)
        known = (made.value,)
    return str(known[0])


_PAIRWISE = Read[tuple[UUID]](
    lambda: (
        PairwiseNameID.objects.filter(
            application=Parameter(PairwiseNameID, "application"), person=Parameter(PairwiseNameID, "person")
        )
        .order_by()
        .values_list("value")
    )
)
