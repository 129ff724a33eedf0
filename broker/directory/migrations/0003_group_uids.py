"""Give the groups of before their `uid` and `source`. The version of before may write others meanwhile: they have
neither, which both columns allow, until the task that applies authority fills them."""

import uuid
from typing import Any

from django.db import migrations, models

CHUNK = 1_000


def fill(apps: Any, schema_editor: Any) -> None:
    """A chunk at a time, each by itself: run again, it goes on."""
    group = apps.get_model("directory", "Group")
    waiting = group.objects.using(schema_editor.connection.alias).filter(uid=None).order_by("pk")
    while rows := list(waiting.select_related("identity_provider")[:CHUNK]):
        for row in rows:
            row.uid = uuid.uuid4()
            row.source = row.source or f"idp:{row.identity_provider.slug}"
        group.objects.bulk_update(rows, ["uid", "source"])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("directory", "0002_provenance")]

    operations = [
        migrations.AlterField(
            model_name="group",
            name="uid",
            field=models.UUIDField(
                default=uuid.uuid4,
                editable=False,
                help_text="by which others know the group",
                null=True,
                unique=True,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
