"""Configuration files, given to the commands that read them."""

import io

from django.core.management import call_command


def run(command, folder, text, *options):
    """Exit code, output, problems."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    file = folder / "company.yaml"
    file.write_text(text)
    try:
        call_command(command, str(file), *options, stdout=out, stderr=err)
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, out.getvalue(), err.getvalue()
