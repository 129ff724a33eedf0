"""Approvals: what one operator asks for comes into force when another human approves it.

Owns the questions, who asked and decided them, and the rule that nobody approves their own.
Does not own what is approved: each kind has its handler in another room, named in settings.APPROVAL_HANDLERS.
"""
