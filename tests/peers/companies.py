"""The companies of `parties.yaml` with SimpleSAMLphp, and what each one's identity provider does differently."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml

PARTIES = Path(__file__).parent / "parties.yaml"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"


@dataclass(frozen=True, slots=True)
class Habits:
    """How an identity provider signs, encrypts and names; `clock` is what `faketime` takes."""

    signed: Literal["response", "assertion", "both", "nothing"] = "both"
    encrypted: bool = False
    name_id: Literal["persistent", "transient", "email"] = "persistent"
    signature_algorithm: str = RSA_SHA256
    clock: str = ""
    mail_domain: str = ""


HABITS = {
    "response": Habits(signed="response"),
    "assertion": Habits(signed="assertion"),
    "both": Habits(),
    "encrypted": Habits(encrypted=True),
    "encrypted-response": Habits(signed="response", encrypted=True),
    "encrypted-assertion": Habits(signed="assertion", encrypted=True),
    "email": Habits(name_id="email"),
    "attribute": Habits(name_id="transient"),
    "transient": Habits(name_id="transient"),
    "foreign": Habits(mail_domain="both.example"),
    "unsigned": Habits(signed="nothing"),
    "sha1": Habits(signature_algorithm=RSA_SHA1),
    "rekeyed": Habits(),
    "slow": Habits(clock="-8m"),
    "fast": Habits(clock="+8m"),
}


@dataclass(frozen=True, slots=True)
class Company:
    """A company: `base` is the address of its identity provider, `domain` that of its people's e-mail."""

    slug: str
    base: str
    domain: str
    habits: Habits

    @property
    def metadata_url(self) -> str:
        return f"{self.base}/saml2/idp/metadata.php"


def read_companies() -> dict[str, Company]:
    """The companies by slug, from what the broker is told of them."""
    parties = yaml.safe_load(PARTIES.read_text())
    companies = {}
    for row in parties["identity_providers"]:
        if row["slug"] not in HABITS:
            continue
        address = urlsplit(row["metadata_url"])
        [domain] = row["home_realm_domains"]
        companies[row["slug"]] = Company(
            row["slug"], f"{address.scheme}://{address.netloc}", domain, HABITS[row["slug"]]
        )
    return companies
