"""What has to be said in two places is the same in both."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

from concurrency.server.options import ServeOptions

ROOT = Path(__file__).resolve().parents[1]
OURS = {"bench", "concurrency", "deploy", "example_site", "settings", "tests"}

# Keys that are not read in `settings`, and who reads them.
READ_ELSEWHERE = {
    "CONCURRENCY_PATCH": "concurrency/patch.py",
    "CONCURRENCY_UNPATCHED_COMMANDS": "concurrency/patch.py",
    "CONCURRENCY_RAISE_FILE_LIMIT": "concurrency/patch.py",
}


def python_files(*folders: str) -> list[Path]:
    """Return the Python files of these folders or files."""
    found = [ROOT / folder for folder in folders]
    return sorted(
        file for path in found for file in ([path] if path.is_file() else path.rglob("*.py"))
    )


@cache
def tree(path: Path) -> ast.Module:
    """Return a file as a syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively; the rest of the project does not"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def requirements(name: str) -> dict[str, str]:
    """Return the lines of a requirements file by the packages' normalised names."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    wanted = [line.strip() for line in lines if line.strip() and line[0] not in "#-"]
    return {normalised(re.split(r"[\[<>=~! ]", line)[0]): line for line in wanted}


def normalised(name: str) -> str:
    """Return a package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def template_keys() -> list[str]:
    """Return the keys of `.env.template`, in its order."""
    text = (ROOT / ".env.template").read_text(encoding="utf-8")
    return re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)


def keys_read() -> set[str]:
    """Return the keys that the settings read, by looking at the calls that read them."""
    readers = {"text", "flag", "integer", "number", "names", "require"}
    found = set()
    for path in python_files("settings", "gunicorn.conf.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                function = node.func
                name = function.attr if isinstance(function, ast.Attribute) else None
                name = function.id if isinstance(function, ast.Name) else name
                if name in readers:
                    texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                    keys = texts if name == "require" else texts[:1]
                    found.update(key for key in keys if isinstance(key, str) and key)
    return found


def service_names() -> list[str]:
    """Return the names of the example's services."""
    return [file.parent.name for file in ROOT.glob("example_site/services/*/settings.py")]


def test_the_template_has_every_key_and_no_other() -> None:
    """`.env.template` has the keys that are read, each once."""
    keys = template_keys()
    assert len(keys) == len(set(keys))
    addresses = {key for key in keys if key.startswith("SERVICE_URL_")}
    of_serve = {f"CONCURRENCY_{field.name.upper()}" for field in fields(ServeOptions)}
    assert set(keys) - addresses - of_serve == keys_read() | set(READ_ELSEWHERE)
    assert addresses <= {f"SERVICE_URL_{name.upper()}" for name in service_names()}


@pytest.mark.parametrize(("key", "file"), READ_ELSEWHERE.items())
def test_keys_read_elsewhere_are_read_there(key: str, file: str) -> None:
    """The list of keys that others than the settings read is true."""
    assert f'"{key}"' in (ROOT / file).read_text(encoding="utf-8")


def test_the_template_explains_and_holds_no_values() -> None:
    """Each key has a line of meaning above it and no value: secrets do not begin as examples."""
    lines = (ROOT / ".env.template").read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Z_]+=", line), line
            assert above.startswith("# "), f"{line} has no line that tells what it is"


def test_direct_requirements_have_no_versions() -> None:
    """A direct requirement names no version, or an upper limit with its reason beside it."""
    for line in requirements("requirements_to_freeze.txt").values():
        assert re.fullmatch(r"[a-z0-9-]+(\[[a-z,]+\])?(<\S+\s+# \S.*)?", line), line


def test_the_lock_pins_everything_exactly() -> None:
    """requirements.txt pins each direct requirement, and all else, to one version."""
    lock = requirements("requirements.txt")
    assert set(requirements("requirements_to_freeze.txt")) <= set(lock)
    for line in lock.values():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line
    assert "Do not edit" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()[0]


def test_the_lock_keeps_order_and_comments() -> None:
    """It begins as requirements_to_freeze.txt does, and marks what others have brought along."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    direct, marker, added = text.partition(
        "## The following requirements were added by pip freeze:\n"
    )
    assert marker
    assert list(requirements("requirements_to_freeze.txt")) == [
        normalised(line.partition("==")[0]) for line in direct.splitlines() if "==" in line
    ]
    assert not any(line.startswith("#") for line in added.splitlines())
    comments = [
        line
        for line in (ROOT / "requirements_to_freeze.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    ]
    assert [line for line in direct.splitlines() if line in comments] == comments


def test_what_a_setting_imports_is_in_the_lock() -> None:
    """Django imports the client of Redis for CACHE_URL, and production has the lock alone."""
    assert "redis" in requirements("requirements_to_freeze.txt")
    assert "RedisCache" in (ROOT / "settings/caches.py").read_text(encoding="utf-8")


def test_the_lock_holds_no_tools() -> None:
    """What only developers use is not in the lock that production installs."""
    tools = {**requirements("requirements-dev.txt"), **requirements("requirements-bench.txt")}
    assert not set(tools) & set(requirements("requirements.txt"))
    assert not {"pip", "setuptools", "wheel"} & set(requirements("requirements.txt"))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("requirements-dev.txt", "requirements.txt"),
        ("requirements-bench.txt", "requirements-dev.txt"),
        ("requirements-zoe.txt", "requirements-dev.txt"),
    ],
)
def test_requirements_build_on_each_other(name: str, base: str) -> None:
    """Each requirements file begins with the one below it."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if not line.startswith("#")) == f"-r {base}"


