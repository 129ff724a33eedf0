"""The one row that caches follow."""

from django.db import migrations


def make_row(apps, schema_editor):
    apps.get_model("registry", "RegistryVersion").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]
    operations = [migrations.RunPython(make_row, migrations.RunPython.noop)]
