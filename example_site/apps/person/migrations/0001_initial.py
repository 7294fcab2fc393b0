"""The table of persons."""

from __future__ import annotations

from django.core.validators import validate_slug
from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of persons."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Person",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.CharField(max_length=20, unique=True, validators=[validate_slug])),
                ("full_name", models.CharField(max_length=50)),
            ],
        ),
    ]
