"""The porch for Celery workers. A message is only a wake-up: what is to be done stands in the database."""

import os

from celery import Celery
from kombu.transport import sqlalchemy as embedded_queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")

# The embedded queue has no setting for its polling interval (seconds).
embedded_queue.Transport.polling_interval = 0.5

app = Celery("countersign")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
