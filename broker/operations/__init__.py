"""Operations: running an installation.

Owns configuration as code (plan, apply, export), the doctor, health, metrics and the embedded start.
Knows the other rooms by dotted names in settings.
"""
