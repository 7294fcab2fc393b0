"""What production insists on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.settings.conftest import Project

pytestmark = pytest.mark.slow

Make = Callable[..., Project]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SECRET_KEY", None),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "abc" * 30),
        ("SECRET_KEY", "django-insecure-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"),
        ("DATABASE_URL", None),
        ("ALLOWED_HOSTS", None),
        ("DEBUG", "true"),
        ("DEMO_USER", "user"),
        ("DEMO_PASSWORD", "password"),
        ("DEMO_PASSWORD", None),
        ("DEMO_BASE_URL", None),
        ("SERVICE_TOKEN_KEYS", None),
        ("SERVICE_TOKEN_KEYS", "short"),
        ("SERVICE_TOKEN_KEYS", ",".join(digit * 32 for digit in "123")),
    ],
)
def test_production_refuses(production: Make, key: str, value: str | None) -> None:
    """What is missing, or known to everybody, is refused with one line that names it."""
    assert production(**{key: value}).complaint().startswith(f"{key} ")


@pytest.mark.parametrize(
    ("given", "required"), [({}, True), ({"SERVICE_TOKENS_REQUIRED": "false"}, False)]
)
def test_services_ask_for_tokens(production: Make, given: dict[str, str], required: bool) -> None:
    """In production internal services ask for a token, unless told not to."""
    assert production().value("s.SERVICE_TOKENS_REQUIRED", **given) is required


def test_development_asks_for_no_tokens(development: Project) -> None:
    """In development curl needs no token; to ask for them needs a key."""
    assert development.value("[s.SERVICE_TOKENS_REQUIRED, s.SERVICE_TOKEN_KEYS]") == [False, []]
    complaint = development.complaint(SERVICE_TOKENS_REQUIRED="true")
    assert complaint.startswith("SERVICE_TOKEN_KEYS is missing")


def test_production_is_strict_about_https(production: Make) -> None:
    """Cookies, redirects and HSTS are on without being asked for."""
    project = production()
    found = project.value(
        "[s.SECURE_SSL_REDIRECT, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.DEBUG]"
    )
    assert found == [True, True, True, False]
    assert project.value("s.SECURE_HSTS_SECONDS") == 3600


def test_a_proxy_in_front_is_a_matter_of_the_environment(production: Make) -> None:
    """The header that a proxy sets is believed only when it is named."""
    project = production(CSRF_TRUSTED_ORIGINS="https://a.org, https://b.org")
    assert project.value("hasattr(s, 'SECURE_PROXY_SSL_HEADER')") is False
    found = project.value("s.SECURE_PROXY_SSL_HEADER", SECURE_PROXY_SSL_HEADER="X-Forwarded-Proto")
    assert found == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert project.value("s.CSRF_TRUSTED_ORIGINS") == ["https://a.org", "https://b.org"]


def test_a_personal_file_is_chosen_like_any_other(production: Make) -> None:
    """`ENVIRONMENT=settings.zoe` picks the example of a personal file."""
    project = production(ENVIRONMENT="settings.zoe")
    assert project.value("s.LOGGING['loggers']['django.db.backends']['level']") == "DEBUG"
