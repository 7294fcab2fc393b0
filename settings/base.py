"""What all environments share; each has a module of its own that begins with this one's names."""

from __future__ import annotations

from typing import Any

from settings import databases, environment

ROOT = environment.ROOT

# Each environment but that of the tests requires it.
SECRET_KEY = environment.text("SECRET_KEY", default="")
DEBUG = environment.flag("DEBUG", default=False)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")

ROOT_URLCONF = "example_site.urls"
WSGI_APPLICATION = "wsgi.application"

INSTALLED_APPS = [
    "concurrency",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "example_site.timeline",
    "example_site.apps.slowsql",
]
MIDDLEWARE = [
    "concurrency.middleware.ConcurrencyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    },
]

DATABASE_URL = environment.text("DATABASE_URL", default="")
DATABASES: dict[str, dict[str, Any]] = (
    {"default": databases.from_url(DATABASE_URL)} if DATABASE_URL else {}
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = ROOT / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "plain",
        },
    },
    "root": {"handlers": ["stdout"], "level": "INFO"},
    # Django's own handlers mail administrators and colour consoles; here all goes one way.
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}

# The example's account, and where it reaches itself: never what a Host header says.
DEMO_USER = environment.text("DEMO_USER", default="user")
DEMO_PASSWORD = environment.text("DEMO_PASSWORD", default="password")
DEMO_BASE_URL = environment.text(
    "DEMO_BASE_URL", default=f"http://127.0.0.1:{environment.integer('PORT', 8000)}"
)
