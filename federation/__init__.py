"""Wing one: browsers signing on.

Owns SAML and OpenID Connect as a browser carries them: the doors to corporate identity
providers (upstream) and to business applications (downstream), and the hall between (signon).
Stands on broker; does not know provisioning.
"""
