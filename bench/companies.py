"""Thousands of registered companies, each with an identity provider and one known person. Five RSA keys serve all.

Import it after Django is set up.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bench.alice import GROUPS, NAME, mail_at
from broker.directory.models import Group, Identifier, LinkedIdentity, Membership, Person
from broker.registry.cache import raise_version
from broker.registry.models import Application, Domain, HomeRealmDomain, IdentityProvider, Organisation
from federation.downstream.models import PairwiseNameID
from tests.fakes.fake_idp import FakeIdentityProvider
from tests.fakes.saml_keys import KeyPair, key_pair

KEYS = 5
BATCH: dict[str, Any] = {"batch_size": 500}


@dataclass(frozen=True, slots=True)
class Registered:
    """One company: its row, what really signs for it, and the domain for which it may speak."""

    identity_provider: IdentityProvider
    fake: FakeIdentityProvider
    domain: str


def register_companies(count: int) -> list[Registered]:
    """Register `count` SAML identity providers, enabled, with Alice at each as an earlier login would have left her."""
    now = datetime.now(UTC)
    organisations = Organisation.objects.bulk_create(
        [Organisation(slug=f"org-{n}", name=f"Company {n}", created_at=now) for n in range(count)], **BATCH
    )
    providers = IdentityProvider.objects.bulk_create(
        [
            IdentityProvider(
                slug=f"bench-{n}",
                name=f"Company {n}",
                organisation=owner,
                protocol=IdentityProvider.Protocol.SAML,
                issuer=f"https://bench-{n}.example/saml",
                sso_url=f"https://bench-{n}.example/sso",
                sso_binding="redirect",
                certificates=[{"der": _certificate(key_pair(_key_name(n)), n)}],
                created_at=now,
            )
            for n, owner in enumerate(organisations)
        ],
        **BATCH,
    )
    _make_people(providers, now)
    raise_version()
    return [
        Registered(
            provider,
            FakeIdentityProvider(provider.issuer, sso_url=provider.sso_url, key_name=_key_name(n)),
            f"{provider.slug}.example",
        )
        for n, provider in enumerate(providers)
    ]


def make_known_at(application: Application) -> None:
    """Everybody has signed on to this SAML application before."""
    PairwiseNameID.objects.bulk_create(
        [PairwiseNameID(application=application, person=person) for person in Person.objects.all()], **BATCH
    )


def _make_people(providers: Sequence[IdentityProvider], now: datetime) -> None:
    people = Person.objects.bulk_create(
        [Person(organisation=one.organisation, name=NAME, created_at=now, updated_at=now) for one in providers],
        **BATCH,
    )
    known = list(zip(people, providers, strict=True))
    LinkedIdentity.objects.bulk_create(
        [
            LinkedIdentity(
                person=person,
                identity_provider=provider,
                issuer=provider.issuer,
                subject="alice",
                linked_at=now,
                last_used_at=now,
            )
            for person, provider in known
        ],
        **BATCH,
    )
    Domain.objects.bulk_create(
        [
            Domain(organisation=one.organisation, name=f"{one.slug}.example", proof="operator", proved_at=now)
            for one in providers
        ],
        **BATCH,
    )
    Identifier.objects.bulk_create(
        [
            Identifier(person=person, kind=Identifier.Kind.EMAIL, value=mail, comparable=mail, since=now)
            for person, provider in known
            for mail in [mail_at(f"{provider.slug}.example")]
        ],
        **BATCH,
    )
    HomeRealmDomain.objects.bulk_create(
        [HomeRealmDomain(identity_provider=one, name=f"{one.slug}.example") for one in providers], **BATCH
    )
    for name in GROUPS:
        groups = Group.objects.bulk_create([Group(identity_provider=one, name=name) for one in providers], **BATCH)
        Membership.objects.bulk_create(
            [Membership(person=person, group=group, since=now) for person, group in zip(people, groups, strict=True)],
            **BATCH,
        )


def _key_name(number: int) -> str:
    return f"bench {number % KEYS}"


def _certificate(pair: KeyPair, number: int) -> str:
    """A certificate of its own over a shared key, as base64 of DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"bench-{number}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(pair.private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1000))
        .sign(pair.rsa, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
