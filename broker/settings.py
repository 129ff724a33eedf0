"""The only settings: what the environment decides comes from `broker.env`, sizes and lifetimes are `broker.limits`."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from broker import env, limits

ENVIRONMENT = env.load()
ROOT = Path(__file__).resolve().parent.parent
VAR = env.var_dir()

# --- Django ---------------------------------------------------------------------------------------------------------
DEBUG = False
SECRET_KEY = ENVIRONMENT.secret_key.get_secret_value()
BROKER_BASE_URL = ENVIRONMENT.base_url
BROKER_IS_HTTPS = BROKER_BASE_URL.startswith("https://")
BROKER_IS_LOOPBACK = env.is_loopback(urlsplit(BROKER_BASE_URL).hostname or "")
BROKER_MASTER_KEYS = env.read_master_keys(ENVIRONMENT.master_keys.get_secret_value())
ALLOWED_HOSTS = [urlsplit(BROKER_BASE_URL).hostname or ""]
if BROKER_IS_LOOPBACK:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
ROOT_URLCONF = "broker.urls"
WSGI_APPLICATION = "broker.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
FORMAT_MODULE_PATH = ["broker.console.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # its default configuration would put Unfold's admin site in the console's place
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "broker.console.apps.AdminConfig",
    "axes",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "broker.once",
    "broker.events",
    "broker.traces",
    "broker.approvals",
    "broker.keys",
    "broker.registry",
    "broker.delivery",
    "broker.directory",
    "broker.sessions",
    "broker.tokens",
    "broker.access",
    "broker.console",
    "broker.notify",
    "broker.api",
    "broker.operations",
    "federation.claims",
    "federation.downstream",
    "federation.signon",
    "federation.logout",
    "provisioning.inbound",
    "provisioning.outbound",
    "provisioning.planning",
    "provisioning.leaver",
    "provisioning.batch",
]

# Protocol endpoints need neither Django's session nor messages nor axes; those middlewares act on /admin only,
# through `broker.console.middleware`, so that a token request pays nothing for them.
MIDDLEWARE = [
    "broker.http.TraceMiddleware",
    "broker.headers.SecurityHeadersMiddleware",
    "broker.http.LimitsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "broker.console.middleware.ConsoleMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database and cache ---------------------------------------------------------------------------------------------
DATABASES = {"default": env.database(ENVIRONMENT, VAR)}
REDIS_URL = ENVIRONMENT.redis_url.get_secret_value()
THROTTLE_PROCESSES = ENVIRONMENT.throttle_processes
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

# --- Security headers and cookies -----------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if BROKER_IS_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.trusted_proxies else None
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
CLIENT_CERTIFICATE_HEADER = ENVIRONMENT.client_certificate_header
CLIENT_CERTIFICATE_VERIFIED_HEADER = ENVIRONMENT.client_certificate_verified_header
CLIENT_CERTIFICATE_PROXIES = ENVIRONMENT.client_certificate_proxies
X_FRAME_OPTIONS = "DENY"
_PREFIX = "__Host-" if BROKER_IS_HTTPS else ""
SESSION_COOKIE_NAME = f"{_PREFIX}countersign-console"
SESSION_COOKIE_SECURE = BROKER_IS_HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
CSRF_COOKIE_NAME = f"{_PREFIX}countersign-csrf"
CSRF_COOKIE_SECURE = BROKER_IS_HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "federation.signon.views.pages.csrf_failure"
CSRF_TRUSTED_ORIGINS = [BROKER_BASE_URL]
SSO_COOKIE_NAME = f"{_PREFIX}countersign-session"
FLOW_COOKIE_NAME = f"{_PREFIX}countersign-flow"
ARRIVAL_COOKIE_NAME = f"{_PREFIX}countersign-arrival"
# The limit of each path stands before it (broker.http).
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.CONSOLE_POST_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
# Pages for people. No form-action: browsers enforce it along redirects, and sign-on forms lead to other sites.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "script-src": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
# The console's look (Unfold) uses Alpine, which evaluates expressions, and inline styles.
CONSOLE_CONTENT_SECURITY_POLICY = {
    "default-src": [NONE],
    "style-src": [SELF, UNSAFE_INLINE],
    "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}

# --- Console --------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "console.Operator"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "broker.console.backends.OperatorBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": limits.OPERATOR_PASSWORD_CHARS},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = limits.OPERATOR_PASSWORD_FAILURES
AXES_COOLOFF_TIME = limits.OPERATOR_LOCKOUT
# Both together: who guesses from elsewhere can neither lock operators out nor use up their tries.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "broker.http.client_address"
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "broker.console.backends.lockout_username"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # a lockout ends, also while somebody goes on guessing
AXES_DISABLE_ACCESS_LOG = True  # the book of events has it
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
UNFOLD = {
    "SITE_TITLE": "Countersign",
    "SITE_HEADER": "Countersign",
    "SITE_SUBHEADER": "Security console",
    "SITE_SYMBOL": "approval",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "broker.console.navigation.icon"}],
    "STYLES": ["broker.console.navigation.stylesheet"],
    "SIDEBAR": {"navigation": "broker.console.navigation.sidebar"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .015 230)",
            "100": "oklch(94.5% .03 230)",
            "200": "oklch(89% .055 230)",
            "300": "oklch(81% .09 230)",
            "400": "oklch(71% .125 232)",
            "500": "oklch(64.5% .13 235)",
            "600": "oklch(52% .125 238)",
            "700": "oklch(45% .11 240)",
            "800": "oklch(39% .09 241)",
            "900": "oklch(34% .075 242)",
            "950": "oklch(25% .055 243)",
        },
    },
}
SILENCED_SYSTEM_CHECKS = [
    "axes.W002",  # axes' middleware would only replace the page that the sign-in view shows during a lockout
    "admin.E408",  # the session, authentication and message middlewares run inside ConsoleMiddleware
    "admin.E409",
    "admin.E410",
]

# --- Federation and tokens ------------------------------------------------------------------------------------------
OUTGOING_NETWORKS = ENVIRONMENT.outgoing_networks
OUTGOING_PROXY = ENVIRONMENT.outgoing_proxy
OUTGOING_CA_FILE = ENVIRONMENT.outgoing_ca_file
SEAL_LOG = ENVIRONMENT.seal_log or VAR / "seals.log"
TRACE_DAYS = ENVIRONMENT.trace_days
METRICS_TOKEN = ENVIRONMENT.metrics_token.get_secret_value()
DEMONSTRATION = ENVIRONMENT.demonstration

# --- Celery ---------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL or f"sqla+sqlite:///{VAR / 'queue.sqlite3'}"
CELERY_TASK_ALWAYS_EAGER = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR / "beat")
CELERY_BEAT_SCHEDULE = {
    # What a lost message left. A worker that was away needs no more than one of these.
    "read-notices": {"task": "broker.events.tasks.read_notices", "schedule": 5.0, "options": {"expires": 10}},
    "sweep-deliveries": {"task": "broker.delivery.tasks.sweep", "schedule": 5.0, "options": {"expires": 10}},
    "tell-missed-logouts": {
        "task": "federation.logout.tasks.tell_missed",
        "schedule": limits.LOGOUT_MISSED_WITHIN / 3,
        "options": {"expires": 60},
    },
    "end-orphaned-sessions": {
        "task": "federation.logout.tasks.end_orphaned",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "reconcile-targets": {"task": "provisioning.planning.tasks.reconcile_due", "schedule": 60.0},
    "catch-up-targets": {"task": "provisioning.outbound.tasks.catch_up_unfinished", "schedule": 60.0},
    "forget-plans": {"task": "provisioning.planning.tasks.forget", "schedule": 3600.0},
    "prune-deliveries": {"task": "broker.delivery.tasks.prune", "schedule": 3600.0},
    "tend-authority": {"task": "broker.directory.tasks.tend_authority", "schedule": 30.0, "options": {"expires": 60}},
    "seal-events": {"task": "broker.events.tasks.seal_events", "schedule": limits.EVENT_SEAL_INTERVAL / 2},
    "rotate-keys": {"task": "broker.keys.tasks.rotate_keys", "schedule": 3600.0},
    "forget-remote-keys": {"task": "broker.keys.tasks.forget_remote_keys", "schedule": 86400.0},
    "refresh-discoveries": {"task": "broker.registry.tasks.refresh_discoveries", "schedule": 600.0},
    "reseal-secrets": {"task": "broker.registry.tasks.reseal_secrets", "schedule": 600.0},
    "tend-credentials": {"task": "broker.registry.tasks.tend_credentials", "schedule": 3600.0},
    "refresh-workloads": {"task": "broker.registry.tasks.refresh_workloads", "schedule": 3600.0},
    "forget-used-values": {"task": "broker.once.tasks.forget", "schedule": 3600.0},
    "tell-flow-endings": {"task": "broker.registry.tasks.tell_flow_endings", "schedule": 3600.0},
    "expire-approvals": {"task": "broker.approvals.tasks.expire", "schedule": 600.0},
    "forget-traces": {"task": "broker.traces.tasks.forget", "schedule": 3600.0},
    "forget-sessions": {"task": "broker.sessions.tasks.forget", "schedule": 3600.0},
    "forget-tokens": {"task": "broker.tokens.tasks.forget", "schedule": 3600.0},
    "forget-api-answers": {"task": "broker.api.tasks.forget", "schedule": 3600.0},
    "forget-decisions": {"task": "broker.access.tasks.forget", "schedule": 3600.0},
    "forget-login-requests": {"task": "federation.signon.tasks.forget", "schedule": 600.0},
    "forget-console": {"task": "broker.console.tasks.forget", "schedule": 3600.0},
    "forget-scim-journal": {"task": "provisioning.inbound.tasks.forget", "schedule": 3600.0},
    "settle-leavers": {"task": "provisioning.leaver.tasks.settle", "schedule": 5.0, "options": {"expires": 10}},
    "forget-leavers": {"task": "provisioning.leaver.tasks.forget", "schedule": 86400.0},
    "prune-events": {"task": "broker.events.tasks.prune_events", "schedule": 86400.0},
}

# --- Management API -------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["broker.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["broker.api.authentication.RequiresScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["broker.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "broker.api.document.Schema",
    "EXCEPTION_HANDLER": "broker.api.problems.answer_problem",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign management API",
    "DESCRIPTION": "What an operator does in the console, for programs. Refusals are problem details (RFC 9457).",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": BROKER_BASE_URL}],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["broker.api.document.complete"],
    "EXTENSIONS_INFO": {},
    "ENUM_NAME_OVERRIDES": {},
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

# --- Logging --------------------------------------------------------------------------------------------------------
# No line says these, and finding them out costs each line its time (Python's logging HOWTO, "Optimization").
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer()
                if ENVIRONMENT.log_format == "json"
                else structlog.dev.ConsoleRenderer(colors=False),
            ],
            "foreign_pre_chain": _SHARED_PROCESSORS,
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django's request logger repeats paths with their query, and queries carry codes.
        "django.request": {"level": "CRITICAL"},
        "django.security": {"level": "CRITICAL"},
        "httpx2": {"level": "WARNING"},
        "httpcore2": {"level": "WARNING"},
        "axes": {"level": "CRITICAL"},
        "saml2": {"level": "CRITICAL"},
    },
}
structlog.configure(
    processors=[*_SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

# --- Wiring: what the ground needs from above, by dotted name ------------------------------------------------------
# Resources of our own that take our access tokens, by path: {scope: what it allows} (RFC 9728).
PROTECTED_RESOURCES = {
    "oauth/userinfo": {
        "openid": "Know who is signed on",
        "profile": "Read the person's names",
        "email": "Read the person's e-mail address",
        "groups": "Read the person's groups",
    },
    "access": {"access.evaluate": "Ask for decisions"},
    "api/v1": {
        "registry.read": "Read clients, flows, resources and approvals",
        "registry.write": "Register and change clients, propose and end flows, issue and end secrets",
        "grants.read": "Read what was granted to whom",
        "grants.revoke": "Revoke what was granted",
        "decisions.read": "Read what was decided",
        "deliveries.read": "Read what must reach others, and whether it did",
        "deliveries.write": "Retry deliveries, or write them off",
        "people.read": "Read people, what every source says of them, and conflicts",
        "people.write": "Resolve conflicts",
        "authority.write": "Change which source speaks for an attribute",
        "leavers.read": "Read leavers' cases, and export their certificates",
    },
}
# The Celery application to which messages are given; the ground does not know its own porch.
QUEUE_APP = "broker.celery.app"
# Who reads which events, by the name of the type, or "*" (broker.events.notices.Reader).
EVENT_READERS: dict[str, list[str]] = {
    "*": ["broker.notify.reading.READER"],
    "person.created": ["provisioning.outbound.reading.read_events"],
    "person.changed": ["provisioning.outbound.reading.read_events"],
    "person.deactivated": [
        "provisioning.outbound.reading.read_events",
        "provisioning.leaver.following.read_departures",
    ],
    "person.reactivated": [
        "provisioning.outbound.reading.read_events",
        "provisioning.leaver.following.read_departures",
    ],
    "group.created": ["provisioning.outbound.reading.read_events"],
    "group.changed": ["provisioning.outbound.reading.read_events"],
    "group.deleted": ["provisioning.outbound.reading.read_events"],
    "delivery.settled": ["provisioning.leaver.following.read_settlements"],
    "session.ended": ["federation.logout.reading.read_events"],
}
# What carries which kind of delivery: objects as broker.delivery.handlers.Handler describes them.
DELIVERY_HANDLERS: dict[str, str] = {
    "scim": "provisioning.outbound.deliver.HANDLER",
    "webhook": "broker.notify.deliver.HANDLER",
    "leaver.read": "provisioning.leaver.reading.HANDLER",
    "logout.oidc": "federation.logout.deliver.OIDC",
    "logout.saml": "federation.logout.deliver.SAML",
}
# Names of groups that make operators: no source of people writes who is in them.
PROTECTED_GROUPS = ["countersign-operators", "countersign-viewers"]
CLAIMS_RELEASER = "federation.claims.release.release_claims"
SUBJECT_TOKEN_VERIFIERS = {
    "urn:ietf:params:oauth:token-type:id_token": "federation.upstream.subject_tokens.verify_id_token",
    "urn:ietf:params:oauth:token-type:saml2": "federation.upstream.subject_tokens.verify_saml_assertion",
    "urn:ietf:params:oauth:grant-type:jwt-bearer": "federation.upstream.subject_tokens.verify_jwt_assertion",
}
METADATA_READERS = {
    "identity_provider": "federation.saml.metadata.read_identity_provider",
    "service_provider": "federation.saml.metadata.read_service_provider",
    "openid_provider": "federation.upstream.discovery.read_discovery",
}
# The console's pages about a connection, by the names of their addresses.
CONNECTION_PAGES = {"connect": "connect_identity_provider", "test": "test_connection"}
EVENT_HEAD_SIGNER = "broker.keys.services.sign_event_head"
EVENT_HEAD_VERIFIER = "broker.keys.services.verify_event_head"
TRACE_ID_MAKER = "broker.traces.services.make_trace_id"
REFUSAL_PAGE = "federation.signon.views.pages.refusal_page"
# What lets go of older master keys, where a secret is kept for presenting it: functions that return how many.
RESEALERS = [
    "broker.registry.upstream_secrets.reseal_upstream_secrets",
    "broker.notify.secrets.reseal_secrets",
    "provisioning.outbound.credentials.reseal_credentials",
]
# Who has a slug that an identity provider may not take: functions slug -> who it is, "" for nobody. Policies name the
# groups of both by their slugs.
SLUG_HOLDERS = ["provisioning.inbound.sources.holder_of"]
# What a second operator approves, by kind: objects as broker.approvals.handlers.Handler describes them.
APPROVAL_HANDLERS = {
    "flow": "broker.registry.flow_approval.HANDLER",
    "policy": "broker.access.activation.HANDLER",
    "import.closing": "provisioning.batch.release.HANDLER",
    "provisioning.release": "provisioning.planning.releasing.HANDLER",
    "provisioning.emptied": "provisioning.planning.emptied.HANDLER",
}
CONFIG_SECTIONS = [
    "broker.registry.config.organisations.SECTION",
    "broker.registry.config.identity_providers.SECTION",
    "broker.registry.config.applications.SECTION",
    "broker.registry.config.resources.SECTION",
    "broker.registry.config.clients.SECTION",
    "broker.registry.config.flows.SECTION",
    "broker.directory.authority_config.SECTION",
    "broker.access.points_config.SECTION",
    "broker.access.policies_config.SECTION",
    "broker.notify.config.SECTION",
    "provisioning.batch.config.SECTION",
    "provisioning.inbound.config.SECTION",
    "provisioning.outbound.config.SECTION",
]
# Where the console shows a piece of evidence, by its kind; a list is searched for it.
EVIDENCE_PAGES = {
    "trace": "admin:traces_trace_change",
    "event": "admin:events_event_change",
    "rule": "admin:directory_authorityrule_change",
    "import": "admin:batch_import_change",
    "journal": "admin:inbound_journalentry_changelist",
}
CONFIG_KEYS = {
    ("identity_providers", "claims"): "federation.claims.config.CLAIMS",
    ("identity_providers", "contexts"): "federation.claims.config.CONTEXTS",
    ("applications", "release"): "federation.claims.config.RELEASE",
}
# Functions that give gauges of their rooms at each scrape of /metrics.
METRIC_READERS = [
    "broker.events.gauges.read_gauges",
    "broker.delivery.gauges.read_gauges",
    "provisioning.planning.gauges.read_gauges",
    "provisioning.leaver.gauges.read_gauges",
]
# Functions that give the overview's numbers of their rooms, and what ends there.
CONCERN_READERS = [
    "provisioning.leaver.concerns.read_concerns",
    "provisioning.planning.concerns.read_concerns",
]
EXPIRY_READERS = ["provisioning.inbound.expiries.read_expiries"]
HEALTH_CHECKS = [
    "broker.operations.health.check_database",
    "broker.operations.health.check_migrations",
    "broker.keys.health.check_signing_keys",
    "broker.operations.health.check_queue",
    "broker.operations.health.check_throttle",
]
DOCTOR_CHECKS = [
    *HEALTH_CHECKS,
    "broker.operations.doctor.check_settings",
    "broker.operations.doctor.check_permissions",
    "broker.events.doctor.check_book",
    "broker.events.doctor.check_readers",
    "broker.delivery.doctor.check_deliveries",
    "broker.keys.doctor.check_keys",
    "broker.registry.doctor.check_parties",
    "broker.directory.doctor.check_authority",
    "broker.access.doctor.check_policies",
    "broker.console.doctor.check_operators",
    "provisioning.leaver.doctor.check_leavers",
    "provisioning.inbound.doctor.check_sources",
    "provisioning.outbound.doctor.check_targets",
    "provisioning.planning.doctor.check_reconciliations",
]
