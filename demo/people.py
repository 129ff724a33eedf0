"""Who works at Acme and at Globex."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Employee:
    """One employee, as the company's directory knows her or him."""

    login: str
    domain: str
    given_name: str
    family_name: str
    department: str
    employee_id: str
    groups: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    @property
    def email(self) -> str:
        return f"{self.login}@{self.domain}"


ACME = {
    one.login: one
    for one in (
        Employee("alice", "acme.example", "Alice", "Moreau", "Sales", "A-1001", ("sales", "crm-editors")),
        Employee("bob", "acme.example", "Bob", "Okafor", "Human Resources", "A-1002", ("hr", "hr-editors")),
        Employee("carol", "acme.example", "Carol", "Lindqvist", "Engineering", "A-1003", ("engineering",)),
    )
}
GLOBEX = {
    one.login: one
    for one in (
        Employee("gina", "globex.example", "Gina", "Haddad", "Purchasing", "G-207", ("purchasing", "erp-approvers")),
        Employee("henry", "globex.example", "Henry", "Sato", "Logistics", "G-318", ("logistics",)),
    )
}
