"""The command about plans and reconciliations, for `manage.py`.

Owns its arguments and its output; what it does is in the room's services.
"""
