"""Sign-on: the hall, from "an application asks" to "the application is answered".

Owns the login request under way, home realm discovery and the pages a person sees.
The only room that sees both doors (upstream, downstream).
"""
