"""Sign-ons between foreign software: SimpleSAMLphp above us, mozilla-django-oidc and openid-client below us.

Owns the peers' configuration, their processes and a browser without scripts. Knows the broker from outside only: its
commands, its addresses and `parties.yaml`. `run.sh` installs what is needed and runs it all; see README.md.
"""
