"""The offline verifier as it is handed out."""

from pathlib import Path

NAME = "verify_leaver.py"
PATH = Path(__file__).with_name("offline") / NAME


def verifier_text() -> str:
    """The whole program."""
    return PATH.read_text(encoding="utf-8")
