#!/usr/bin/env python
"""Countersign's commands: `manage.py help` lists them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    from django.core.management import execute_from_command_line  # Django reads the settings on import

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
