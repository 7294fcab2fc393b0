"""Greetings in other languages."""
