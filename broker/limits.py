"""Every size, count, lifetime and rate in one table; `tests/broker/test_limits.py` has a test per row.

Sizes are bytes, counts are numbers of things, lifetimes are timedelta.
"""

from datetime import timedelta

# SAML messages
SAML_MESSAGE_BYTES = 256 * 1024
"""Decoded XML of one SAML message, and the inflated size of a Redirect message."""
SAML_POST_BYTES = 512 * 1024
"""A whole POST to a SAML endpoint: base64 of the message, percent-encoded, plus RelayState."""
SAML_DEPTH = 40
"""Nesting of elements in one SAML message."""
SAML_ELEMENTS = 10_000
SAML_ELEMENT_ATTRIBUTES = 64
"""XML attributes of one element."""
SAML_NAMESPACES = 64
"""Namespace declarations in force at one element, those of its ancestors included."""
SAML_PREFIXES = 16
"""Of the PrefixList of one canonicalisation. It is worked through before any signature is verified."""
SAML_ATTRIBUTES = 200
SAML_ATTRIBUTE_VALUES = 2_000
SAML_ATTRIBUTE_VALUE_CHARS = 4_096
SAML_NAME_ID_CHARS = 1_024
SAML_METADATA_BYTES = 2 * 1024 * 1024
"""Metadata of one entity; aggregates come later and are streamed."""
SAML_ENTITY_ID_CHARS = 1_024
"""SAML metadata 2.2.1."""
SAML_CERTIFICATES = 20
"""Of one role and use in metadata; more than a rollover needs."""
SAML_ENCRYPTED_KEYS = 4
"""In one encrypted assertion, one per recipient; each costs a private-key operation for each of our keys."""
SAML_SKEW = timedelta(seconds=60)
SAML_SKEW_MAX = timedelta(seconds=180)
SAML_ANSWER_AGE = timedelta(minutes=10)
"""The greatest age of an answer since its IssueInstant."""
SAML_RELAY_STATE_CHARS = 1_024
"""Of an application, echoed to it; SAML bindings 3.4.3 allows it 80 bytes, and many send more."""
SAML_REQUEST_AGE = timedelta(minutes=10)
"""The greatest age of an application's request since its IssueInstant: as long can it be used again."""
SAML_ASSERTION_LIFETIME = timedelta(minutes=5)
"""How long an application may take our answer."""

# JWTs
JWT_BEARER_BYTES = 8 * 1024
JWT_ID_TOKEN_BYTES = 32 * 1024
JWT_JSON_DEPTH = 8
RSA_BITS_MIN = 2048

# Requests
FORM_BYTES = 64 * 1024
"""A POST to a token, userinfo or sign-on endpoint."""
CONSOLE_POST_BYTES = SAML_METADATA_BYTES + FORM_BYTES
"""A POST of an operator, who pastes or uploads metadata."""
QUERY_BYTES = 16 * 1024
PARAMETER_CHARS = 8 * 1024
COOKIE_BYTES = 8 * 1024
CLIENT_CERTIFICATE_BYTES = 8 * 1024
"""DER of the certificate with which a client comes."""
CLIENT_CERTIFICATE_HEADER_CHARS = 16 * 1024
"""The header in which a proxy passes it on: PEM, percent-encoded."""
CONTENT_TYPE_CHARS = 512
"""What is read of a Content-Type; boundaries have at most 70 (RFC 2046 section 5.1.1)."""
CONTEXTS = 10
"""Authentication contexts that one request may name."""
CONTEXT_CHARS = 300

THROTTLE_WINDOW_SECONDS = 10
"""In such windows it is counted how often somebody asks."""
TOKEN_REQUESTS = 2_000
"""Of one client at the token endpoint, in a window; likewise the next ones."""
INTROSPECTION_REQUESTS = 10_000
REVOCATION_REQUESTS = 500
PUSHED_REQUESTS = 500
DECISION_REQUESTS = 10_000
SEARCH_REQUESTS = 2_000
API_REQUESTS = 500
FAILED_AUTHENTICATIONS = 30
"""Of one client from one address in a window: above it no secret is compared that takes long to compare."""
REFUSALS_TOLD_INTERVAL = timedelta(minutes=1)
"""How often the refusals that were only counted are told of."""
REFUSALS_WRITTEN = 100
"""Refusals of one address in a window that get an event and a trace of their own; what is above is counted."""

