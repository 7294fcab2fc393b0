"""What all environments share; each has a module of its own that begins with this one's names.

What differs from service to service is in `example_site/services`, and is merged here.
"""

from __future__ import annotations

from typing import Any

from settings import caches, databases, drivers, environment, service, tokens

ROOT = environment.ROOT

# A service's own settings. Its apps, middleware and context processors come on top of those that
# all have; every other name replaces the one here.
SERVICE = service.chosen()
_own = service.load(SERVICE)
PORT = environment.integer("PORT", _own.pop("PORT"), least=1)

# Each environment but that of the tests requires it.
SECRET_KEY = environment.text("SECRET_KEY", default="")
DEBUG = environment.flag("DEBUG", default=False)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")

ROOT_URLCONF = f"example_site.services.{SERVICE}.urls"
WSGI_APPLICATION = "wsgi.application"

INSTALLED_APPS = [
    "concurrency",
    "example_site.databases",
    "example_site.services",
    *_own.pop("INSTALLED_APPS"),
]
MIDDLEWARE = [
    "concurrency.middleware.ConcurrencyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    *_own.pop("MIDDLEWARE", ()),
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
CSRF_FAILURE_VIEW = "example_site.pages.errors.forged"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                *_own.pop("CONTEXT_PROCESSORS", ()),
            ]
        },
    },
]

# In which logical database an app's tables are. Data outlive services: they may be cut otherwise
# tomorrow, and what is in one database stays together.
APP_DATABASES = {
    "admin": "users",
    "auth": "users",
    "authtoken": "users",
    "contenttypes": "users",
    "person": "users",
    "sessions": "users",
    "greet": "greetings",
    "translate": "greetings",
    "tweets": "tweets",
}
DATABASE_ROUTERS = ["example_site.databases.router.AppRouter"]
drivers.choose(environment.text("DATABASE_DRIVER", default=""))
# The logical databases of this service. Each is a physical one by its URL.
LOGICAL_DATABASES = _own.pop("LOGICAL_DATABASES")
# The one that Django takes when nobody says which; without it, that is an error.
DEFAULT_DATABASE = _own.pop("DEFAULT_DATABASE", "default")
DATABASES = databases.of_service(LOGICAL_DATABASES, DEFAULT_DATABASE)
# Seconds that a page waits for other services; the one that greets everyone takes more.
PAGE_DEADLINE = environment.number("PAGE_DEADLINE", 10.0)
# Requests in a minute to an API, from one address or of one account; 0 for no limit.
THROTTLE_ANONYMOUS = environment.integer("THROTTLE_ANONYMOUS", 300)
THROTTLE_ACCOUNT = environment.integer("THROTTLE_ACCOUNT", 1200)
# Login forms that one address may send in a minute, right or wrong; 0 for no limit.
THROTTLE_LOGIN = environment.integer("THROTTLE_LOGIN", 10)
# How many proxies in front add the address that they see to X-Forwarded-For.
TRUSTED_PROXIES = environment.integer("TRUSTED_PROXIES", 0)
# Where requests are counted.
CACHES = {"default": caches.from_url(environment.text("CACHE_URL", default=""))}
# What `/` of a service without pages says: a sentence, and paths to try.
ABOUT: dict[str, Any] = {"sentence": "", "paths": []}
# Whether pages show when the calls behind them were made, and accounts that everybody knows are.
DEVELOPMENT = False

# The same hashes as Django's own, but who signs in does not stop the others.
PASSWORD_HASHERS = ["example_site.hashers.OffloadedHasher"]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# What `manage.py serve` and gunicorn.conf.py take; CONCURRENCY_... in the environment wins.
CONCURRENCY: dict[str, Any] = {
    "BIND": environment.text("BIND_HOST", default="127.0.0.1"),
    "PORT": PORT,
    "WORKERS": environment.integer("WEB_CONCURRENCY", 1, least=1),
    "SHED_AFTER": environment.number("SHED_AFTER", 1.0) or float("inf"),
}

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
    "formatters": {
        "plain": {
            "()": "logging.Formatter",
            "fmt": "%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s",
            "defaults": {"request_id": "-"},
        },
    },
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
DEMO_BASE_URL = environment.text("DEMO_BASE_URL", default=f"http://127.0.0.1:{PORT}")

# Where the services are: SERVICE_URL_WELCOME and the like, else their ports on this machine.
DEVELOPMENT_URLS = {
    name: f"http://127.0.0.1:{service.load(name)['PORT']}" for name in service.names()
}
SERVICE_URLS = {
    name: environment.text(f"SERVICE_URL_{name.upper()}", default=url)
    for name, url in DEVELOPMENT_URLS.items()
}

# Where people find the other services that have pages; without an address there is no link.
PUBLIC_URLS = {
    "tweets": environment.text("PUBLIC_URL_TWEETS", default=""),
    "admin": environment.text("PUBLIC_URL_ADMIN", default=""),
}

# Whether internal services ask their callers for a token, and the keys that sign it: without one
# `environment.select` does not start what asks for tokens.
SERVICE_TOKENS_REQUIRED = environment.flag("SERVICE_TOKENS_REQUIRED", default=False)
SERVICE_TOKEN_KEYS = tokens.keys()

globals().update(_own)
