"""Greetings, and which of them is for what time of day."""