# Management API
API_PAGE = 200
API_PAGE_DEFAULT = 50
API_PARAMETER_CHARS = 500
API_NUMBER = 2**63 - 1
"""The greatest id that a cursor may name: no database has a greater one."""
API_ERRORS = 20
"""What one refusal names as wrong."""
API_ANSWER_KEPT = timedelta(hours=24)
"""How long an answer is given again under its Idempotency-Key."""

# Lifetimes
LOGIN_REQUEST_LIFETIME = timedelta(minutes=15)
ARRIVAL_LIFETIME = timedelta(minutes=2)
"""How long an answer that nobody asked for waits for its browser, which is being redirected."""
AUTHORIZATION_CODE_LIFETIME = timedelta(seconds=60)
ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)
ID_TOKEN_LIFETIME = timedelta(minutes=10)
REFRESH_TOKEN_IDLE = timedelta(days=14)
REFRESH_TOKEN_ABSOLUTE = timedelta(days=90)
REFRESH_GRACE = timedelta(seconds=20)
"""How long a refresh token that was just used gives the same child again: its answer may have been lost."""
SESSION_IDLE = timedelta(hours=2)
SESSION_ABSOLUTE = timedelta(hours=12)
SESSION_TOUCH_INTERVAL = timedelta(minutes=1)
"""A session's last use is written at most this often."""
LINK_TOUCH_INTERVAL = timedelta(hours=1)
"""Likewise a linked identity's."""
REGISTRY_POLL_INTERVAL = timedelta(milliseconds=500)
"""How old a cached party may be before its version row is read again."""

# Keys
KEY_ANNOUNCE = timedelta(hours=24)
"""How long a new signing key is published before it signs."""
KEY_RETIRE = timedelta(hours=24)
"""How long a key stays published after it stopped signing; never less than the longest token life."""
KEY_RETIRE_ENCRYPTION = timedelta(days=30)
"""How long we still decrypt with a retired key: identity providers read new metadata rarely."""
JWKS_MAX_AGE = timedelta(hours=1)
"""How long others may keep our JWKS; far below KEY_ANNOUNCE."""
KEY_POLL_INTERVAL = timedelta(seconds=5)
"""How old the remembered keys may be; far below KEY_ANNOUNCE, so that every process knows a key before it signs."""

# Retention
EVENT_SEAL_INTERVAL = timedelta(seconds=60)
EVENTS_PER_SEAL = 10_000
EVENT_LATENESS = timedelta(hours=1)
"""How long after a seal an event with an id below it may still commit; transactions end within seconds."""
EVENT_UNSEALED_MAX = timedelta(minutes=5)
"""An event that stands unsealed for longer is a fault: the sealer does not run."""
EVENTS_PER_COMMIT = 500
"""Events of requests at the same moment that one commit takes."""
EVENTS_IN_LINE = 5_000
"""Events that wait for a commit in one process; above it requests are refused."""
EVENT_COMMIT_WAIT = timedelta(seconds=15)
"""How long a request waits for the commit of its event; more than the database lets one statement take."""
EVENT_RETENTION = timedelta(days=730)
SESSION_RETENTION = timedelta(days=90)

# Pages
CHOICES_PER_PAGE = 20
"""Identity providers on one page that asks; above it the page has a search."""
RELEASE_PREVIEWS = 50
"""Applications of which a test of a connection shows what they would be told."""

