"""Tells Django of the models; the tables themselves come from ``migrations_sql``."""

from __future__ import annotations

from django.db import migrations, models

from sqlmigrations import conf


class Migration(migrations.Migration):
    """State only: no statement is sent."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="SchemaMigration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.TextField(verbose_name="label")),
                ("key", models.TextField(verbose_name="key")),
                ("version", models.BigIntegerField(null=True, verbose_name="version")),
                ("name", models.TextField(verbose_name="name")),
                ("kind", models.TextField(verbose_name="kind")),
                ("mode", models.TextField(verbose_name="mode")),
                ("checksum", models.TextField(verbose_name="checksum")),
                ("sql_checksum", models.TextField(verbose_name="SQL checksum")),
                ("checksum_algorithm", models.TextField(verbose_name="checksum algorithm")),
                ("state", models.TextField(verbose_name="state")),
                ("applied_at", models.DateTimeField(verbose_name="applied at")),
                ("execution_ms", models.FloatField(null=True, verbose_name="duration in ms")),
                ("applied_by", models.TextField(verbose_name="applied by")),
                ("run_id", models.UUIDField(verbose_name="run")),
                ("statements_done", models.IntegerField(verbose_name="statements done")),
                ("statements_total", models.IntegerField(verbose_name="statements in all")),
                ("late", models.BooleanField(verbose_name="late")),
                ("tool_version", models.TextField(verbose_name="tool version")),
                ("metadata", models.JSONField(verbose_name="metadata")),
            ],
            options={
                "verbose_name": "SQL migration",
                "verbose_name_plural": "SQL migrations",
                "db_table": conf.table("schema_migrations"),
                "ordering": ("-id",),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SchemaMigrationEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("happened_at", models.DateTimeField(verbose_name="happened at")),
                ("run_id", models.UUIDField(verbose_name="run")),
                ("event", models.TextField(verbose_name="event")),
                ("label", models.TextField(null=True, verbose_name="label")),
                ("key", models.TextField(null=True, verbose_name="key")),
                ("name", models.TextField(null=True, verbose_name="name")),
                ("db_user", models.TextField(verbose_name="database user")),
                ("os_user", models.TextField(verbose_name="system user")),
                ("host", models.TextField(verbose_name="host")),
                ("pid", models.IntegerField(verbose_name="process")),
                ("git_commit", models.TextField(null=True, verbose_name="git commit")),
                ("detail", models.JSONField(verbose_name="detail")),
            ],
            options={
                "verbose_name": "SQL migration event",
                "verbose_name_plural": "SQL migration events",
                "db_table": conf.table("schema_migration_events"),
                "ordering": ("-id",),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SchemaMigrationText",
            fields=[
                ("checksum", models.TextField(primary_key=True, serialize=False, verbose_name="checksum")),
                ("body", models.TextField(verbose_name="SQL")),
                ("kept_at", models.DateTimeField(verbose_name="kept at")),
            ],
            options={
                "verbose_name": "SQL text",
                "verbose_name_plural": "SQL texts",
                "db_table": conf.table("schema_migration_texts"),
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    )
