"""Console: the security team's own entrance.

Owns operators, their sign-in with lockout, and the admin site's look and dashboard.
An operator is never a person, but may be tied to one, so that a leaver's console account closes.
"""
