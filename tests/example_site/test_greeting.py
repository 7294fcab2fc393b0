"""The pages that greet, against the running services, and against some that misbehave."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from html import unescape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import gevent
import pytest
from django.test import Client, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concurrency import map_each
from tests.example_site.puppet import Puppet, puppet
from tests.fleet import Fleet
from tests.helpers import until
from tests.servers import Answer, WebServer, serve

SITE = Path(__file__).resolve().parents[2] / "example_site"
LOCALE = SITE / "locale"
SPANISH = [
    ("00:00:00", "Hola"),
    ("04:59:59", "Hola"),
    ("05:00:00", "Buenos días"),
    ("11:59:59", "Buenos días"),
    ("12:00:00", "Hola"),
    ("16:59:59", "Hola"),
    ("17:00:00", "Buenas tardes"),
    ("18:03:09", "Buenas tardes"),
    ("20:59:59", "Buenas tardes"),
    ("21:00:00", "Buenas noches"),
    ("23:59:59", "Buenas noches"),
    ("17:00", "Buenas tardes"),  # as browsers send it
]
PROBLEMS = [
    ("/?person=nobody", 404, "There is no person “nobody”."),
    ("/?person=..", 404, "There is no person “..”."),
    ("/?person=sherlock%2F%3Fx%3D", 404, "There is no person “sherlock/?x=”."),
    ("/?person=sherlock&lang=it", 404, "There is no greeting in “it”."),
    ("/?person=sherlock&lang=../es", 404, "There is no greeting in “../es”."),
    ("/?person=sherlock&tod=abc", 400, "The time has to be from 00:00:00 to 23:59:59, not “abc”."),
    ("/?person=sherlock&tod=25:00:00", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("/?person=sherlock&tod=../hello", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("/everyone/?lang=it", 404, "There is no greeting in “it”."),
    ("/everyone/?tod=99:99:99", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("/?person=adler&lang=de&tod=x", 400, "Die Zeit muss von 00:00:00 bis 23:59:59 sein"),
]


def greeting(answer: Answer) -> str:
    """Return the sentence of a page that greets."""
    found = re.search(r'<div class="greeting">\n  (.*)\n</div>', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])


def problem(answer: Answer) -> str:
    """Return the sentence of a page that does not greet."""
    found = re.search(r'<p class="problem" role="alert">(.*)</p>', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])


def everyone(answer: Answer) -> list[str]:
    """Return the sentences of the page that greets everyone."""
    items = re.findall(r"<li[^>]*>(.*)</li>", answer.text)
    return [unescape(re.sub(r"<.*?>", "", item)) for item in items]


@pytest.mark.parametrize(("tod", "salutation"), SPANISH)
def test_the_greeting_fits_the_time(fleet: Fleet, tod: str, salutation: str) -> None:
    """A person is greeted by name, in the language and for the time that were asked for."""
    answer = fleet["frontend"].get(f"/?person=sherlock&lang=es&tod={tod}")
    assert (answer.status, greeting(answer)) == (200, f"{salutation}, Sherlock Holmes.")


@pytest.mark.parametrize(
    ("query", "accept", "lang", "sentence"),
    [
        ("", None, "en", "Good morning, Irene Adler."),
        ("&lang=FR", None, "fr", "Bonjour, Irene Adler."),
        ("", "de-AT, en;q=0.5", "de", "Guten Morgen, Irene Adler."),
        ("&lang=es", "de", "es", "Buenos días, Irene Adler."),
        ("", "it, *;q=0.1", "en", "Good morning, Irene Adler."),
    ],
)
def test_the_language(
    fleet: Fleet, query: str, accept: str | None, lang: str, sentence: str
) -> None:
    """The page and the greeting are in the language of the query, else of the browser."""
    headers = {"Accept-Language": accept} if accept else {}
    answer = fleet["frontend"].get(f"/?person=adler&tod=06:00:00{query}", headers)
    assert greeting(answer) == sentence
    assert f'<html lang="{lang}">' in answer.text
    assert answer.headers["Content-Language"] == lang
    assert "Accept-Language" in answer.headers["Vary"]


def test_now_is_the_time_that_is_meant(fleet: Fleet) -> None:
    """Without a time of day it is now."""
    assert greeting(fleet["frontend"].get("/?person=watson")).endswith(", John Watson.")


def test_without_a_person_it_asks(fleet: Fleet) -> None:
    """Without a person there is a form, in the language of the page, and nothing went wrong."""
    answer = fleet["frontend"].get("/?lang=de")
    assert answer.status == 200
    assert "Wer soll gegrüßt werden?" in answer.text
    assert '<select id="lang" name="lang">' in answer.text


@pytest.mark.parametrize(("path", "status", "sentence"), PROBLEMS)
def test_what_cannot_be_is_said(fleet: Fleet, path: str, status: int, sentence: str) -> None:
    """What there is not, or cannot be, is a page with a sentence and the form to mend it."""
    answer = fleet["frontend"].get(path)
    assert (answer.status, problem(answer)[: len(sentence)]) == (status, sentence)
    assert '<form class="ask"' in answer.text


def test_everyone_in_order(fleet: Fleet) -> None:
    """All persons are greeted, in the order of their slugs, with the calls in a picture."""
    answer = fleet["frontend"].get("/everyone/?lang=fr&tod=21:30:00")
    assert answer.status == 200
    assert everyone(answer) == [
        "Bonne nuit, Irene Adler.",
        "Bonne nuit, Mrs. Hudson.",
        "Bonne nuit, Inspector G. Lestrade.",
        "Bonne nuit, James Moriarty.",
        "Bonne nuit, Sherlock Holmes.",
        "Bonne nuit, John Watson.",
    ]
    assert answer.text.count('class="timeline-bar"') == 2 + 2 * 6 + 1


@pytest.mark.parametrize(
    ("path", "accept", "title", "sentence"),
    [
        ("/nowhere/", "en", "Not Found", "There is nothing at /nowhere/."),
        ("/nowhere/", "es", "No encontrado", "No hay nada en /nowhere/."),
        ("/nowhere/?lang=de", "fr", "Nicht gefunden", "Unter /nowhere/ gibt es nichts."),
        ("/slow-sql/", "fr", "Non autorisé", "Cette page demande un utilisateur"),
    ],
)
def test_an_error_page(fleet: Fleet, path: str, accept: str, title: str, sentence: str) -> None:
    """What is not there, or not for everybody, is a page like all others, in the same language."""
    answer = fleet["frontend"].get(path, {"Accept": "text/html", "Accept-Language": accept})
    assert answer.status in {401, 404}
    assert f"<h1>{title}</h1>" in answer.text
    assert f"<p>{sentence}" in answer.text
    assert f'<html lang="{answer.headers["Content-Language"]}">' in answer.text


def test_the_language_goes_along(fleet: Fleet) -> None:
    """Who has chosen a language keeps it on the way to the other pages."""
    page = fleet["frontend"].get("/?lang=de", {"Accept-Language": "fr"}).text
    assert '<a href="/everyone/?lang=de">Alle</a>' in page
    page = fleet["frontend"].get("/", {"Accept-Language": "fr"}).text
    assert '<a href="/everyone/">Tout le monde</a>' in page


@pytest.mark.slow
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(), where=st.sampled_from(["person", "lang", "tod", "slug", "everyone"]))
def test_no_text_is_an_error_of_the_server(fleet: Fleet, text: str, where: str) -> None:
    """Whatever is asked for, in a path or in a query, it is never the server's fault."""
    part = quote(text, safe="", errors="surrogatepass")
    if where == "slug":
        assert fleet["user"].get(f"/person/{part}/").status < 500
        assert fleet["welcome"].get(f"/greet/{part}/").status < 500
        assert fleet["welcome"].get(f"/translate/hello/{part}/").status < 500
    elif where == "everyone":
        assert fleet["frontend"].get(f"/everyone/?lang={part}").status in {200, 404}
    else:
        query = {"person": "adler", "lang": "en", "tod": "06:00:00", where: part}
        parameters = "&".join(f"{key}={value}" for key, value in query.items())
        assert fleet["frontend"].get(f"/?{parameters}").status in {200, 400, 404}


