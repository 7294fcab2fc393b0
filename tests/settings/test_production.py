"""What production insists on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.settings.conftest import PRODUCTION, Project

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
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "example.org, *"),
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


NOTHING = dict.fromkeys(PRODUCTION.keys() - {"ENVIRONMENT"})
ALWAYS = ["SECRET_KEY", "DATABASE_URL", "ALLOWED_HOSTS"]
DEMO = ["DEMO_USER", "DEMO_PASSWORD", "DEMO_BASE_URL"]
KNOWN = "is the default that everybody knows"


@pytest.mark.parametrize(
    ("changes", "complaints"),
    [
        (NOTHING, [*ALWAYS, *DEMO, "SERVICE_TOKEN_KEYS"]),
        ({**NOTHING, "SERVICE_TOKENS_REQUIRED": "true"}, [*ALWAYS, *DEMO, "SERVICE_TOKEN_KEYS"]),
        ({**NOTHING, "SERVICE_TOKENS_REQUIRED": "false"}, [*ALWAYS, *DEMO]),
        ({**NOTHING, "SERVICE": "user"}, [*ALWAYS, "SERVICE_TOKEN_KEYS"]),
        (
            {"SECRET_KEY": "short", "ALLOWED_HOSTS": None, "DEBUG": "1"},
            [
                "ALLOWED_HOSTS",
                "SECRET_KEY is shorter than 50 characters or repeats a few",
                "DEBUG is on, which shows strangers the insides",
            ],
        ),
        (
            {"DEMO_USER": "user", "DEMO_PASSWORD": "password"},
            [f"DEMO_USER {KNOWN}", f"DEMO_PASSWORD {KNOWN}"],
        ),
    ],
)
def test_all_that_is_wrong_is_one_message(
    production: Make, changes: dict[str, str | None], complaints: list[str]
) -> None:
    """Whoever deploys reads once what to set, and not one key after each start."""
    wanted = [one if " " in one else f"{one} is missing" for one in complaints]
    assert production(**changes).complaint().startswith(f"{'; '.join(wanted)}. Set them in ")


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
