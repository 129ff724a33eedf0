from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sso_sessions", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="transient_name",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="transient NameID, by which the application knows the person here",
                max_length=64,
            ),
        ),
    ]
