"""Each greenlet has its own running loop, and nothing of it is seen in others."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import gevent
import greenlet
import pytest
from gevent._tracer import GreenletTracer

from bench.aio_soak import ALLOWED, growth
from concurrency.aio import marker
from concurrency.hub import switches
from tests.concurrency.test_patch import facts
from tests.servers import until

GREENLETS = 50


async def busy(number: int) -> int:
    """Wait in asyncio's way and in gevent's, and look who is running."""
    for _ in range(3):
        await asyncio.sleep(0.001)
        gevent.sleep(0.0005)
        task = asyncio.current_task()
        assert task is not None
        assert task.get_loop() is asyncio.get_running_loop()
    return number


def nobody(times: int = 20) -> None:
    """Look again and again whether this greenlet has a loop."""
    for _ in range(times):
        gevent.sleep(0.0005)
        assert asyncio._get_running_loop() is None
        assert sys.get_asyncgen_hooks() == (None, None)
        assert sys.get_coroutine_origin_tracking_depth() == 0


def installed() -> object:
    """Return the tracer that greenlet really calls."""
    return switches._get_tracer()


def in_greenlet(coro_function, *args):
    """Run a coroutine in a greenlet of its own and return its result."""
    return gevent.spawn(asyncio.run, coro_function(*args)).get()


@pytest.mark.slow
def test_many_greenlets_run_loops_at_the_same_time():
    """Each of many greenlets runs a loop of its own; others see none of them."""
    others = [gevent.spawn(nobody) for _ in range(10)]
    runs = [gevent.spawn(asyncio.run, busy(number)) for number in range(GREENLETS)]
    gevent.joinall([*runs, *others], raise_error=True)
    assert [run.value for run in runs] == list(range(GREENLETS))


def test_nothing_is_installed_while_no_loop_runs():
    """The hook is there as long as a loop runs, and no longer."""

    async def look():
        return installed()

    before = installed()
    hook = asyncio.run(look())
    assert hook is not before
    assert installed() is before


def test_the_main_greenlet_runs_a_loop_beside_others():
    """asyncio.run, Runner, TaskGroup and timeout work in the main greenlet."""

    async def main():
        other = gevent.spawn(nobody)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            tasks = [group.create_task(busy(number)) for number in range(3)]
        other.get()
        return [task.result() for task in tasks]

    with asyncio.Runner() as runner:
        assert runner.run(main()) == [0, 1, 2]
        assert runner.run(main()) == [0, 1, 2]


def test_async_generators_belong_to_their_loop():
    """A generator that is left open is closed by the loop that started it, not by another."""
    closed = []

    async def numbers(name):
        try:
            while True:
                await asyncio.sleep(0)
                yield name
        finally:
            closed.append((name, asyncio.get_running_loop()))

    async def main(name):
        generator = numbers(name)
        await anext(generator)
        gevent.sleep(0.001)
        return generator, asyncio.get_running_loop()

    runs = [gevent.spawn(asyncio.run, main(name)) for name in "abc"]
    gevent.joinall(runs, raise_error=True)
    assert sorted(closed, key=str) == sorted(
        ((name, run.value[1]) for name, run in zip("abc", runs, strict=True)), key=str
    )
    assert sys.get_asyncgen_hooks() == (None, None)


def test_debug_mode_stays_in_its_greenlet():
    """A loop in debug mode does not make others track where coroutines come from."""

    async def main():
        gevent.sleep(0.001)
        return sys.get_coroutine_origin_tracking_depth()

    run = gevent.spawn(asyncio.run, main(), debug=True)
    nobody()
    assert run.get() > 0
    nobody(1)


def test_a_loop_within_a_loop_is_refused():
    """In one greenlet a second loop is an error, as everywhere in asyncio."""

    async def main():
        coroutine = busy(0)
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            asyncio.run(coroutine)
        coroutine.close()

    asyncio.run(main())


def test_an_abandoned_loop_is_nobodys():
    """A loop that a killed greenlet leaves behind unclosed is seen by nobody."""

    async def forever():
        await asyncio.get_running_loop().create_future()

    def abandon():
        loops.append(asyncio.new_event_loop())
        loops[0].run_until_complete(forever())

    loops: list[asyncio.AbstractEventLoop] = []
    run = gevent.spawn(abandon)
    until(lambda: installed() is not None, "the loop runs")
    run.kill()
    nobody(2)
    assert installed() is None
    assert asyncio.run(busy(1)) == 1
    loops[0].close()


def test_a_native_thread_has_loops_too():
    """A loop in a native thread of gevent's pool leaves the main thread alone."""

    def work():
        return asyncio.run(busy(7))

    pool = gevent.get_hub().threadpool
    assert pool.apply(work) == 7
    nobody(2)


def test_subprocesses_and_threads_of_asyncio():
    """asyncio's subprocesses and threads do not stop other greenlets."""

    async def main():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(6 * 7)", stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        return output, await asyncio.to_thread(lambda: 7)

    assert in_greenlet(main) == (b"42\n", 7)