# Outgoing requests
OUTGOING_CONNECT_SECONDS = 5.0
OUTGOING_TOTAL_SECONDS = 20.0
ORIGIN_IDLE_SECONDS = 4.0
"""How long a connection that is kept open waits for its next exchange; many servers end it after five."""
ORIGIN_CONNECTION_SECONDS = 60.0
"""After which a kept connection is made anew, and the addresses of its place are judged anew."""
OUTGOING_JSON_BYTES = 512 * 1024

# Operators
OPERATOR_PASSWORD_FAILURES = 5
OPERATOR_LOCKOUT = timedelta(minutes=15)
OPERATOR_PASSWORD_CHARS = 12
OPERATOR_SESSION_IDLE = timedelta(hours=1)
OPERATOR_SESSION_ABSOLUTE = timedelta(hours=8)

# Clients and what is given to them
CLIENT_SECRET_CHARS_MIN = 8
"""A secret of another house that is shorter is not taken over at all."""
CLIENT_SECRET_CHARS_ADVISED = 32
"""A secret of another house that is shorter is taken over with a warning."""
CLIENT_SECRET_CHARS_MAX = 512
CLIENT_SECRET_ROTATE_WITHIN = timedelta(days=90)
CLIENT_SECRET_OVERLAP = timedelta(days=30)
"""How long the secret in use goes on beside its successor, unless the operator says otherwise."""
CLIENT_SECRET_OVERLAP_MAX = timedelta(days=180)
CLIENT_SECRET_UNUSED = timedelta(days=14)
"""A secret is ended when nobody has used it for as long, and its successor has been in use for as long."""
CREDENTIAL_END_NOTICE = timedelta(days=7)
"""How long after the end of a credential its event is still written, when nothing ran in between."""
CREDENTIAL_USE_INTERVAL = timedelta(minutes=1)
"""The use of a credential is written at most this often by each process."""
CREDENTIAL_USES_REMEMBERED = 10_000
"""Credentials whose uses one process counts between two writes."""
CREDENTIAL_USE_RETENTION = timedelta(days=30)
"""For how long uses are counted by the day; of older days the last one of each credential stays."""
CREDENTIAL_EXPIRY_NOTICES = (30, 14, 7, 1)
"""Days before its end at which the owner of a credential is told."""
CLIENT_ASSERTION_AGE = timedelta(minutes=5)
"""How long after it was made a client's own assertion (RFC 7523) proves who it is, whatever its exp says."""
CLIENT_ASSERTION_LIFETIME = timedelta(hours=1)
"""From its iat to its exp. Some libraries give an hour to each of theirs, whose age bounds it sooner."""
CLIENT_ASSERTION_SKEW = timedelta(minutes=1)
"""How far the clock of a client or of a workload's issuer may run ahead of ours."""
CLIENT_KEYS = 20
"""In the key set that a client's registration holds."""
CLIENT_CERTIFICATES = 10
"""Self-signed ones of one client; more than a rollover needs."""
WORKLOAD_TOKEN_LIFETIME = timedelta(hours=1)
"""From iat to exp, of the token of a platform by which a workload proves itself."""
WORKLOAD_TOKEN_LIFETIME_MAX = timedelta(hours=24)
"""The same for a client with a dated exception."""
FORM_FIELDS = 50
"""Parameters of one request to the token or userinfo endpoint."""
NONCE_CHARS = 512
ID_TOKEN_HINT_AGE = timedelta(days=30)
"""How long after its end an ID token still says at the logout who is leaving."""
DPOP_AGE = timedelta(seconds=60)
"""How long ago a proof may have been made; its nonce bounds it besides."""
DPOP_SKEW = timedelta(seconds=30)
"""How far in the future a proof's iat may lie: clients' clocks are their own."""
DPOP_NONCE_WINDOW = timedelta(minutes=5)
"""A nonce is good in its window and the next."""
PUSHED_REQUEST_LIFETIME = timedelta(seconds=90)
"""How long a pushed authorization request waits for its browser."""
SUBJECT_TOKEN_CHARS = 48 * 1024
"""A token that is presented to be exchanged, or an assertion: a SAML assertion in base64 is longer than any of ours."""
EXCHANGES = 3
"""Tokens that were exchanged one for the other, and clients that act one for the other (RFC 8693 section 4.1)."""
FOREIGN_SUBJECT_AGE = timedelta(minutes=10)
"""How long after it was made another house's token still says here who somebody is."""
FOREIGN_SUBJECT_LIFETIME = timedelta(hours=24)
"""From its iat to its exp; it is no reason to refuse one that its age bounds."""
SERVICE_GRANT_LIFETIME = timedelta(days=90)
"""How long the family of a service's tokens for one resource is kept after its last day of use."""
LOGOUT_REQUEST_LIFETIME = timedelta(minutes=15)
LOGOUT_MESSAGE_LIFETIME = timedelta(minutes=2)
"""How long a logout token or a LogoutRequest is good; each attempt makes one of its own."""
LOGOUT_ANSWER_BYTES = 64 * 1024
"""Of what an application answers to it."""
LOGOUT_SECONDS = 10.0
"""One such exchange."""
LOGOUT_ERROR_CHARS = 300
"""Of the application's own words that are kept."""
UPSTREAM_LOGOUT_AGE = timedelta(minutes=10)
"""The greatest age of an identity provider's logout token since its iat, whatever its exp says."""
LOGOUT_WATCHED = timedelta(seconds=30)
"""How long the page after a sign-out looks by itself whether the applications answered."""
LOGOUT_WATCH_SECONDS = 2
"""How often it does."""
LOGOUT_SESSIONS_SHOWN = 50
"""Ended sessions whose applications that page shows."""
LOGOUT_MISSED_WITHIN = timedelta(minutes=3)
"""How long after a session's end it is looked whether somebody joined it in that moment."""
LOGOUT_SESSIONS_PER_LOOK = 500
"""Ended sessions that one transaction of that look takes."""
DISCOVERY_MAX_AGE = timedelta(minutes=5)
GRANT_RETENTION = timedelta(days=7)
"""How long codes and grants are kept after their end, for reuse to be noticed and for the console."""

