"""Where everything answers: one host, Countersign's port and the six behind it."""

from dataclasses import dataclass

DEFAULT_PORT = 8000
NAMES = {
    "identity_provider": "identity provider",
    "crm": "CRM",
    "hr": "HR portal",
    "globex": "Globex's identity provider",
    "erp": "ERP",
    "hr_system": "HR system",
}
"""The companions in the order of their ports: our name for each, and how it is called to people."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses for a base port. Files of the demonstration name those of the default port."""

    port: int

    @property
    def ports(self) -> dict[str, int]:
        """The companions' ports, by what people call them."""
        return {called: self.port_of(name) for name, called in NAMES.items()}

    def port_of(self, name: str) -> int:
        """A companion's port."""
        return self.port + 1 + list(NAMES).index(name)

    def address_of(self, name: str) -> str:
        """Where people find the broker, or one of the companions."""
        return f"http://localhost:{self.port if name == 'broker' else self.port_of(name)}"

    @property
    def broker(self) -> str:
        return self.address_of("broker")

    @property
    def identity_provider(self) -> str:
        return self.address_of("identity_provider")

    @property
    def crm(self) -> str:
        return self.address_of("crm")

    @property
    def hr(self) -> str:
        return self.address_of("hr")

    @property
    def globex(self) -> str:
        return self.address_of("globex")

    @property
    def erp(self) -> str:
        return self.address_of("erp")

    @property
    def hr_system(self) -> str:
        return self.address_of("hr_system")

    def readdress(self, text: str) -> str:
        """`text` with the default port's addresses replaced by ours."""
        usual = Addresses(DEFAULT_PORT)
        for name in ("broker", *NAMES):
            text = text.replace(usual.address_of(name), f"\0{name}\0")
        for name in ("broker", *NAMES):
            text = text.replace(f"\0{name}\0", self.address_of(name))
        return text
