"""Tests of the SAML vocabulary and its verifier; every message is signed by python-xmlsec."""
