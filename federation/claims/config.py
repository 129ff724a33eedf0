"""`claims:` of an identity provider and `release:` of an application, in a configuration file."""

from typing import Any

from broker.actors import Actor
from broker.registry.config.table import Table
from broker.registry.values import BadValue
from federation.claims.models import ClaimMapping, ContextMapping, ReleaseRule
from federation.claims.registering import (
    check_attribute_name,
    check_claim,
    check_context,
    set_claim_mapping,
    set_contexts,
    set_release_rule,
)


class ClaimsKey:
    """`claims: {email: [mail, "urn:oid:…"]}`: attribute names per claim, best first. See KeyHook."""

    def read(self, table: Table, name: str) -> dict[str, list[str]] | None:
        """{claim: [attribute names]}"""
        inner = table.table(name)
        if inner is None:
            return None
        mapping: dict[str, list[str]] = {}
        for claim in inner.content:
            inner.checked(claim, check_claim)
            names = inner.texts(claim, check_attribute_name)
            if names == []:
                inner.problem(claim, "names no attribute")
            mapping[claim] = names or []
        return mapping

    def present(self) -> dict[str, Any]:
        """{slug of the identity provider: mapping}"""
        rows = ClaimMapping.objects.filter(identity_provider__retired_at=None).exclude(claims={})
        return dict(rows.values_list("identity_provider__slug", "claims"))

    def write(self, party: Any, value: Any, *, actor: Actor) -> None:
        """See KeyHook."""
        set_claim_mapping(party, value, actor=actor)


class ContextsKey:
    """`contexts: {"http://…/multipleauthn": mfa}`: what a provider's authentication contexts mean. See KeyHook."""

    def read(self, table: Table, name: str) -> dict[str, str] | None:
        """{its name: level}"""
        inner = table.table(name)
        if inner is None:
            return None
        contexts: dict[str, str] = {}
        for context in inner.content:
            level = inner.text(context) or ""
            try:
                check_context(context, level)
            except BadValue as error:
                inner.problem(context, str(error))
            contexts[context] = level
        return contexts

    def present(self) -> dict[str, Any]:
        """{slug of the identity provider: contexts}"""
        rows = ContextMapping.objects.filter(identity_provider__retired_at=None).exclude(contexts={})
        return dict(rows.values_list("identity_provider__slug", "contexts"))

    def write(self, party: Any, value: Any, *, actor: Actor) -> None:
        """See KeyHook."""
        set_contexts(party, value, actor=actor)


class ReleaseKey:
    """`release: [email, groups]`: the claims that an application is told. See KeyHook."""

    def read(self, table: Table, name: str) -> list[str] | None:
        """The claims, without repetition."""
        claims = table.texts(name, check_claim)
        return None if claims is None else list(dict.fromkeys(claims))

    def present(self) -> dict[str, Any]:
        """{slug of the application: claims}"""
        rows = ReleaseRule.objects.filter(application__retired_at=None)
        return dict(rows.values_list("application__slug", "claims"))

    def write(self, party: Any, value: Any, *, actor: Actor) -> None:
        """See KeyHook."""
        set_release_rule(party, value, actor=actor)


CLAIMS = ClaimsKey()
CONTEXTS = ContextsKey()
RELEASE = ReleaseKey()