# Backends that misbehave


@pytest.fixture(scope="module")
def stage(postgres_url: str) -> Iterator[tuple[WebServer, Puppet]]:
    """Give a frontend with little patience, and the services that it asks, which are one puppet."""
    with puppet() as backends:
        where = {"SERVICE_URL_USER": backends.url, "SERVICE_URL_WELCOME": backends.url}
        with serve(
            {"DATABASE_URL": postgres_url, "PAGE_DEADLINE": "0.8", "SHED_AFTER": "0", **where}
        ) as frontend:
            yield frontend, backends


@pytest.fixture(autouse=True)
def _calm(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stage" in request.fixturenames:
        request.getfixturevalue("stage")[1].calm()


BAD = ["gone", "broken", "garbage", "list"]
PAGE = "/?person=watson&lang=es&tod=18:00:00"


@pytest.mark.parametrize("mood", BAD)
@pytest.mark.parametrize(("path", "service"), [("/person/", "user"), ("/greet/", "welcome")])
def test_a_service_that_fails_is_named(
    stage: tuple[WebServer, Puppet], mood: str, path: str, service: str
) -> None:
    """A service that is gone, fails or answers garbage is a 502 with its name."""
    frontend, backends = stage
    backends.moods[path] = mood
    answer = frontend.get(PAGE)
    assert answer.status == 502
    assert problem(answer).startswith(f"El servicio «{service}» no responde como debería.")


@pytest.mark.slow
@pytest.mark.parametrize("mood", ["silent", "late"])
@pytest.mark.parametrize("path", ["/person/", "/greet/"])
def test_a_service_that_is_slow_is_given_up(
    stage: tuple[WebServer, Puppet], mood: str, path: str
) -> None:
    """A service that does not answer in time is a 504, not a page that hangs."""
    frontend, backends = stage
    backends.moods[path] = mood
    assert frontend.get(PAGE, limit=5.0).status == 504


@pytest.mark.slow
@pytest.mark.parametrize("mood", [*BAD, "silent", "late"])
def test_without_its_translation_a_greeting_is_one_still(
    stage: tuple[WebServer, Puppet], mood: str
) -> None:
    """When nobody translates, the greeting is as it is, with a note, and that is a 200."""
    frontend, backends = stage
    backends.moods["/translate/"] = mood
    answer = frontend.get(PAGE, limit=5.0)
    assert (answer.status, greeting(answer)) == (200, "Good evening, John Watson.")
    assert 'class="note">La traducción no está disponible' in answer.text


def test_a_language_writes_no_line_of_the_log(stage: tuple[WebServer, Puppet]) -> None:
    """What was asked for is escaped where the log says that nobody translates it."""
    frontend, backends = stage
    backends.moods["/translate/"] = "broken"
    assert frontend.get("/?person=watson&lang=x%0Aforged%1B%5B2K").status == 200
    until(lambda: r"into 'x\nforged\x1b[2k'" in frontend.log(), "the failure is logged")
    assert not [line for line in frontend.log().splitlines() if line.startswith("forged")]


def test_fifty_users_while_a_service_answers_garbage(stage: tuple[WebServer, Puppet]) -> None:
    """While fifty users are there and persons are garbage, their pages name the service, all
    others are as ever, and all is well by itself afterwards."""
    frontend, backends = stage
    backends.moods["/person/"] = "garbage"

    def look(path: str) -> str:
        answer = frontend.get(path)
        return f"{answer.status} {'' if answer.status == 200 else problem(answer)}"

    fine, garbage = "200 ", "502 El servicio «user» no responde como debería. Inténtelo más tarde."
    late = "504 Esto tardó demasiado. Inténtelo más tarde."
    seen = map_each(look, [PAGE, "/"] * 25, limit=50)
    assert seen[1::2] == [fine] * 25
    # On a machine that is busy, the little time of this frontend may be over before.
    assert {garbage} <= set(seen[::2]) <= {garbage, late}
    backends.moods.clear()
    until(lambda: map_each(look, [PAGE, "/"] * 25, limit=50) == [fine] * 50, "all is well", 30.0)


def test_it_recovers_by_itself(stage: tuple[WebServer, Puppet]) -> None:
    """As soon as a service answers again, so does the page."""
    frontend, backends = stage
    backends.moods["/"] = "gone"
    assert frontend.get(PAGE).status == 502
    backends.moods.clear()
    assert greeting(frontend.get(PAGE)) == "Buenas tardes, John Watson."


@pytest.mark.slow
@pytest.mark.parametrize("mood", [*BAD, "silent"])
def test_one_of_all_who_fails(stage: tuple[WebServer, Puppet], mood: str) -> None:
    """A person that cannot be greeted is shown as such, at its place, among all others."""
    frontend, backends = stage
    backends.moods["/person/hudson/"] = mood
    answer = frontend.get("/everyone/?lang=es", limit=10.0)
    assert answer.status == 200
    first, failed, last = everyone(answer)
    assert (first, last) == ("Buenas tardes, Irene Adler.", "Buenas tardes, John Watson.")
    assert failed == "No se pudo saludar a hudson: falló el servicio «user»."


def test_what_needs_no_service_needs_none(stage: tuple[WebServer, Puppet]) -> None:
    """With all services gone, the page that asks for a person is there, and asks nobody."""
    frontend, backends = stage
    backends.moods["/"] = "gone"
    backends.asked.clear()
    assert frontend.get("/").status == 200
    assert backends.asked == []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (PAGE, {"/person/watson/", "/greet/tod/18:00:00/"}),
        ("/everyone/?lang=es&tod=18:00:00", {"/person/", "/greet/tod/18:00:00/"}),
    ],
)
def test_calls_are_made_at_the_same_time(path: str, asked: set[str]) -> None:
    """Calls that do not need each other are all on their way before the first is answered."""
    with puppet() as backends:
        backends.moods["/"] = "silent"
        where = {"user": backends.url, "welcome": backends.url}
        with override_settings(SERVICE_URLS=where):
            visit = gevent.spawn(Client().get, path)
            until(lambda: set(backends.asked) == asked, f"all of {asked} are asked for")
            backends.calm()
            assert visit.get(timeout=10).status_code == 200


