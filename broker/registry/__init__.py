"""Registry: the parties we trust, and for what.

Owns organisations and their proved domains, identity providers, applications with their SAML and OpenID faces,
clients, resources and flows. Does not own people (broker.directory) nor claims and release rules (federation.claims).
"""