# Parties and configuration files
RESOURCE_TOKEN_SECONDS_MAX = 3_600
"""The longest life of an access token that a resource may ask for."""
CONFIGURATION_BYTES = 16 * 1024 * 1024
"""One configuration file, and any file that it names."""
CONFIGURATION_NODES = 300_000
"""Values in one configuration file, each use of an alias counted again."""
CONFIGURATION_DEPTH = 12

# OpenID providers upstream
OIDC_TOKEN_ANSWER_BYTES = 256 * 1024
"""An ID token, an access token and a refresh token, all of them large."""
OIDC_USERINFO_BYTES = 256 * 1024
OIDC_REQUEST_SECONDS = 10.0
"""One request to a token or userinfo endpoint, while a person waits."""
OIDC_ID_TOKEN_AGE = timedelta(minutes=10)
"""The greatest age of an ID token since its iat; it is fetched just after it was made."""
OIDC_ID_TOKEN_LIFETIME = timedelta(hours=24)
"""From iat to exp. Providers give hours; we ask for a session of our own and keep no ID token."""
OIDC_CLIENT_ASSERTION_LIFETIME = timedelta(minutes=1)
OIDC_SUBJECT_CHARS = 255
"""OpenID Connect Core 2."""
OIDC_CLAIMS = 200
OIDC_CLAIM_VALUES = 2_000
OIDC_CLAIM_VALUE_CHARS = 4_096
OIDC_GROUPS = 200
"""Groups that a provider can be believed to tell completely; at more of them some leave out the rest."""
REMOTE_KEYS = 100
"""Keys of one issuer that are looked at."""
REMOTE_KEYS_SECONDS = 5.0
REMOTE_KEYS_ASK_INTERVAL = timedelta(minutes=1)
"""An issuer is asked for its keys at most this often, by all workers together."""
REMOTE_KEYS_FRESH = timedelta(minutes=4)
"""Older keys are asked for anew before they are used: with the interval, a key that is gone works 5 minutes at most."""
REMOTE_KEYS_KEEP = timedelta(hours=24)
"""How long the last keys are used while their address does not answer."""
DISCOVERY_INTERVAL = timedelta(hours=1)
"""How often the discovery document of an OpenID provider is read anew."""
DISCOVERY_BATCH = 200
"""Providers whose documents one run of the scheduler reads; the longest waiting come first."""
DISCOVERY_OVERDUE = timedelta(hours=24)
"""How long the doctor says nothing about a document that cannot be read anew."""

