"""The service where people who may change data do it; it has the models of all apps."""

from __future__ import annotations

PORT = 8001
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.auth",
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework.authtoken",
    "example_site.pages",
    "example_site.apps.person",
    "example_site.apps.greet",
    "example_site.apps.translate",
    "example_site.apps.tweets",
]
MIDDLEWARE = [
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "example_site.logins.LoginThrottleMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
CONTEXT_PROCESSORS = [
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
LOGICAL_DATABASES = ["users", "greetings", "tweets"]
# Commands such as createsuperuser name a database themselves, and without an option it is this.
DEFAULT_DATABASE = "users"
