"""Targets, the accounts and groups we keep there, and what was last wanted, sent and read of each.

Target is an application's SCIM service. RemoteAccount and RemoteGroup say what should be there and what was seen.
Hold and Destruction belong to the breaker, CatchUp to a target that was switched on again.
"""

from provisioning.outbound.models.catch_up import CatchUp
from provisioning.outbound.models.hold import Destruction, Hold
from provisioning.outbound.models.remote import RemoteAccount, RemoteGroup
from provisioning.outbound.models.target import Target

__all__ = ["CatchUp", "Destruction", "Hold", "RemoteAccount", "RemoteGroup", "Target"]
