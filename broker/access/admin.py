"""Access in the console."""

from django.contrib import admin

from broker.access.decision_admin import DecisionAdmin
from broker.access.models import Decision, EnforcementPoint, Policy, PolicySchema, PolicySet, PolicyVersion
from broker.access.points_admin import EnforcementPointAdmin
from broker.access.policy_admin import PolicyAdmin, PolicySchemaAdmin, PolicySetAdmin, PolicyVersionAdmin

admin.site.register(EnforcementPoint, EnforcementPointAdmin)
admin.site.register(Policy, PolicyAdmin)
admin.site.register(PolicyVersion, PolicyVersionAdmin)
admin.site.register(PolicySet, PolicySetAdmin)
admin.site.register(PolicySchema, PolicySchemaAdmin)
admin.site.register(Decision, DecisionAdmin)
