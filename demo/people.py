"""Who works at Acme."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Employee:
    """One employee, as the company's directory knows her or him."""

    login: str
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
        return f"{self.login}@acme.example"


PEOPLE = {
    one.login: one
    for one in (
        Employee("alice", "Alice", "Moreau", "Sales", "A-1001", ("sales", "crm-editors")),
        Employee("bob", "Bob", "Okafor", "Human Resources", "A-1002", ("hr", "hr-editors")),
        Employee("carol", "Carol", "Lindqvist", "Engineering", "A-1003", ("engineering",)),
    )
}
