"""Files that speak for an HR system, each import of one, and whom it told of."""

from typing import ClassVar

from django.db import models

from broker.registry.models.party import Party, unique_while_live


class FileSource(Party):
    """An HR system that sends files of one organisation's people and nothing else."""

    organisation = models.ForeignKey("registry.Organisation", on_delete=models.PROTECT, related_name="+")
    owner = models.EmailField(help_text="who answers for the files")
    key = models.CharField(
        max_length=64, default="employee_number", help_text="the attribute by which a row finds its person again"
    )
    columns = models.JSONField(
        default=dict, blank=True, help_text="{heading: attribute}, for headings that do not say it themselves"
    )
    is_full = models.BooleanField(
        default=False, help_text="each file names everybody: who is missing in it is no longer told of"
    )

    class Meta:
        constraints: ClassVar = [unique_while_live("slug", "batch_one_source")]

    @property
    def authority(self) -> str:
        """The text by which values name it (broker.directory.sources)."""
        return f"csv:{self.slug}"


class Import(models.Model):
    """One file of one source, from its plan to its end. The same file is the same import."""

    class State(models.TextChoices):
        APPLYING = "applying"
        HELD = "held", "waits for a second operator"
        DONE = "done"
        REFUSED = "refused", "closing was refused"

    source = models.ForeignKey(FileSource, on_delete=models.PROTECT, related_name="imports")
    file_name = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the file, in hex")
    state = models.CharField(max_length=16, choices=State.choices, default=State.APPLYING)
    rows = models.PositiveIntegerField(help_text="in the file, without its heading")
    position = models.PositiveIntegerField(default=0, help_text="rows that are done with")
    created = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    unreadable = models.PositiveIntegerField(default=0, help_text="of the rejected, those that do not say of whom")
    conflicts = models.PositiveIntegerField(default=0, help_text="values that were kept and did not win")
    missing = models.PositiveIntegerField(default=0, help_text="people whom the file should name and does not")
    closed = models.PositiveIntegerField(default=0)
    begun_at = models.DateTimeField()
    begun_by = models.CharField(max_length=220, help_text="actor")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-begun_at"]
        indexes: ClassVar = [models.Index(fields=["source", "digest"], name="batch_same_file")]

    def __str__(self) -> str:
        return f"{self.file_name} of {self.source}"


class Entry(models.Model):
    """A person as the files of one source name them."""

    source = models.ForeignKey(FileSource, on_delete=models.PROTECT, related_name="entries")
    key = models.CharField(max_length=200)
    person = models.ForeignKey("directory.Person", on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, help_text="of what the last row said: the same again is no work")
    last_import = models.ForeignKey(Import, on_delete=models.PROTECT, related_name="+")
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "key"], name="batch_one_entry"),
            models.UniqueConstraint(fields=["source", "person"], name="batch_one_person"),
        ]
        indexes: ClassVar = [models.Index(fields=["source", "gone_at", "last_import"], name="batch_missing")]

    def __str__(self) -> str:
        return self.key