def test_all_persons_are_asked_for_at_the_same_time() -> None:
    """Names and translations of all persons are asked for before the first one is answered."""
    people = ["adler", "hudson", "watson"]
    with puppet() as backends:
        for slug in people:
            backends.moods[f"/person/{slug}/"] = "silent"
        backends.moods["/translate/"] = "silent"
        where = {"user": backends.url, "welcome": backends.url}
        with override_settings(SERVICE_URLS=where):
            visit = gevent.spawn(Client().get, "/everyone/?lang=es&tod=18:00:00")
            wanted = [f"/person/{slug}/" for slug in people] + ["/translate/goodevening/es/"] * 3
            until(lambda: sorted(backends.asked[2:]) == wanted, "all persons are asked for")
            backends.calm()
            assert visit.get(timeout=10).status_code == 200


@pytest.mark.parametrize("development", [False, True])
def test_developers_alone_see_the_calls(development: bool) -> None:
    """The picture of the calls is there in development, and nowhere else."""
    with puppet() as backends:
        where = {"user": backends.url, "welcome": backends.url}
        with override_settings(SERVICE_URLS=where, DEVELOPMENT=development):
            page = Client().get(PAGE).content.decode()
    assert "Buenas tardes, John Watson." in page
    assert ("<svg" in page) is development


