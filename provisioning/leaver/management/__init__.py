"""Commands of leavers, for `manage.py`. What they do is in the room."""
