"""Every event that exists, with its severity. `manage.py write_docs` writes `docs/events.md` from this table."""

from dataclasses import dataclass

from broker.events.models import Event

_NOTICE, _WARNING, _ALERT = Event.Severity.NOTICE, Event.Severity.WARNING, Event.Severity.ALERT


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the catalogue: `thing.happened`."""

    name: str
    severity: Event.Severity
    meaning: str


LOGIN_SUCCEEDED = EventType("login.succeeded", _NOTICE, "A person signed on to an application.")
LOGIN_REFUSED = EventType("login.refused", _WARNING, "A sign-on was refused; the code says why.")
SESSION_ENDED = EventType("session.ended", _NOTICE, "A single sign-on session was ended.")
PERSON_CREATED = EventType("person.created", _NOTICE, "A person was recorded.")
PERSON_CHANGED = EventType("person.changed", _NOTICE, "A person's attributes or groups changed.")
PERSON_DEACTIVATED = EventType("person.deactivated", _WARNING, "A person's account was closed.")
PERSON_REACTIVATED = EventType("person.reactivated", _WARNING, "A person's account was opened again.")
AUTHORITY_CONFLICT = EventType(
    "authority.conflict", _WARNING, "A source said of a person what is not in force; the code says why."
)
AUTHORITY_SCHEDULED = EventType(
    "authority.scheduled",
    _WARNING,
    "An attribute gets other sources from a moment on; the details count whom it meets.",
)
AUTHORITY_WITHDRAWN = EventType(
    "authority.withdrawn", _WARNING, "A change of authority was taken back before it began."
)
AUTHORITY_APPLIED = EventType(
    "authority.applied", _WARNING, "A change of authority was applied to everybody; the details count them."
)
CONFLICT_RESOLVED = EventType("conflict.resolved", _NOTICE, "An operator decided what becomes of a conflict.")
GROUP_CREATED = EventType("group.created", _NOTICE, "A source told of a new group.")
GROUP_CHANGED = EventType("group.changed", _NOTICE, "A group's name or members changed; the details count them.")
GROUP_DELETED = EventType("group.deleted", _WARNING, "A source took a group away.")
IDENTITY_LINKED = EventType("identity.linked", _NOTICE, "An identity provider's subject was linked to a person.")
IDENTITY_UNLINKED = EventType("identity.unlinked", _WARNING, "A linked identity was removed.")
TOKEN_ISSUED = EventType("token.issued", _NOTICE, "Tokens were issued to a client.")
TOKEN_REFRESHED = EventType("token.refreshed", _NOTICE, "Tokens were refreshed.")
TOKEN_EXCHANGED = EventType("token.exchanged", _NOTICE, "A token was exchanged for one of a further resource.")
TOKEN_REFUSED = EventType("token.refused", _WARNING, "A token, userinfo or authorization request was refused.")
REFUSALS_COUNTED = EventType(
    "refusals.counted", _WARNING, "One address was refused so often that refusals were counted and not written."
)
GRANT_REVOKED = EventType("grant.revoked", _ALERT, "A grant with all its tokens was revoked.")
TOKEN_REVOKED = EventType(
    "token.revoked", _NOTICE, "A service gave one access token back; it ended with what was exchanged from it."
)
HOLDINGS_REVOKED = EventType(
    "holdings.revoked", _ALERT, "Everything that a client or a person held was revoked; the details count it."
)
PARTY_CREATED = EventType(
    "party.created", _NOTICE, "An organisation, provider, application, client, resource or flow was registered."
)
PARTY_CHANGED = EventType("party.changed", _NOTICE, "A registered party was changed.")
PARTY_RETIRED = EventType("party.retired", _WARNING, "A registered party was retired.")
CONFIGURATION_APPLIED = EventType("configuration.applied", _NOTICE, "A configuration file was applied.")
CLIENT_SECRET_ISSUED = EventType("client_secret.issued", _NOTICE, "A client got a secret.")
OLD_SECRET_USED = EventType(
    "client_secret.old_used", _WARNING, "A client used a secret although its successor is in use; told once a day."
)
CREDENTIAL_ENDED = EventType(
    "credential.ended", _NOTICE, "A client's secret, certificate or exception ended; the reason says why."
)
CREDENTIAL_EXPIRING = EventType(
    "credential.expiring", _WARNING, "A client's secret, certificate or exception ends soon; its owner is named."
)
KEY_CREATED = EventType("key.created", _NOTICE, "A key of ours was made.")
KEY_ACTIVATED = EventType("key.activated", _NOTICE, "A key of ours began to be used.")
KEY_RETIRED = EventType("key.retired", _NOTICE, "A key of ours stopped being used.")
OPERATOR_CREATED = EventType("operator.created", _WARNING, "A console account was made.")
OPERATOR_RESET = EventType("operator.reset", _ALERT, "A console account got a new one-time password.")
OPERATOR_SIGNED_IN = EventType("operator.signed_in", _NOTICE, "An operator signed in to the console.")
OPERATOR_REFUSED = EventType("operator.refused", _WARNING, "A sign-in to the console was refused.")
OPERATOR_LOCKED = EventType("operator.locked", _ALERT, "A console account was locked after wrong passwords.")
OPERATOR_CHANGED = EventType("operator.changed", _WARNING, "A console account was changed.")
TRACE_READ = EventType("trace.read", _NOTICE, "An operator opened a trace, which may show personal data.")
EVENTS_PRUNED = EventType("events.pruned", _WARNING, "Sealed events past their retention were deleted.")
REQUEST_REFUSED = EventType("request.refused", _WARNING, "A request outside any sign-on was refused.")
KEY_ERASED = EventType("key.erased", _NOTICE, "The private side of a retired key of ours was deleted.")
CONNECTION_TESTED = EventType(
    "connection.tested", _NOTICE, "An identity provider was tried out; the code says why it failed, if it did."
)
FLOW_PROPOSED = EventType("flow.proposed", _WARNING, "A client asked for the first time for what no flow allows.")
FLOW_ENDING = EventType("flow.ending", _WARNING, "A flow ends soon; the details name its owner and the days left.")
FLOW_ENDED = EventType("flow.ended", _WARNING, "A flow came to its last day, or an operator ended it.")
APPROVAL_REQUESTED = EventType("approval.requested", _NOTICE, "An operator asked for the approval of a second one.")
APPROVAL_APPROVED = EventType("approval.approved", _WARNING, "A second operator approved, and it came into force.")
APPROVAL_REFUSED = EventType("approval.refused", _WARNING, "A second operator refused what was asked for.")
APPROVAL_WITHDRAWN = EventType("approval.withdrawn", _NOTICE, "What was asked for was withdrawn before a decision.")
APPROVAL_EXPIRED = EventType("approval.expired", _NOTICE, "What was asked for waited too long.")
APPROVAL_DENIED = EventType(
    "approval.denied", _ALERT, "An operator tried to decide what was not theirs to decide; the code says why."
)
ACCESS_SEARCHED = EventType(
    "access.searched", _NOTICE, "A client searched for what is permitted; the details say how many were looked at."
)
POLICY_VERSION_ADDED = EventType("policy.version_added", _NOTICE, "A policy got a new version, not yet in force.")
POLICY_TRIED = EventType("policy.tried", _NOTICE, "A policy's version began to be tried beside what is in force.")
POLICY_TRIAL_ENDED = EventType("policy.trial_ended", _NOTICE, "A policy's version is tried no more.")
POLICY_ACTIVATED = EventType(
    "policy.activated", _ALERT, "A policy's version came into force, approved by a second operator."
)
POLICY_RETIRED = EventType(
    "policy.retired", _ALERT, "A policy's version went out of force, approved by a second operator."
)
POLICY_SCHEMA_CHANGED = EventType("policy.schema_changed", _WARNING, "What policies may speak of was declared anew.")
DECISION_READ = EventType("decision.read", _NOTICE, "An operator opened a decision, which may show personal data.")
LEAVER_OPENED = EventType(
    "leaver.opened", _WARNING, "A person left: the details name every item that has to be closed, with its digest."
)
LEAVER_ITEM_SETTLED = EventType(
    "leaver.item_settled", _NOTICE, "Items of a leaver's case changed their state; the details hold their digests."
)
LEAVER_GREEN = EventType("leaver.green", _NOTICE, "A leaver's case has no open item any more.")
LEAVER_LATE = EventType("leaver.late", _ALERT, "An item of a leaver's case was not closed within its deadline.")
LEAVER_TARGET_LIED = EventType(
    "leaver.target_lied", _ALERT, "A target said that it closed a leaver's account, and the account reads as open."
)
LEAVER_ACCESS_RETURNED = EventType(
    "leaver.access_returned", _ALERT, "A leaver's account that was read back closed reads as open again."
)
LEAVER_RETURNED = EventType("leaver.returned", _NOTICE, "A leaver came back: the case is over, with its history.")
LEAVER_EXPORTED = EventType("leaver.exported", _NOTICE, "A leaver's certificate was exported.")
LEAVER_ASKED_AGAIN = EventType(
    "leaver.asked_again", _NOTICE, "An operator had targets asked about a leaver's accounts at once."
)
LEAVER_FORGOTTEN = EventType("leaver.forgotten", _WARNING, "A leaver's case was deleted past its retention.")
WEBHOOK_DISABLED = EventType("webhook.disabled", _ALERT, "A webhook was switched off: its receiving end is gone.")
WEBHOOK_REPLAYED = EventType("webhook.replayed", _NOTICE, "Events of a time were sent once more to a webhook.")
TARGET_COMPARED = EventType(
    "target.compared", _NOTICE, "A target was read wholly and compared with ours; the details count what differs."
)
TARGET_NOT_COMPARED = EventType(
    "target.not_compared", _ALERT, "A target could not be read wholly, so nothing was compared; the code says why."
)
DRIFT_FOUND = EventType(
    "drift.found", _WARNING, "A reconciliation saw differences that no run before it saw; the details count them."
)
DRIFT_REPAIRED = EventType(
    "drift.repaired", _NOTICE, "A reconciliation no longer saw differences of before; the details count them."
)
PLAN_APPLIED = EventType(
    "plan.applied", _WARNING, "An operator let a plan be carried out; the details count what was sent and held."
)
BREAKER_TRIPPED = EventType(
    "breaker.tripped", _ALERT, "More disables and deletions than a target may lose within an hour: they wait."
)
BREAKER_RELEASED = EventType(
    "breaker.released", _ALERT, "Held disables and deletions were released by a second operator."
)
BREAKER_REFUSED = EventType(
    "breaker.refused", _WARNING, "Held disables and deletions were refused and will not be sent."
)
SCIM_MEMBERS_UNKNOWN = EventType(
    "scim.members_unknown", _WARNING, "A source named members of a group that it has not told of; they wait for them."
)
SCIM_MEMBERS_JOINED = EventType(
    "scim.members_joined", _NOTICE, "A person arrived for whom groups had been waiting, and joined them."
)
SCIM_TOKEN_ISSUED = EventType("scim.token_issued", _NOTICE, "A source of people got a token.")
SCIM_TOKEN_ENDED = EventType("scim.token_ended", _NOTICE, "A token of a source of people was ended.")
SCIM_REFUSED = EventType(
    "scim.refused", _WARNING, "A request of a source of people was refused before anything was written."
)
SCIM_JOURNAL_READ = EventType(
    "scim.journal_read", _NOTICE, "An operator opened a journal entry, which may show personal data."
)
NOTICE_FAILED = EventType(
    "notice.failed", _ALERT, "A reader fails at an event, which is tried again later and later; told once for each."
)
DELIVERY_SETTLED = EventType(
    "delivery.settled", _NOTICE, "It was decided what became of deliveries; the details hold each row's digest."
)
DELIVERY_DEAD = EventType(
    "delivery.dead", _ALERT, "Deliveries were given up; they wait for an operator, who retries or writes them off."
)
DELIVERY_LATE = EventType("delivery.late", _ALERT, "Deliveries that must arrive have not arrived in their time.")
DELIVERY_RETRIED = EventType("delivery.retried", _WARNING, "An operator let a delivery be attempted again.")
DELIVERY_WRITTEN_OFF = EventType(
    "delivery.written_off", _ALERT, "An operator gave a delivery up for good; the details say why."
)
HOLD_RELEASED = EventType("delivery.hold_released", _WARNING, "Deliveries that were held back may go.")
HOLD_DROPPED = EventType("delivery.hold_dropped", _WARNING, "Deliveries that were held back will not be sent.")
DELIVERIES_PRUNED = EventType("delivery.pruned", _NOTICE, "Settled deliveries past their retention were deleted.")
LANE_BROKEN = EventType("lane.broken", _ALERT, "A receiver stopped answering; it is tried again later and later.")
LANE_RECOVERED = EventType("lane.recovered", _NOTICE, "A receiver that did not answer answers again.")
LANE_STOPPED = EventType(
    "lane.stopped", _ALERT, "A receiver refuses us; nothing is sent to it until an operator resumes its lane."
)
LANE_PAUSED = EventType("lane.paused", _WARNING, "An operator paused a lane.")
LANE_RESUMED = EventType("lane.resumed", _WARNING, "An operator let a lane go on.")
IMPORT_DONE = EventType("import.done", _NOTICE, "A file of people was applied; the details count its rows.")
IMPORT_HELD = EventType(
    "import.held", _ALERT, "A file of people leaves so many out that a second operator has to approve their closing."
)
ACCOUNT_ADOPTED = EventType(
    "target.account_adopted", _WARNING, "A target had an account already, which is kept for the person from now on."
)
TARGET_LIED = EventType(
    "target.lied", _ALERT, "A target said that it had closed or deleted an account, and read back it had not."
)
TARGET_PROBED = EventType("target.probed", _NOTICE, "It was tried out what a target can do; the code says why not.")
TARGET_EMPTIED = EventType(
    "target.emptied", _ALERT, "Two operators took a target for empty: its accounts are made anew, and counted."
)
TARGET_CAUGHT_UP = EventType(
    "target.caught_up",
    _NOTICE,
    "A target was switched on or emptied, and what it lacked was asked for and counted; the code says why not.",
)
TARGET_CREDENTIAL_CHANGED = EventType(
    "target.credential_changed", _WARNING, "The credential with which we write to a target was replaced."
)

CATALOGUE: dict[str, EventType] = {
    value.name: value for value in list(globals().values()) if isinstance(value, EventType)
}