class TestOtherTracers:
    """The hook and what others install with ``greenlet.settrace`` let each other be."""

    @pytest.fixture(autouse=True)
    def no_tracer_left(self):
        """Fail a test that leaves a tracer behind."""
        assert installed() is None
        yield
        assert installed() is None

    def test_one_that_was_there_before_goes_on(self):
        """A tracer that is installed is called while a loop runs, and is left installed."""
        events = []
        greenlet.settrace(lambda event, args: events.append(event))
        own = greenlet.gettrace()
        try:

            async def main():
                events.clear()
                await asyncio.sleep(0)
                gevent.sleep(0)
                assert greenlet.gettrace() is own
                return len(events)

            assert asyncio.run(main()) > 0
            assert greenlet.gettrace() is own
        finally:
            greenlet.settrace(None)

    def test_one_that_knows_of_no_others_does_not_remove_the_hook(self):
        """settrace() while a loop runs adds a tracer, and its end leaves loops alone."""
        events = []

        async def main():
            assert greenlet.settrace(lambda event, args: events.append(event)) is None
            gevent.spawn(nobody, 2).get()
            assert greenlet.settrace(None) is not None
            gevent.spawn(nobody, 2).get()

        asyncio.run(main())
        assert events

    def test_gevents_tracer_around_a_loop(self):
        """gevent's tracer counts switches while a loop runs."""
        tracer = GreenletTracer()
        asyncio.run(busy(0))
        assert tracer.greenlet_switch_counter > 0
        tracer.kill()
        nobody(1)

    def test_gevents_tracer_within_a_loop(self):
        """gevent's tracer may come and go while a loop runs."""

        async def main():
            tracer = GreenletTracer()
            gevent.spawn(nobody, 2).get()
            await busy(0)
            tracer.kill()
            gevent.spawn(nobody, 2).get()

        asyncio.run(main())

    def test_one_that_removes_the_hook_with_itself(self):
        """A tracer that puts back what was there before the hook does no lasting harm."""

        async def main():
            # Not greenlet.settrace: gevent's tracer has bound greenlet's own if it came early.
            switches._set_tracer(None)
            assert installed() is None
            until(lambda: installed() is not None, "the hook is back")
            gevent.spawn(nobody, 2).get()
            return await busy(1)

        assert asyncio.run(main()) == 1

    def test_gevents_tracer_that_outlives_the_loop(self):
        """A hook that another tracer holds on to does nothing once the loops have ended."""
        tracers = []

        async def main():
            tracers.append(GreenletTracer())

        asyncio.run(main())
        nobody(2)
        asyncio.run(busy(1))
        tracers[0].kill()
        asyncio.run(busy(1))

    def test_one_that_raises_is_not_called_again(self, capsys):
        """A tracer that raises is removed, as greenlet does it; loops go on."""

        def broken(event, args):
            raise ValueError("a broken tracer")

        async def main():
            greenlet.settrace(broken)
            gevent.spawn(nobody, 2).get()
            assert greenlet.gettrace() is None
            return await busy(1)

        assert asyncio.run(main()) == 1
        assert capsys.readouterr().err.count("ValueError: a broken tracer") == 1


class UVLoop(asyncio.SelectorEventLoop):
    """A loop that says that it is uvloop's."""

    __module__ = "uvloop"


def test_uvloop_is_refused():
    """A loop that would stop all greenlets is an error that says what to do."""
    loop = UVLoop()
    coroutine = busy(0)
    with pytest.raises(RuntimeError, match="uvloop in a native thread"):
        loop.run_until_complete(coroutine)
    coroutine.close()
    loop.close()
    nobody(1)


@pytest.mark.slow
def test_a_loop_that_was_made_before_the_patch_is_refused():
    """A loop with a native selector is an error that says what to do, not a hang."""
    assert (
        facts(
            "import asyncio\n"
            "loop = asyncio.new_event_loop()\n"
            "import concurrency.patch\n"
            "try:\n"
            "    loop.run_forever()\n"
            "except RuntimeError as error:\n"
            "    print(str(error).partition('made ')[2])\n"
            "loop.close()\n"
        )
        == "before the process was patched and would stop all greenlets while it waits: "
        "make `import concurrency.patch` the first statement of the entry point"
    )


@pytest.mark.slow
def test_asyncio_may_be_imported_before_the_patch():
    """An early asyncio is repaired: a greenlet does not see the current loop of another."""
    assert (
        facts(
            "import asyncio\n"
            "asyncio.get_event_loop_policy()\n"
            "import concurrency.patch, gevent\n"
            "loop = asyncio.new_event_loop()\n"
            "gevent.spawn(asyncio.set_event_loop, loop).get()\n"
            "policy = asyncio.get_event_loop_policy()\n"
            "print(getattr(policy._local, '_loop', None))\n"
            "loop.close()\n"
        )
        == "None"
    )


@pytest.mark.slow
def test_a_child_process_runs_no_loop():
    """After a fork inside a coroutine the child runs no loop, and can start one."""
    assert (
        facts(
            "import concurrency.patch, asyncio, os, warnings\n"
            "warnings.simplefilter('ignore', DeprecationWarning)  # fork beside native threads\n"
            "async def answer():\n"
            "    return 42\n"
            "async def main():\n"
            "    await asyncio.sleep(0)\n"
            "    if pid := os.fork():\n"
            "        return os.waitpid(pid, 0)[1]\n"
            "    try:\n"
            "        assert asyncio._get_running_loop() is None\n"
            "        assert asyncio.run(answer()) == 42\n"
            "    except BaseException:\n"
            "        os._exit(1)\n"
            "    os._exit(0)\n"
            "print(asyncio.run(main()))\n"
        )
        == "0"
    )


@pytest.mark.slow
def test_memory_is_flat_while_loops_run():
    """A hundred thousand switches with ten loops running leave nothing behind."""
    assert growth(100_000) <= ALLOWED


def test_installing_it_twice_changes_nothing():
    """install() may be called again."""
    before = asyncio.events._set_running_loop
    marker.install()
    assert asyncio.events._set_running_loop is before
