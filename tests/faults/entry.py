"""The product's programs as the fault tests start them: below them the suite's clock and shorter waits.

`python -m tests.faults.entry manage <arguments>` is manage.py, `… celery <arguments>` is Celery, and granian serves
`tests.faults.entry:application`. Which clock, limits and schedule: the environment's FAULTS_CLOCK (a file),
FAULTS_LIMITS (JSON: {name in broker.limits: seconds, or the number}) and FAULTS_BEAT (JSON: {entry: seconds}).
"""

import json
import os
import sys
from datetime import timedelta
from typing import Any

from tests.faults.clock import follow_environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")


def prepare() -> None:
    """Put clock and limits in place. Before anything of the product but its limits is imported."""
    follow_environment()
    from broker import limits

    for name, value in json.loads(os.environ.get("FAULTS_LIMITS", "{}")).items():
        old = getattr(limits, name)
        setattr(limits, name, timedelta(seconds=value) if isinstance(old, timedelta) else value)


def hurry_beat() -> None:
    """Let the schedule's entries that the environment names come as often as it says."""
    from django.conf import settings

    for name, seconds in json.loads(os.environ.get("FAULTS_BEAT", "{}")).items():
        settings.CELERY_BEAT_SCHEDULE[name]["schedule"] = seconds


def _main(program: str, *arguments: str) -> Any:
    prepare()
    if program == "manage":
        from django.core.management import execute_from_command_line

        return execute_from_command_line(["manage.py", *arguments])
    import django

    django.setup()
    hurry_beat()
    from broker.celery import app

    return app.start(list(arguments))


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))


def __getattr__(name: str) -> Any:
    """`application`, made when granian asks for it."""
    if name != "application":
        raise AttributeError(name)
    prepare()
    from broker.wsgi import application

    globals()[name] = application
    return application
