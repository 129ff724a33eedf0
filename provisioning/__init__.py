"""Wing two: accounts kept true. HR writes people to us, we carry them to the applications, and read back what arrived.

scim is the vocabulary below, inbound and outbound are the doors, batch reads files; planning and leaver stand above.
Stands on broker; does not know federation.
"""
