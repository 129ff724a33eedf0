"""Registering: the only way in which a party is created, changed or retired.

Owns one file per party, each with a create, a change and a retire service that check the values, write the event
with what was before and after, and raise the registry's version, all in one transaction.
The configuration file (broker.operations) and the console's forms (registry.admin) both call them.
"""
