"""Registry: the parties we trust, and for what.

Owns organisations and their proved domains, identity providers, applications with their SAML and OpenID faces,
clients with their credentials and the evidence of their use, resources and flows. Does not own people
(broker.directory) nor claims and release rules (federation.claims).
"""
