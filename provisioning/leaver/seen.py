"""What a reading of an account can come to. The ledger keeps the word as the detail of the confirmed row."""

from enum import StrEnum

KIND = "leaver.read"


class Seen(StrEnum):
    INACTIVE = "inactive"
    ABSENT = "absent"
    ACTIVE = "active"
