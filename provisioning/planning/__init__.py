"""Planning: whole targets compared with what should be there: plan, apply, reconcile.

Owns plans and their operations, the release of what the breaker holds, runs of reconciliation and the drift they found.
Does not own single deliveries (provisioning.outbound).
"""
