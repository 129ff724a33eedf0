"""The product's settings with a fast hasher, eager Celery and secrets of the suite's own."""

import atexit
import base64
import os
import shutil
import tempfile

os.environ.setdefault("BROKER_SECRET_KEY", "the-suite's-own-secret-key-0123456789abcdef0123456789")
os.environ.setdefault("BROKER_MASTER_KEYS", f"k1:{base64.b64encode(bytes(range(32))).decode()}")
if "BROKER_VAR" not in os.environ:
    os.environ["BROKER_VAR"] = tempfile.mkdtemp(prefix="countersign-test-")
    atexit.register(shutil.rmtree, os.environ["BROKER_VAR"], ignore_errors=True)

from broker.settings import *  # noqa: F403 - the environment has to be set first
from broker.settings import DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_TASK_ALWAYS_EAGER = "BROKER_REDIS_URL" not in os.environ
CELERY_TASK_EAGER_PROPAGATES = True
WHITENOISE_AUTOREFRESH = True
if "postgresql" in DATABASES["default"]["ENGINE"]:
    # The pool keeps connections that would stop the suite from dropping its database.
    DATABASES["default"]["OPTIONS"].pop("pool")
