"""Operators in the console."""

from tests.broker.console.conftest import console, make_operator, sign_in, viewer_console

__all__ = ["console", "make_operator", "sign_in", "viewer_console"]
