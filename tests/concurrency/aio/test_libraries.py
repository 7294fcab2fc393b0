"""Libraries that know nothing of greenlets: an asynchronous client, a channel layer."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import aiohttp
import gevent
import pytest
from asgiref.sync import async_to_sync
from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from gevent.event import AsyncResult

from concurrency import deadline, gather
from concurrency.aio import SharedLoop
from concurrency.errors import DeadlineExceeded
from tests.redis import Redis
from tests.servers import impostor

MANY = 20


def test_aiohttp_asks_from_many_greenlets():
    """A session of aiohttp in each of many greenlets, and one for all of them."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = handler.path.encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    async def ask(session: aiohttp.ClientSession, number: int) -> str:
        async with session.get(f"{url}/{number}") as response:
            return await response.text()

    async def ask_alone(number: int) -> str:
        async with aiohttp.ClientSession() as session:
            return await ask(session, number)

    async def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    numbers = range(MANY)
    shared = SharedLoop()
    with impostor(answer) as url:
        apart = gather(*(lambda n=n: async_to_sync(ask_alone)(n) for n in numbers))
        session = shared.run(open_session)
        together = gather(*(lambda n=n: shared.run(ask, session, n) for n in numbers))
        shared.run(session.close)
    shared.close()
    assert apart == together == [f"/{number}" for number in numbers]


def send_all(layer: BaseChannelLayer, to: str) -> None:
    """Send numbers, each from a greenlet of its own."""

    def send(number: int) -> None:
        async_to_sync(layer.send)(to, {"type": "number", "number": number})

    gather(*(lambda n=n: send(n) for n in range(MANY)))


async def receive_all(layer: BaseChannelLayer, channel: str) -> list[int]:
    """Return the numbers that were sent to a channel, in order."""
    return sorted([(await layer.receive(channel))["number"] for _ in range(MANY)])


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.parametrize("kind", [RedisChannelLayer, RedisPubSubChannelLayer])
def test_a_channel_layer_is_sent_to_from_many_greenlets(kind: type, redis: Redis):
    """What greenlets send is received by a consumer that waits on a loop of its own."""
    layer, channels = kind([redis.url]), AsyncResult()

    async def consume() -> list[int]:
        channel = await layer.new_channel()
        channels.set(channel)
        return await receive_all(layer, channel)

    consumer = gevent.spawn(async_to_sync(consume))
    send_all(layer, channels.get(timeout=5))
    assert consumer.get(timeout=5) == list(range(MANY))


def test_the_channel_layer_in_memory():
    """What greenlets have sent to it is there for who asks."""
    layer = InMemoryChannelLayer()
    send_all(layer, "numbers")
    assert async_to_sync(receive_all)(layer, "numbers") == list(range(MANY))


def test_a_deadline_ends_a_receive():
    """Who waits for a message for too long ends by its deadline."""
    layer = InMemoryChannelLayer()
    with pytest.raises(DeadlineExceeded), deadline(0.01):
        async_to_sync(layer.receive)("nobody")
