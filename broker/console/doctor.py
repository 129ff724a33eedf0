"""What `manage.py doctor` asks of the console."""

from broker.console.models import Operator
from broker.findings import Finding

MAKE_ONE = "Run: manage.py create_operator EMAIL --name NAME --role operator"


def check_operators() -> list[Finding]:
    """Two operators who may change things: risky changes need four eyes, and one may forget the password."""
    accounts = list(Operator.objects.select_related("person"))
    able = [operator for operator in accounts if operator.may_change_things]
    if not able:
        text = f"none of {len(accounts)} console accounts may change anything"
        return [Finding("operators", "fault", text, MAKE_ONE)]
    if len(able) == 1:
        text = f"one of {len(accounts)} console accounts may change things; nobody could help this operator back in"
        return [Finding("operators", "warning", text, MAKE_ONE)]
    return [Finding("operators", "ok", f"{len(able)} of {len(accounts)} console accounts may change things")]
