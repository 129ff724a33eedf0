"""The console's pages of plans, runs, drift, holds and watches, one file each."""

from provisioning.planning.drift_admin import DriftAdmin
from provisioning.planning.hold_admin import HoldAdmin
from provisioning.planning.plan_admin import PlanAdmin
from provisioning.planning.run_admin import RunAdmin
from provisioning.planning.watch_admin import WatchAdmin

__all__ = ["DriftAdmin", "HoldAdmin", "PlanAdmin", "RunAdmin", "WatchAdmin"]
