"""The tracking tables as Django sees them: unmanaged and for reading; the recorder alone writes them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from sqlmigrations import conf


class SchemaMigration(models.Model):
    """A migration in force."""

    label = models.TextField(_("label"))
    key = models.TextField(_("key"))
    version = models.BigIntegerField(_("version"), null=True)
    name = models.TextField(_("name"))
    kind = models.TextField(_("kind"))
    mode = models.TextField(_("mode"))
    checksum = models.TextField(_("checksum"))
    sql_checksum = models.TextField(_("SQL checksum"))
    checksum_algorithm = models.TextField(_("checksum algorithm"))
    state = models.TextField(_("state"))
    applied_at = models.DateTimeField(_("applied at"))
    execution_ms = models.FloatField(_("duration in ms"), null=True)
    applied_by = models.TextField(_("applied by"))
    run_id = models.UUIDField(_("run"))
    statements_done = models.IntegerField(_("statements done"))
    statements_total = models.IntegerField(_("statements in all"))
    late = models.BooleanField(_("late"))
    tool_version = models.TextField(_("tool version"))
    metadata = models.JSONField(_("metadata"))

    class Meta:
        """Beside Django's own tables, but not Django's to create, flush or drop."""

        managed = False
        db_table = conf.table("schema_migrations")
        default_permissions = ("view",)
        ordering = ("-id",)
        verbose_name = _("SQL migration")
        verbose_name_plural = _("SQL migrations")

    def __str__(self) -> str:
        """``label.NNN_slug``."""
        return f"{self.label}.{self.name}"


class SchemaMigrationEvent(models.Model):
    """Something that happened to a migration or in a run; rows are only ever added."""

    happened_at = models.DateTimeField(_("happened at"))
    run_id = models.UUIDField(_("run"))
    event = models.TextField(_("event"))
    label = models.TextField(_("label"), null=True)
    key = models.TextField(_("key"), null=True)
    name = models.TextField(_("name"), null=True)
    db_user = models.TextField(_("database user"))
    os_user = models.TextField(_("system user"))
    host = models.TextField(_("host"))
    pid = models.IntegerField(_("process"))
    git_commit = models.TextField(_("git commit"), null=True)
    detail = models.JSONField(_("detail"))

    class Meta:
        """As of the ledger."""

        managed = False
        db_table = conf.table("schema_migration_events")
        default_permissions = ("view",)
        ordering = ("-id",)
        verbose_name = _("SQL migration event")
        verbose_name_plural = _("SQL migration events")

    @property
    def by(self) -> str:
        """Who did it and where: the system's user and host, and the database's user."""
        return f"{self.os_user}@{self.host} ({self.db_user})"

    def __str__(self) -> str:
        """What happened to what."""
        return f"{self.event} {self.label}.{self.name}" if self.label else self.event


class SchemaMigrationText(models.Model):
    """The SQL of a file as applied, by checksum."""

    checksum = models.TextField(_("checksum"), primary_key=True)
    body = models.TextField(_("SQL"))
    kept_at = models.DateTimeField(_("kept at"))

    class Meta:
        """As of the ledger, with a permission of its own: SQL can tell more than a name."""

        managed = False
        db_table = conf.table("schema_migration_texts")
        default_permissions = ("view",)
        verbose_name = _("SQL text")
        verbose_name_plural = _("SQL texts")

    def __str__(self) -> str:
        """The beginning of the checksum."""
        return self.checksum[:12]