# People and what sources say of them
DIRECTORY_ATTRIBUTES = 300
"""Attributes that one write names."""
DIRECTORY_ATTRIBUTE_CHARS = 128
"""The name of an attribute."""
DIRECTORY_VALUES = 2_000
"""Values of one attribute."""
DIRECTORY_VALUE_CHARS = 4_096
DIRECTORY_CHARS = 512 * 1024
"""All values of one write."""
DIRECTORY_CHUNK = 500
"""People that one transaction changes, and whom one event names."""
AUTHORITY_SOURCES = 20
"""Sources that one rule of authority names."""
AUTHORITY_AHEAD = timedelta(days=366)
"""How far ahead a rule of authority may be dated."""
AUTHORITY_APPLIED_WITHIN = timedelta(minutes=15)
"""How long after its beginning a rule may not be applied to everybody before the doctor says so."""
AUTHORITY_SAMPLES = 20
"""People whom a simulation of a rule shows."""

# Flows and approvals
FLOW_TOUCH_INTERVAL = timedelta(hours=1)
"""A flow's last use is written at most this often."""
FLOW_EVIDENCE_INTERVAL = timedelta(minutes=1)
"""Likewise how often something was asked for outside the flows."""
FLOW_EVIDENCE_KINDS = 100
"""Kinds of requests outside its flows that are kept of one client."""
FLOW_ENDING_BEFORE = timedelta(days=30)
"""From then on each token of a flow comes with a warning."""
FLOW_ENDING_DAYS = (30, 14, 7, 1)
"""Days before a flow's end at which its owner is named in an event."""
FLOW_BROWN_OUT_BEFORE = timedelta(hours=24)
FLOW_BROWN_OUT_WINDOW = timedelta(minutes=5)
"""How long of each hour requests are refused before the end comes."""
FLOW_UNUSED = timedelta(days=90)
"""A flow that was not used for as long is marked."""
APPROVAL_LIFETIME = timedelta(days=14)
"""How long a question waits for a second operator."""
APPROVAL_ACCOUNT_REST = timedelta(days=3)
"""How long two operators of whom one made, reset or changed the other's account do not count as two humans."""

# Questions to the decision endpoints
ACCESS_BODY_BYTES = 256 * 1024
"""A POST to a decision endpoint: a full batch with properties."""
ACCESS_JSON_DEPTH = 16
"""Nesting of such a request; evaluations, an item, its subject, its properties and a value in them are 5 of it."""
ACCESS_EVALUATIONS = 100
"""Items of one batch."""
ACCESS_NAME_CHARS = 256
"""A type of a subject or resource, and the name of an action."""
ACCESS_ID_CHARS = 1_024
ACCESS_REQUEST_ID_CHARS = 200
"""Of X-Request-ID, which is given back."""
ACCESS_SEARCH_RESULTS = 100
"""Results on one page of a search."""
ACCESS_SEARCH_CANDIDATES = 1_000
"""Candidates that one search request looks at; its page token goes on from there."""
ACCESS_PAGE_TOKEN_LIFETIME = timedelta(hours=1)

