"""Access in the console."""

from django.contrib import admin

from broker.access.models import EnforcementPoint
from broker.access.points_admin import EnforcementPointAdmin

admin.site.register(EnforcementPoint, EnforcementPointAdmin)
