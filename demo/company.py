"""The companies' configuration in a folder: `company.yaml` with the addresses in use, and every file that it names."""

from datetime import UTC, datetime
from pathlib import Path

from demo import erp, identity_provider
from demo.addresses import Addresses
from demo.application import ACCOUNTS
from demo.hr_system import SOURCE
from demo.integrations import CLIENTS, date_flows, keep_secret

HERE = Path(__file__).resolve().parent
COMPANY = "company.yaml"
APPLICATIONS = ("crm", "hr")
SECRETS = (*APPLICATIONS, *CLIENTS, SOURCE, ACCOUNTS)
"""Names of whom a file has a secret: applications and clients, HR's source, the CRM's accounts."""
SCHEMA = "words.cedarschema"
"""Declared before the configuration is applied."""
POLICIES = ("erp-orders.cedar", "hr-entrance.cedar")
FILES = (
    COMPANY,
    identity_provider.METADATA_FILE,
    erp.METADATA_FILE,
    *(f"{name}.secret" for name in SECRETS),
    SCHEMA,
    *POLICIES,
)


def write_company(folder: Path, addresses: Addresses) -> None:
    """Write FILES; secrets and keys that are there stay."""
    for name in SECRETS:
        keep_secret(folder, name)
    metadata = identity_provider.make_metadata(folder, sso_url=f"{addresses.identity_provider}/sso")
    (folder / identity_provider.METADATA_FILE).write_bytes(metadata)
    (folder / erp.METADATA_FILE).write_bytes(erp.make_metadata(folder, address=addresses.erp))
    company = addresses.readdress((HERE / COMPANY).read_text())
    (folder / COMPANY).write_text(date_flows(company, folder, today=datetime.now(UTC).date()))
    for name in (SCHEMA, *POLICIES):
        (folder / name).write_bytes((HERE / name).read_bytes())
