from django.urls import path

from broker.api import authority, clients, conflicts, decisions, deliveries, flows, grants, pages, people, resources

urlpatterns = [
    path("api/v1/clients", clients.Clients.as_view(), name="api_clients"),
    # A client_id may be an address, with slashes.
    path("api/v1/clients/<path:client_id>/secrets", clients.Secrets.as_view(), name="api_client_secrets"),
    path("api/v1/clients/<path:client_id>/secrets/<int:secret_id>", clients.OneSecret.as_view(), name="api_secret"),
    path("api/v1/clients/<path:client_id>", clients.OneClient.as_view(), name="api_client"),
    path("api/v1/flows", flows.Flows.as_view(), name="api_flows"),
    path("api/v1/flows/<int:flow_id>", flows.OneFlow.as_view(), name="api_flow"),
    path("api/v1/resources", resources.Resources.as_view(), name="api_resources"),
    path("api/v1/approvals", resources.Approvals.as_view(), name="api_approvals"),
    path("api/v1/approvals/<int:approval_id>", resources.OneApproval.as_view(), name="api_approval"),
    path("api/v1/grants", grants.Grants.as_view(), name="api_grants"),
    path("api/v1/grants/<uuid:grant_id>", grants.OneGrant.as_view(), name="api_grant"),
    path("api/v1/decisions", decisions.Decisions.as_view(), name="api_decisions"),
    path("api/v1/decisions/<uuid:decision_id>", decisions.OneDecision.as_view(), name="api_decision"),
    path("api/v1/people", people.People.as_view(), name="api_people"),
    path("api/v1/people/<uuid:person_id>", people.OnePerson.as_view(), name="api_person"),
    path("api/v1/people/<uuid:person_id>/attributes", people.Attributes.as_view(), name="api_person_attributes"),
    path("api/v1/conflicts", conflicts.Conflicts.as_view(), name="api_conflicts"),
    path("api/v1/conflicts/<int:conflict_id>", conflicts.OneConflict.as_view(), name="api_conflict"),
    path("api/v1/authority/simulation", authority.SimulatedRule.as_view(), name="api_authority_simulation"),
    path("api/v1/authority/rules", authority.AuthorityRules.as_view(), name="api_authority_rules"),
    path("api/v1/authority/rules/<int:rule_id>", authority.OneAuthorityRule.as_view(), name="api_authority_rule"),
    path("api/v1/deliveries", deliveries.Deliveries.as_view(), name="api_deliveries"),
    path("api/v1/deliveries/<int:delivery_id>", deliveries.OneDelivery.as_view(), name="api_delivery"),
    path("api/schema", pages.schema, name="api_schema"),
    path("api/docs", pages.docs, name="api_docs"),
]
