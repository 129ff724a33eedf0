"""Every kind of door, in the order in which they are closed: first what opens others."""

from provisioning.leaver.doors.applications import ApplicationDoor
from provisioning.leaver.doors.base import Door
from provisioning.leaver.doors.grants import AccessTokenDoor, GrantDoor
from provisioning.leaver.doors.operators import OperatorDoor
from provisioning.leaver.doors.ownership import OwnershipDoor
from provisioning.leaver.doors.sessions import SessionDoor
from provisioning.leaver.doors.targets import TargetDoor

DOORS: tuple[Door, ...] = (
    SessionDoor(),
    GrantDoor(),
    AccessTokenDoor(),
    OperatorDoor(),
    ApplicationDoor(),
    TargetDoor(),
    OwnershipDoor(),
)
