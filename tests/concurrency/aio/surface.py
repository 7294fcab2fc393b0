"""Each asynchronous method of Django, called once: what it returned, line by line.

``python surface.py patched|unpatched DATABASE_URL``. The database has to be empty.
"""

from __future__ import annotations

import sys

if sys.argv[1] == "patched":
    import concurrency.patch  # noqa: F401

# isort: split

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import django
from django.conf import settings
from environ import Env

database = Env.db_url_config(sys.argv[2])
database["ENGINE"] = f"concurrency.db.backends.{database['ENGINE'].rpartition('.')[2]}"
settings.configure(
    DATABASES={"default": database},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests alone",
    USE_TZ=True,
)
django.setup()

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models import Max, QuerySet
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.shortcuts import aget_list_or_404, aget_object_or_404
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import setup_test_environment
from django.urls import path


class Note(models.Model):
    """Belongs to a user, to anything else, or to nobody."""

    text = models.CharField(max_length=10, default="")
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="notes")
    kind = models.ForeignKey(ContentType, models.CASCADE, null=True)
    key = models.IntegerField(null=True)
    subject = GenericForeignKey("kind", "key")

    class Meta:
        app_label = "aio_surface"


class Thing(models.Model):
    """Has notes."""

    notes = GenericRelation(Note, content_type_field="kind", object_id_field="key")

    class Meta:
        app_label = "aio_surface"