# Decisions about access
POLICY_BYTES = 256 * 1024
"""One version of a policy, or of the schema."""
POLICY_DEPTH = 16
"""Brackets within brackets in one statement: the engine works through them on its stack."""
POLICY_OPERATORS = 150
"""Operators, member accesses and conditionals of one statement, for the same reason."""
POLICY_STATEMENTS = 2_000
"""Statements of one version of a policy."""
ACCESS_VALUE_DEPTH = 8
"""Nesting of what a caller sends as properties or context."""
SHADOWS_PER_DECISION = 5
"""Candidate policies that are tried beside one decision; the oldest come first."""
DECISION_RETENTION = timedelta(days=90)
"""How long a decision can be replayed."""

# Leavers
LEAVER_DOOR_DEADLINE = timedelta(minutes=1)
"""For what we close ourselves: sessions, grants, console accounts."""
LEAVER_LOGOUT_DEADLINE = timedelta(minutes=5)
"""For an application to acknowledge that a session is over."""
LEAVER_OWNER_DEADLINE = timedelta(days=7)
"""For a new owner of what a leaver owned."""
LEAVER_REREADS = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=7),
)
"""After which times since it was read back closed an account is read again, since access may come back."""
LEAVER_REREAD_RETRY = timedelta(hours=1)
"""Until such a reading is tried anew that came to nothing; also between two of what an operator refused to close."""
LEAVER_READ_PAUSE = timedelta(seconds=10)
"""How long an account that nobody was asked to close may stay unread before it is read."""
LEAVER_LOOK_INTERVAL = timedelta(seconds=5)
"""Between two looks at a case with open items in its first minutes."""
LEAVER_LOOK_INTERVAL_LATER = timedelta(minutes=1)
"""And after `LEAVER_LOOK_LATER`."""
LEAVER_LOOK_LATER = timedelta(minutes=15)
LEAVER_CASES_PER_RUN = 500
"""Cases that one run of the scheduler looks at."""
LEAVER_ITEMS_PER_EVENT = 200
"""Items whose digests one event of the book names."""
LEAVER_SEALS_IN_EXPORT = 50_000
"""Links of the chain that an export reaches beyond what it needs, so that a newer anchor fits: 16 days of them."""
LEAVER_ROWS_READ_AGAIN = 100_000
"""Events of others that an export reads, to see that none is missing since the case; some 4 s."""
LEAVER_CASE_RETENTION = timedelta(days=700)
"""How long a case is kept once it is over or watched to its end: shorter than the events that prove it."""

# Accounts at targets
TARGET_CONNECTIONS = 16
"""Exchanges with one target that may be under way at once, unless the target says otherwise."""
TARGET_CONNECTIONS_MAX = 64
TARGET_ANSWER_BYTES = 4 * 1024 * 1024
"""One answer of a target: a page of accounts, a group with its members, or a bulk of results."""
TARGET_EXCHANGE_SECONDS = 20.0
"""One exchange with a target, from the first byte to the last."""
TARGET_PATIENCE = timedelta(seconds=2)
"""A wait that a target asks for with 429 and that is waited where the exchange stands; a longer one pauses its lane."""
TARGET_ASKED_AGAIN = 4
"""How often one exchange is asked again after such a wait."""
TARGET_PACE_GOOD = 50
"""Good answers, for each exchange at once, after which a target that was too slow is asked for one more at once."""
TARGET_PAGE = 200
"""Accounts that one page of an inventory asks for."""
TARGET_BULK_OPERATIONS = 100
"""Operations of one bulk request, if the target does not allow fewer."""
TARGET_MEMBERS_PER_CHANGE = 500
"""Members that one PATCH of a group adds or takes away."""
TARGET_TOKEN_BYTES = 16 * 1024
"""The answer of a target's token endpoint."""
TARGET_BREAKER_COUNT = 50
TARGET_BREAKER_SHARE = 0.1
TARGET_LEAVER_DEADLINE = timedelta(minutes=15)
TARGET_CREDENTIAL_CHARS = 8 * 1024
"""A bearer token or client secret of a target."""

