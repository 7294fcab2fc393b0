"""What `manage.py` offers besides Django's own commands."""