Scenario = Callable[[], Awaitable[Any]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(*names: str) -> Callable[[Scenario], Scenario]:
    """Register a coroutine function, and which methods it calls."""

    def register(function: Scenario) -> Scenario:
        SCENARIOS[" ".join(names)] = function
        return function

    return register


def methods(owner: Any, name: str) -> set[str]:
    """Return the asynchronous methods of a class or module, with its name."""
    return {
        f"{name}.{key}"
        for key in dir(owner)
        if key.startswith("a") and inspect.iscoroutinefunction(getattr(owner, key, None))
    }


def related() -> set[str]:
    """Return the asynchronous methods that managers of related objects have of their own."""
    user = User(pk=1)
    managers = {"Many": user.groups, "Reverse": user.notes, "Generic": Thing(pk=1).notes}
    return {
        f"{name}.{key}"
        for name, manager in managers.items()
        for key, method in vars(type(manager)).items()
        if inspect.iscoroutinefunction(method)
    }


async def view(request: HttpRequest) -> HttpResponse:
    """Say who asks, and count in the session."""
    user = await request.auser()
    seen = await request.session.aget("seen", 0)
    await request.session.aset("seen", seen + 1)
    return HttpResponse(f"{user} {seen} {await Group.objects.acount()}")


urlpatterns = [path("", view)]


@scenario("QuerySet.acreate", "QuerySet.aget", "QuerySet.acount", "QuerySet.aexists")
async def _create() -> Any:
    made = await Group.objects.acreate(name="a")
    got = await Group.objects.aget(pk=made.pk)
    return got.name, await Group.objects.acount(), await Group.objects.aexists()


@scenario("QuerySet.abulk_create", "QuerySet.abulk_update", "QuerySet.ain_bulk")
async def _bulk() -> Any:
    made = await Group.objects.abulk_create([Group(name=name) for name in "bc"])
    for group in made:
        group.name *= 2
    await Group.objects.abulk_update(made, ["name"])
    return sorted(await Group.objects.ain_bulk(["bb", "cc"], field_name="name"))


@scenario("QuerySet.aget_or_create", "QuerySet.aupdate_or_create", "QuerySet.aupdate")
async def _or_create() -> Any:
    _, first = await Group.objects.aget_or_create(name="d")
    _, second = await Group.objects.aget_or_create(name="d")
    _, third = await Group.objects.aupdate_or_create(name="d", defaults={"name": "e"})
    return first, second, third, await Group.objects.filter(name="e").aupdate(name="f")


@scenario("QuerySet.afirst", "QuerySet.alast", "QuerySet.aearliest", "QuerySet.alatest")
async def _ends() -> Any:
    groups = Group.objects.order_by("name")
    found = [await groups.afirst(), await groups.alast()]
    found += [await groups.aearliest("name"), await groups.alatest("name")]
    return [str(group) for group in found]


@scenario("QuerySet.aaggregate", "QuerySet.acontains", "QuerySet.aexplain")
async def _aggregate() -> Any:
    group = await Group.objects.afirst()
    plan = await Group.objects.all().aexplain()
    return (
        await Group.objects.aaggregate(Max("name")),
        await Group.objects.acontains(group),
        type(plan),
    )


@scenario("async for", "aiterator")
async def _iterate() -> Any:
    groups = Group.objects.order_by("name")
    listed = [group.name async for group in groups]
    return listed, [group.name async for group in groups.aiterator(chunk_size=1)]


@scenario("Model.asave", "Model.arefresh_from_db", "Model.adelete", "QuerySet.adelete")
async def _model() -> Any:
    group = Group(name="g")
    await group.asave()
    await Group.objects.filter(pk=group.pk).aupdate(name="h")
    await group.arefresh_from_db()
    await group.adelete()
    await Group.objects.acreate(name="i")
    return group.name, await Group.objects.filter(name="i").adelete()


@scenario(
    "UserManager.acreate_user", "UserManager.acreate_superuser", "UserManager.aget_by_natural_key"
)
async def _users() -> Any:
    await User.objects.acreate_user("user", "user@example.org", "password")
    await User.objects.acreate_superuser("root", "root@example.org", "password")
    return str(await User.objects.aget_by_natural_key("user"))


@scenario(*(f"Many.{verb}" for verb in ("aadd", "aset", "aremove", "aclear", "acreate")))
async def _many_to_many() -> Any:
    user = await User.objects.aget(username="user")
    group = await Group.objects.afirst()
    found = []
    await user.groups.aadd(group)
    found.append(await user.groups.acount())
    await user.groups.aset([])
    await user.groups.acreate(name="j")
    found.append([group.name async for group in user.groups.all()])
    await user.groups.aremove(await user.groups.aget())
    await user.groups.aclear()
    return [*found, await user.groups.acount()]


@scenario("Many.aget_or_create", "Many.aupdate_or_create")
async def _related() -> Any:
    user = await User.objects.aget(username="user")
    await user.groups.aget_or_create(name="k")
    await user.groups.aupdate_or_create(name="k", defaults={"name": "l"})
    kind = await ContentType.objects.acreate(app_label="aio", model="thing")
    await kind.permission_set.acreate(name="one", codename="one")
    return await user.groups.acount()


_VERBS = ("aadd", "aset", "aremove", "aclear", "acreate", "aget_or_create", "aupdate_or_create")


async def _notes(notes: Any) -> Any:
    found = []
    one = await notes.acreate(text="one")
    _, made = await notes.aget_or_create(text="two")
    _, made_again = await notes.aupdate_or_create(text="two", defaults={"text": "three"})
    found += [made, made_again, await notes.acount()]
    await notes.aremove(one)
    found += [[note.text async for note in notes.order_by("text")]]
    await notes.aadd(one)
    await notes.aset([one])
    found += [[note.text async for note in notes.all()]]
    await notes.aclear()
    return [*found, await notes.acount(), await Note.objects.acount()]


@scenario(*(f"Reverse.{verb}" for verb in _VERBS))
async def _reverse() -> Any:
    return await _notes((await User.objects.aget(username="user")).notes)


@scenario(*(f"Generic.{verb}" for verb in _VERBS))
async def _generic() -> Any:
    return await _notes((await Thing.objects.acreate()).notes)


@scenario(*sorted(methods(ModelBackend, "Backend") | methods(User, "User") - {"User.adelete"}))
async def _permissions() -> Any:
    user, backend = await User.objects.aget(username="user"), ModelBackend()
    permission = await Permission.objects.aget(codename="one")
    await user.user_permissions.aadd(permission)
    found: list[Any] = [await user.acheck_password("password"), await user.ahas_perm("aio.one")]
    found += [await user.ahas_perms(["aio.one"]), await user.ahas_module_perms("aio")]
    found += [await user.aget_all_permissions(), await user.aget_user_permissions()]
    found += [await user.aget_group_permissions(), await backend.aget_all_permissions(user)]
    found += [await backend.aget_group_permissions(user), await backend.ahas_perm(user, "aio.one")]
    found += [await backend.aget_user_permissions(user), await backend.ahas_module_perms(user, "a")]
    found += [str(await backend.aget_user(user.pk))]
    found += [str(await backend.aauthenticate(None, "user", "password"))]
    await user.arefresh_from_db()
    await user.asave()
    return found


@scenario(*sorted(methods(auth, "auth")))
async def _auth() -> Any:
    request = RequestFactory().get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    request.auser = sync_to_async(AnonymousUser)
    user = await auth.aauthenticate(request, username="user", password="password")
    await auth.alogin(request, user)
    found = [str(await auth.aget_user(request))]
    await auth.aupdate_session_auth_hash(request, user)
    await auth.alogout(request)
    return [*found, str(await auth.aget_user(request))]


@scenario(*sorted(methods(SessionStore, "Session")))
async def _sessions() -> Any:
    session = SessionStore()
    await session.aset("one", 1)
    await session.aupdate({"two": 2})
    found: list[Any] = [await session.aget("one"), await session.ahas_key("two")]
    found += [sorted(await session.akeys()), sorted(await session.avalues())]
    found += [sorted(await session.aitems()), await session.asetdefault("three", 3)]
    found += [await session.apop("three"), await session.aget_expire_at_browser_close()]
    await session.aset_expiry(60)
    found += [await session.aget_expiry_age(), type(await session.aget_expiry_date())]
    await session.aset_test_cookie()
    found += [await session.atest_cookie_worked()]
    await session.adelete_test_cookie()
    await session.asave()
    again = SessionStore(session.session_key)
    found += [sorted(await again.aload()), await again.aexists(session.session_key)]
    await again.acycle_key()
    await again.acreate()
    await again.adelete()
    await again.aflush()
    await SessionStore.aclear_expired()
    if hasattr(session, "aget_session_from_db"):
        await session.acreate_model_instance({}), await session.aget_session_from_db()
    return [*found, await Session.objects.acount() > 0]


@scenario(*sorted(methods(AsyncClient, "AsyncClient") | methods(Client, "Client")))
async def _clients() -> Any:
    user = await User.objects.aget(username="user")
    found = []
    client = AsyncClient()
    await client.aforce_login(user)
    found += [(await client.get("/")).content, (await client.get("/")).content]
    await client.alogout()
    found += [(await client.get("/")).content]
    await client.alogin(username="user", password="password")
    session = await client.asession()
    found += [(await client.get("/")).content, sorted(await session.akeys())]
    other = Client()
    await other.aforce_login(user)
    await other.alogout()
    await other.alogin(username="user", password="password")
    await other.asession()
    return [*found, (await sync_to_async(other.get)("/")).content]


@scenario("Signal.asend", "Signal.asend_robust")
async def _signals() -> Any:
    signal, other = Signal(), Signal()

    def receiver(**kwargs: Any) -> int:
        return Group.objects.count()

    async def asynchronous(**kwargs: Any) -> bool:
        return await Group.objects.aexists()

    async def broken(**kwargs: Any) -> None:
        await Group.objects.aget(name="nobody")

    for function in (receiver, asynchronous):
        signal.connect(function)
    for function in (receiver, broken):
        other.connect(function)
    sent = [answer for _, answer in await signal.asend("sender")]
    return sent, [repr(answer) for _, answer in await other.asend_robust("sender")]


@scenario("shortcuts.aget_object_or_404", "shortcuts.aget_list_or_404")
async def _shortcuts() -> Any:
    user = await aget_object_or_404(User, username="user")
    return str(user), len(await aget_list_or_404(User))


@scenario("atomic")
async def _atomic() -> Any:
    def undone() -> int:
        with transaction.atomic():
            Group.objects.create(name="undone")
            count = async_to_sync(Group.objects.filter(name="undone").acount)()
            transaction.set_rollback(True)
        return count

    inside = await sync_to_async(undone)()
    return inside, await Group.objects.filter(name="undone").acount()


@scenario("User.adelete")
async def _last() -> Any:
    await (await User.objects.aget(username="root")).adelete()
    return await User.objects.acount()


def main() -> None:
    """Call everything, once, in the order above; later ones need what earlier ones made."""
    setup_test_environment()
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Note)
        editor.create_model(Thing)
    called = {name for names in SCENARIOS for name in names.split()}
    wanted = methods(QuerySet, "QuerySet") | methods(Signal, "Signal") | related()
    wanted |= methods(type(User.objects), "UserManager") - {
        name.replace("QuerySet", "UserManager") for name in methods(QuerySet, "QuerySet")
    }
    print("not called:", sorted(wanted - called))  # noqa: T201
    for names, function in SCENARIOS.items():
        try:
            found = repr(async_to_sync(function)())
        except Exception as error:  # noqa: BLE001 - the test shows it
            found = f"FAILED {error!r}"
        print(f"{names}: {found}")  # noqa: T201


if __name__ == "__main__":
    main()