# Webhooks
WEBHOOK_SECONDS = 15.0
"""One attempt in all; Standard Webhooks wants 15 to 30 s."""
WEBHOOK_ANSWER_BYTES = 64 * 1024
WEBHOOK_SECRET_OVERLAP = timedelta(days=7)
"""How long the secret of before signs beside a new one."""
WEBHOOK_REPLAY_EVENTS = 10_000
"""Events that one replay sends; a longer one is asked for in parts."""

# Plans and reconciliations
BREAKER_WINDOW = timedelta(hours=1)
"""Disables and deletions of one target are added up over as long."""
BREAKER_SMALLEST = 3
"""So many of them within the hour never wait for a second operator, however few accounts a target has."""
RUN_LEASE = timedelta(minutes=2)
"""A run whose process was killed while reading may be taken up by another after as long."""
RUN_COMPARE_LEASE = timedelta(minutes=15)
"""The same while it compares, which is one transaction."""
RUN_SLICE = timedelta(seconds=20)
"""How long one task works on a run before it makes room for others; its next page is another task's."""
RUN_RESTARTS = 1
"""How often a run begins anew because its place among the pages was no longer known."""
RUN_PAGE_FAILURES = 3
"""How often in a row a page may fail in a way that passes before its run ends as incomplete."""
RUN_WAIT = timedelta(seconds=2)
"""As long a task waits for a target that asks it to; for longer the run is laid aside."""
RUN_UNTAKEN = timedelta(seconds=10)
"""A run that was begun and that nobody works on is taken up by the scheduler after as long."""
RUN_REJECTED = 100
"""Records that were not understood of which a run keeps the ids and reasons."""
RECONCILE_INTERVAL = timedelta(hours=24)
"""How often a target is reconciled that has no rule of its own."""
RECONCILE_INTERVAL_LEAST = timedelta(minutes=15)
PLAN_CHUNK = 500
"""People or operations that one statement carries."""
PLAN_AHEAD = 20_000
"""Ids of what differs that a comparison holds in memory."""
PLAN_LIFETIME = timedelta(hours=4)
"""How long after it was made a plan can be applied: later, what it showed is not what stands there."""
PLAN_RETENTION = timedelta(days=90)
"""How long plans, runs and drifts that ended are kept; they hold people's values."""
PLAN_NAMES = 20
"""Members of a group that a plan names as coming or going; beyond them it counts."""

# People written to us over SCIM
SCIM_BODY_BYTES = 1024 * 1024
"""One request, a bulk included (maxPayloadSize)."""
SCIM_JSON_DEPTH = 12
SCIM_USER_CHARS = 64 * 1024
"""What is kept of one User, as JSON."""
SCIM_LIST_MEMBERS = 20_000
"""Members on one page of groups; above it the page has fewer groups, at least one."""
SCIM_REQUESTS = 5_000
"""Of one source in a window."""
SCIM_PAGE = 200
"""Resources on one page of a list (maxResults)."""
SCIM_PAGE_DEFAULT = 100
SCIM_BULK_OPERATIONS = 1_000
SCIM_FILTER_CHARS = 2_048
SCIM_FILTER_DEPTH = 10
SCIM_FILTER_TERMS = 50
"""Comparisons in one filter."""
SCIM_FILTER_SCANS = 2
"""Comparisons of one filter that no index serves (co, ew, ne)."""
SCIM_FILTER_SECONDS = 2.0
"""What a filter that no index serves may take of the database, where it can be told (PostgreSQL)."""
SCIM_CURSOR_LIFETIME = timedelta(hours=1)
SCIM_TOTAL_AGE = timedelta(seconds=10)
"""How long the number of a list's results is remembered while nothing of its source changed."""
SCIM_TOTALS_REMEMBERED = 1_000
SCIM_UNKNOWN_NAMED = 20
"""Unknown members that one answer names."""
SCIM_PENDING_MEMBERS = 100_000
"""Members of one source that wait for their person."""
SCIM_TOKEN_CHARS_MIN = 32
"""A token that was made elsewhere is taken over from this length on."""
SCIM_TOKEN_CHARS_MAX = 512
SCIM_TOKEN_LIFETIME = timedelta(days=365)
SCIM_TOKEN_OVERLAP = timedelta(days=7)
"""How long the token in use goes on beside its successor."""
SCIM_TOKEN_TOUCH_INTERVAL = timedelta(minutes=1)
"""A token's last use is written at most this often by each process."""
SCIM_JOURNAL_BYTES = 16 * 1024
"""What is kept of one request's body, sealed."""
SCIM_JOURNAL_RETENTION = timedelta(days=90)
SCIM_JOURNAL_READS_RETENTION = timedelta(days=7)
"""Of requests that only read."""

