"""The table of greetings."""

from __future__ import annotations

from django.core.validators import validate_slug
from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of greetings."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Greeting",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.CharField(max_length=30, unique=True, validators=[validate_slug])),
                ("start_time", models.TimeField(blank=True, null=True)),
                ("end_time", models.TimeField(blank=True, null=True)),
                ("salutation", models.CharField(max_length=30)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("end_time__isnull", True), ("start_time__isnull", True)),
                            ("start_time__lte", models.F("end_time")),
                            _connector="OR",
                        ),
                        name="greeting_times",
                        violation_error_message="Give both times, the start first, or neither.",
                    )
                ],
            },
        ),
    ]
