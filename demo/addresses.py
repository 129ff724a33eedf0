"""Where everything answers: one host, Countersign's port and the three behind it."""

from dataclasses import dataclass

DEFAULT_PORT = 8000


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses for a base port. Files of the demonstration name those of the default port."""

    port: int

    @property
    def ports(self) -> dict[str, int]:
        """The companions' ports by name."""
        names = ("identity provider", "CRM", "HR portal")
        return {name: self.port + 1 + place for place, name in enumerate(names)}

    @property
    def broker(self) -> str:
        return _address(self.port)

    @property
    def identity_provider(self) -> str:
        return _address(self.port + 1)

    @property
    def crm(self) -> str:
        return _address(self.port + 2)

    @property
    def hr(self) -> str:
        return _address(self.port + 3)

    def readdress(self, text: str) -> str:
        """`text` with the default port's addresses replaced by ours."""
        usual = Addresses(DEFAULT_PORT)
        for name in ("broker", "identity_provider", "crm", "hr"):
            text = text.replace(getattr(usual, name), f"\0{name}\0")
        for name in ("broker", "identity_provider", "crm", "hr"):
            text = text.replace(f"\0{name}\0", getattr(self, name))
        return text


def _address(port: int) -> str:
    return f"http://localhost:{port}"
