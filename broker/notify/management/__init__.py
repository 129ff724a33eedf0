"""Commands about webhooks, for `manage.py`.

Owns their arguments and their output; what they do is in the room's services.
"""
