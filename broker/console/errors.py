"""What the console refuses to its operators."""


class OperatorRefused(Exception):
    """A change of console accounts that is not allowed. The message is for the operator who asked."""
