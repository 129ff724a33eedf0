"""The database itself keeps the book: no change of an event, no deletion without a permit, no seal rewritten.

A later migration that lets Django rebuild one of these tables on SQLite drops its triggers: it has to run
`guard` again. `broker.events.doctor` looks whether they are there.
"""

from django.db import migrations

SEALED_COLUMNS = "id, at, ids, count, until_id, rows_digest, previous_digest, digest, signature"
WITHOUT_PERMIT = "NOT EXISTS (SELECT 1 FROM events_prunepermit WHERE until_id > 0 AND OLD.id <= until_id)"

# INSERT OR REPLACE deletes the old row without asking the DELETE triggers, hence the two `no_replace`.
SQLITE = [
    """CREATE TRIGGER events_event_no_update BEFORE UPDATE ON events_event
       BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END""",
    f"""CREATE TRIGGER events_event_no_delete BEFORE DELETE ON events_event WHEN {WITHOUT_PERMIT}
       BEGIN SELECT RAISE(ABORT, 'an event is deleted by pruning only'); END""",
    """CREATE TRIGGER events_event_no_replace BEFORE INSERT ON events_event
       WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM events_event WHERE id = NEW.id)
       BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END""",
    f"""CREATE TRIGGER events_seal_no_update BEFORE UPDATE OF {SEALED_COLUMNS} ON events_seal
       BEGIN SELECT RAISE(ABORT, 'a seal is never changed'); END""",
    """CREATE TRIGGER events_seal_no_delete BEFORE DELETE ON events_seal
       BEGIN SELECT RAISE(ABORT, 'a seal is never deleted'); END""",
    """CREATE TRIGGER events_seal_no_replace BEFORE INSERT ON events_seal
       WHEN EXISTS (SELECT 1 FROM events_seal
                    WHERE id = NEW.id OR digest = NEW.digest OR previous_digest = NEW.previous_digest)
       BEGIN SELECT RAISE(ABORT, 'a seal is never replaced'); END""",
]

POSTGRESQL = [
    """CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         RAISE EXCEPTION '%: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
       END $$""",
    f"""CREATE FUNCTION events_refuse_without_permit() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF {WITHOUT_PERMIT} THEN
           RAISE EXCEPTION 'an event is deleted by pruning only' USING ERRCODE = 'restrict_violation';
         END IF;
         RETURN OLD;
       END $$""",
    """CREATE TRIGGER events_event_no_update BEFORE UPDATE ON events_event
       FOR EACH ROW EXECUTE FUNCTION events_refuse()""",
    """CREATE TRIGGER events_event_no_delete BEFORE DELETE ON events_event
       FOR EACH ROW EXECUTE FUNCTION events_refuse_without_permit()""",
    """CREATE TRIGGER events_event_no_truncate BEFORE TRUNCATE ON events_event
       FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()""",
    f"""CREATE TRIGGER events_seal_no_update BEFORE UPDATE OF {SEALED_COLUMNS} ON events_seal
       FOR EACH ROW EXECUTE FUNCTION events_refuse()""",
    """CREATE TRIGGER events_seal_no_delete BEFORE DELETE ON events_seal
       FOR EACH ROW EXECUTE FUNCTION events_refuse()""",
    """CREATE TRIGGER events_seal_no_truncate BEFORE TRUNCATE ON events_seal
       FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()""",
]
TRIGGERS = {
    "sqlite": [statement.split()[2] for statement in SQLITE],
    "postgresql": [statement.split()[2] for statement in POSTGRESQL if statement.startswith("CREATE TRIGGER")],
}


def guard(apps, schema_editor):
    """Install the triggers."""
    for statement in {"sqlite": SQLITE, "postgresql": POSTGRESQL}[schema_editor.connection.vendor]:
        schema_editor.execute(statement, params=None)


def unguard(apps, schema_editor):
    """Remove the triggers."""
    vendor = schema_editor.connection.vendor
    for name in TRIGGERS[vendor]:
        table = "_".join(name.split("_")[:2])
        schema_editor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if vendor == "postgresql" else ""))
    if vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION events_refuse(), events_refuse_without_permit()")


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]
    operations = [migrations.RunPython(guard, unguard)]
