"""Persons: a slug and a full name. Deliberately not Django's users, who log in."""
