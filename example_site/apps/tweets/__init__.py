"""Tweets: short texts with the time at which they came."""