def test_requirements_name_no_place() -> None:
    """No requirements file names an index or a folder of somebody's machine."""
    for path in ROOT.glob("requirements*.txt"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|file:|https?:| @ ", text), path


def test_what_is_imported_is_required_directly() -> None:
    """Each package that the code imports is in requirements_to_freeze.txt."""
    distributions = packages_distributions()
    direct = set(requirements("requirements_to_freeze.txt"))
    files = python_files(
        "concurrency", "example_site", "settings", "manage.py", "wsgi.py", "gunicorn.conf.py"
    )
    for path in files:
        for module in {name.split(".")[0] for name in imports(path)}:
            if module in sys.stdlib_module_names or module in OURS or is_optional(path, module):
                continue
            names = {normalised(name) for name in distributions.get(module, [module])}
            assert names & direct, f"{path} imports {module}, which is not a direct requirement"


def is_optional(path: Path, module: str) -> bool:
    """Whether it is for a user's own test suite, which has pytest anyway, or for developers."""
    if path.name in {"reload.py", "debugging.py"}:
        return module in {"watchfiles", "debugpy"}
    return module == "pytest" and "testing" in path.parts


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("concurrency", {"concurrency"}),
        ("deploy", {"deploy"}),
        ("settings", {"settings"}),
        ("example_site", {"example_site", "concurrency"}),
        ("bench", {"bench", "concurrency", "deploy"}),
    ],
)
def test_packages_know_only_those_below(package: str, allowed: set[str]) -> None:
    """A package imports none of the packages that stand above it or beside it."""
    for path in python_files(package):
        known = {name.split(".")[0] for name in imports(path)} & OURS
        assert known <= allowed, f"{path} imports {known - allowed}"


def tracked() -> list[Path]:
    """Return the files that git knows."""
    answer = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if answer.returncode != 0:
        pytest.skip("this is not a git checkout, so nothing can be committed to it")
    return [ROOT / name for name in answer.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_secret_is_committed() -> None:
    """No file in git holds a private key, a token of a known kind or a URL with a real password."""
    patterns = re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY"
        r"|\b(?:ghp|gho|glpat|pypi|xox[bap])[-_][A-Za-z0-9_-]{16,}"
        r"|\bAKIA[0-9A-Z]{16}\b"
        r"|SECRET_KEY=['\"]?[A-Za-z0-9_+/-]{30,}"
        r"|postgres(?:ql)?://[^:@/\s\"']+:[0-9a-f]{16,}@"
    )
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert not patterns.search(text), f"{path} holds what looks like a secret"


def test_the_environment_file_is_never_committed() -> None:
    """git ignores `.env` and the local server's folder, and knows neither."""
    for name in (".env", ".local/postgres/server.json"):
        answer = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False)
        if answer.returncode == 128:
            pytest.skip("this is not a git checkout, so nothing can be committed to it")
        assert answer.returncode == 0, name
    assert ROOT / ".env" not in tracked()


def test_what_ci_runs_are_verbs_of_the_makefile() -> None:
    """CI calls the verbs that people call, and each of them exists."""
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert verbs >= {"install", "db", "run", "demo", "test", "lint", "bench", "freeze"}
    called = set(re.findall(r"^make (\w+)", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    assert called == {"install", "lint", "freeze", "test"}
    steps = re.findall(r"^(make .+|sh .+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert steps == re.findall(
        r"^\d\. `(.+?)`", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    ), "CONTRIBUTING.md names all of them, in their order"


def test_nobody_imports_a_private_name_of_the_library():
    """A name with an underscore belongs to its module; ruff's SLF001 looks at the uses."""
    private = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in python_files("concurrency", "example_site", "settings", "bench", "deploy")
        for name in imports(file)
        if name.startswith("concurrency.") and any(map(is_private, name.split(".")))
    ]
    assert private == []


def is_private(part: str) -> bool:
    return part.startswith("_") and not part.startswith("__")


def test_the_picture_of_the_levels_is_what_the_code_gives():
    """`make map` draws it anew."""
    done = subprocess.run(
        [sys.executable, "docs/levels.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_page_of_the_documentation_is_linked() -> None:
    """The README or CONTRIBUTING leads to each page, and to none that is missing."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")]
    linked = set(re.findall(r"\(docs/([\w-]+\.md)[#)]", "\n".join(texts)))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")}
