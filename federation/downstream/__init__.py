"""Downstream: the door to business applications.

Owns how an application's request is read and answered, per protocol, and the names by which SAML applications know
people. Does not own what is released of a person (settings.CLAIMS_RELEASER) or the sign-on itself (federation.signon).
"""
