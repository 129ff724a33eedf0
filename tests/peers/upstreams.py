"""The identity providers of the sixteen runs: of each protocol two products, and a person of each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upstream:
    """An identity provider at `base`, the slug it is registered under, and a person there."""

    slug: str
    base: str
    name: str
    password: str

    @property
    def email(self) -> str:
        return f"{self.name}@{self.slug}.example"


SIMPLESAMLPHP = Upstream("both", "http://127.0.19.13:18100", "alice", "alice-password")
LEMONLDAP_SAML = Upstream("lemonldap-saml", "http://127.0.19.26:18100", "dwho", "dwho")
LEMONLDAP_OPENID = Upstream("lemonldap-openid", LEMONLDAP_SAML.base, "dwho", "dwho")
OPENID_PROVIDER = Upstream("openid-provider", "http://127.0.19.27:18100", "alice", "any")
OPENID_PROVIDER_JWT = Upstream("openid-provider-jwt", "http://127.0.19.28:18100", "alice", "any")
