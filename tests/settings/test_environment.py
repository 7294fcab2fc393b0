"""The file `.env`, the variables that win over it, and what is said when a key is missing."""

from __future__ import annotations

import pytest

from tests.settings.conftest import COMPLETE, Project

pytestmark = pytest.mark.slow


def test_the_file_is_found_from_another_folder(development: Project) -> None:
    """`.env` is read from beside manage.py, wherever a command is started."""
    assert development.value("s.SECRET_KEY") == COMPLETE["SECRET_KEY"]


def test_the_environment_wins_over_the_file(development: Project) -> None:
    """A variable that is set is not overwritten by the file, an empty one included."""
    assert development.value("s.SECRET_KEY", SECRET_KEY="another") == "another"
    assert development.complaint(SECRET_KEY="").startswith("SECRET_KEY is missing")


@pytest.mark.parametrize("key", ["ENVIRONMENT", "SECRET_KEY"])
def test_a_missing_key_is_named_with_its_file(project: Project, key: str) -> None:
    """One line names the key that is missing and the file where it belongs."""
    project.write({**COMPLETE, key: None})
    complaint = project.complaint()
    assert complaint.startswith(f"{key} is missing. Set it in {project.root / '.env'} ")


def test_without_a_file_the_template_is_named(project: Project) -> None:
    """Where there is no `.env`, the message says from what to make it."""
    assert ".env.template" in project.complaint()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", False), ("false", False), ("False", False), ("0", False), ("true", True), ("on", True)],
)
def test_debug_is_a_truth_value(project: Project, written: str, meant: bool) -> None:
    """DEBUG is off unless it says true; the word false is false."""
    project.write({**COMPLETE, "DEBUG": written})
    assert project.value("s.DEBUG") is meant


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("DEBUG", "perhaps"),
        ("PORT", "http"),
        ("DATABASE_POOL_MAX_SIZE", "0"),
        ("DATABASE_POOL_TIMEOUT", "nan"),
        ("DATABASE_POOL_TIMEOUT", "1,000"),
        ("DATABASE_POOL_TIMEOUT", "5 s"),
        ("DATABASE_POOL_TIMEOUT", "-1"),
        ("DATABASE_POOL_MAX_SIZE", "2.5"),
        ("DATABASE_DRIVER", "psycopg4"),
        ("DATABASE_URL", "oracle://a:b@c/d"),
        ("DATABASE_URL", "postgres://a:b@c:port/d"),
        ("ENVIRONMENT", "settings.nowhere"),
        ("ENVIRONMENT", "nowhere"),
        ("ENVIRONMENT", ".production"),
        ("ENVIRONMENT", "settings/production.py"),
        ("ENVIRONMENT", "settings.caches"),
        ("ENVIRONMENT", "json"),
    ],
)
def test_a_wrong_value_is_named(development: Project, key: str, value: str) -> None:
    """A value that cannot be right is one line that names the key."""
    assert development.complaint(**{key: value}).startswith(f"{key} ")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("production", "settings.production"),
        ("prod", "settings.production"),
        ("settings.prodution", "settings.production"),
        ("dev", "settings.development"),
        (
            "whatever",
            "settings.development or settings.production or settings.test or settings.zoe",
        ),
    ],
)
def test_the_settings_module_that_was_meant_is_named(
    development: Project, given: str, meant: str
) -> None:
    """A name that is none of a settings module is answered with those that are."""
    assert development.complaint(ENVIRONMENT=given).startswith(
        f"ENVIRONMENT is {given!r}, which is no settings module: use {meant}. Set it in "
    )


@pytest.mark.parametrize(
    ("key", "value", "expression", "meant"),
    [
        ("SHED_AFTER", "2.5", "s.PAGE_DEADLINE and s.CONCURRENCY['SHED_AFTER']", 2.5),
        ("PORT", " 8123 ", "s.PORT", 8123),
        ("ALLOWED_HOSTS", "a.org, b.org,,", "s.ALLOWED_HOSTS", ["a.org", "b.org"]),
        ("DEBUG", "yes", "s.DEBUG", True),
        ("DEBUG", "n", "s.DEBUG", False),
    ],
)
def test_a_value_is_cast(
    development: Project, key: str, value: str, expression: str, meant: object
) -> None:
    """Numbers, lists and truth values are read as what they are, blanks around them left out."""
    assert development.value(expression, **{key: value}) == meant


def test_a_message_does_not_show_the_databases_password(development: Project) -> None:
    """A URL that cannot be read is not repeated: its password would end up in a log."""
    assert "secret" not in development.complaint(DATABASE_URL="oracle://a:secret@c/d")


def test_a_value_that_begins_with_a_dollar_is_taken_as_it_is(development: Project) -> None:
    """A password such as `$HOME` is that password, not the value of another variable."""
    assert development.value("s.DEMO_PASSWORD", DEMO_PASSWORD="$HOME") == "$HOME"


def test_a_broken_import_inside_the_settings_is_not_hidden(development: Project) -> None:
    """A settings file that imports what is not installed says so, and not that it is missing."""
    (development.root / "settings" / "mine.py").write_text("import nowhere_installed\n")
    answer = development.run(
        "from settings import environment; environment.select()", ENVIRONMENT="settings.mine"
    )
    assert "No module named 'nowhere_installed'" in answer.stderr


def test_a_changed_file_is_read_anew_when_asked(development: Project) -> None:
    """Choosing the settings again, as gunicorn does on a reload, takes over what changed."""
    answer = development.run(
        "from settings import environment\n"
        "environment.select()\n"
        "environment.forget()\n"
        "text = environment.ENV_FILE.read_text()\n"
        "environment.ENV_FILE.write_text(text + 'DEMO_USER=later\\n')\n"
        "environment.select()\n"
        "import settings.development\n"
        "print(settings.development.DEMO_USER)\n"
    )
    assert answer.stdout == "later\n", answer.stderr