# The bell, notices and deliveries
BELL_INTERVAL = timedelta(milliseconds=50)
"""One process wakes the same task at most this often."""
BELL_CALLS = 1_000
"""Calls that wait to be sent in one process; the sweep finds what is above."""
BELL_LIFETIME = timedelta(minutes=5)
"""A message that nobody took for as long wakes nobody: the sweep has long done so."""
NOTICES_PER_READING = 200
"""Events that a reader is handed at once."""
NOTICE_SLICE = timedelta(seconds=10)
"""How long one task reads for one reader before it makes room for others."""
NOTICE_LEASE = timedelta(minutes=2)
"""How long a reader's turn lasts: longer than any transaction. A killed worker's is free after it."""
NOTICE_BACKOFF = timedelta(seconds=10)
"""When an event at which its reader failed is tried again; twice as late at each further time."""
NOTICE_BACKOFF_MAX = timedelta(hours=1)
NOTICE_UNREAD_MAX = timedelta(minutes=2)
"""A notice that waits for longer is a fault: no worker reads."""
DELIVERY_BATCH = 1_000
"""Rows that one claim takes, whatever the handler says."""
DELIVERY_PAYLOAD_BYTES = 64 * 1024
DELIVERY_SLICE = timedelta(seconds=5)
"""For how long a carrier claims rows of one lane before it makes room for other lanes."""
DELIVERY_LEASE = timedelta(minutes=2)
"""How long claimed rows and their lane belong to a carrier; each settlement renews it. What a dead process of the same
machine holds is free at the next sweep."""
DELIVERY_CARRIERS = 6
"""Lanes that the threads of one process carry at once; what it has more is for other tasks."""
DELIVERY_SLOW_CARRIERS = 3
"""Of them, lanes whose receiver was slow the last time: so many slow ones never hold up the others."""
DELIVERY_ATTEMPTS = 20
"""Failures after which a delivery is given up that need not arrive; about 12 hours."""
DELIVERY_BACKOFF = timedelta(seconds=2)
"""The first wait is at most twice as long, each further one twice the last; all with full jitter."""
DELIVERY_BACKOFF_MAX = timedelta(hours=1)
DELIVERY_WAIT_MAX = timedelta(hours=1)
"""The longest wait that a receiver can ask for, by Retry-After."""
DELIVERY_LATE = timedelta(minutes=15)
"""After which operators are told of a delivery that must arrive."""
LANE_FAILURES = 5
"""Attempts in a row without an answer that break a lane."""
LANE_PAUSE = timedelta(seconds=10)
"""The first pause of a broken lane before one trial; each further one is twice as long."""
LANE_PAUSE_MAX = timedelta(minutes=5)
DELIVERY_RETENTION = timedelta(days=90)
"""How long settled deliveries are kept. Dead ones stay until an operator decides."""
DELIVERY_PRUNE_CHUNK = 2_000
TARGET_CHUNK = 500
"""People whose accounts one statement writes."""

# Files of people
IMPORT_FILE_BYTES = 512 * 1024 * 1024
IMPORT_CHUNK = 200
"""Rows that are applied and committed together with the place that was reached."""
IMPORT_KEY_CHARS = 200
IMPORT_MISSING_COUNT = 50
"""People whom a full file may leave out before a second operator has to approve their closing ..."""
IMPORT_MISSING_SHARE = 0.05
"""... or this share of those whom the source told of."""
