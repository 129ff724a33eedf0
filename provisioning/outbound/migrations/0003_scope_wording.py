from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("outbound", "0002_holds"),
    ]

    operations = [
        migrations.AlterField(
            model_name="target",
            name="scope",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='{"everyone": true} or {"groups": [...], "attributes": {name: [values]}}; '
                '"organisations": [slugs] narrows either; empty: nobody',
                verbose_name="who belongs there",
            ),
        ),
    ]
