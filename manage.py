#!/usr/bin/env python
"""Countersign's commands: `manage.py help` lists them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    if sys.argv[1:2] == ["serve"]:
        from broker.operations import embedded  # it makes the secrets without which no settings load

        embedded.prepare_folder_or_exit()
    from django.core.management import execute_from_command_line  # Django reads the settings on import

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
