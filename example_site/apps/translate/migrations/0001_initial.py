"""The table of translations."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of translations."""

    initial = True

    dependencies = [
        ("greet", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Translation",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "lang",
                    models.CharField(
                        max_length=2,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z]{2}\\Z", "Give two small letters."
                            )
                        ],
                    ),
                ),
                ("translation", models.CharField(max_length=20)),
                (
                    "greeting",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="greet.greeting"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("greeting", "lang"), name="greeting_lang")
                ],
            },
        ),
    ]
