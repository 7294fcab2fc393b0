"""The service that keeps tweets; who may write them has an account in ``users``."""

from __future__ import annotations

PORT = 8030
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    # Before the framework, whose pages it names otherwise.
    "example_site.apps.tweets",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "example_site.pages",
]
MIDDLEWARE = [
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "example_site.logins.LoginThrottleMiddleware",
]
LOGICAL_DATABASES = ["tweets", "users"]
LOGIN_REDIRECT_URL = "/tweet/"

REST_FRAMEWORK = {
    # The first one's way to say 401 is what a stranger is told.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_PARSER_CLASSES": [
        "example_site.apps.tweets.parsers.ShallowJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["example_site.apps.tweets.throttling.PerMinute"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "example_site.apps.tweets.errors.explain",
    "URL_FIELD_NAME": "href",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tweets",
    "DESCRIPTION": (
        "Short texts of people. Everybody may read; to write, sign in or send the token of an "
        "account as `Authorization: Token ...`. An administrator makes tokens, in the admin or "
        "with `manage.py drf_create_token NAME`."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    # What is sent and what is answered differ.
    "COMPONENT_SPLIT_REQUEST": True,
    # Out of the package, so that the page asks nobody else for its scripts.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
