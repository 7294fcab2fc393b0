"""A backend that derives from one of Django's, pooled as the documentation shows it."""