# Texts


def texts() -> Iterator[str]:
    """Yield the texts of the frontend that are to be translated, and the titles of its errors."""
    for file in [*SITE.rglob("*.html"), *SITE.rglob("*.py")]:
        source = file.read_text()
        yield from re.findall(r'{% translate "(.+?)" %}', source)
        for block in re.findall(r"{% blocktranslate.*?%}(.*?){% endblocktranslate %}", source):
            yield re.sub(r"{{ (\w+) }}", r"%(\1)s", block)
        yield from re.findall(r'\b_\("(.+?)"\)', source)
    for status in (400, 401, 403, 404, 500, 502, 503, 504):
        yield HTTPStatus(status).phrase


@pytest.mark.parametrize("lang", ["es", "fr", "de"])
def test_the_compiled_texts_are_those_of_the_source(lang: str) -> None:
    """What `msgfmt` made of the translations is in git, of the same age, and has every text."""
    folder = LOCALE / lang / "LC_MESSAGES"
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"', (folder / "django.po").read_text(), re.M)
    with (folder / "django.mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    assert {text: catalogue.gettext(text) for text, _ in pairs} == dict(pairs)
    assert sorted(set(texts()) - set(dict(pairs))) == []


def test_the_front_page_leads_to_the_other_pages(fleet: Fleet) -> None:
    """It links to the tweets, their documentation and the admin, in each language."""
    for language in ("en", "de", "es", "fr"):
        page = fleet["frontend"].get(f"/?lang={language}").text
        for url in (
            "http://127.0.0.1:8030/tweet/",
            "http://127.0.0.1:8030/docs/",
            "http://127.0.0.1:8001/admin/",
        ):
            assert f'href="{url}"' in page
        assert ("The other services" in page) == (language == "en")
