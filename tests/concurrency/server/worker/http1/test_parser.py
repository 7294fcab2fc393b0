"""The parser alone: bytes in, requests and refusals out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concurrency.server.worker.http1.body import Store
from concurrency.server.worker.http1.parser import Parser
from concurrency.server.worker.http1.rules import Rules
from tests.concurrency.server.worker.http1.vectors import VECTORS, Vector

pytestmark = pytest.mark.timeout(600)

RULES = Rules(body=1_000_000)


def outcomes(pieces: list[bytes]) -> tuple[bytes | int, ...]:
    """Return what a server makes of these pieces, after which the client sends no more."""
    parser = Parser(RULES, {"SCRIPT_NAME": ""}, {}, ("127.0.0.1", 1), Store())
    for piece in pieces:
        parser.feed(piece)
    parser.end()
    try:
        return _taken(parser)
    finally:
        parser.close()


def _taken(parser: Parser) -> tuple[bytes | int, ...]:
    found: list[bytes | int] = []
    while parser.requests:
        request = parser.requests[0]
        if request.refusal is not None:
            return (*found, int(request.refusal.status))
        found.append(f"{request.method} {request.path} ".encode() + request.body.open().read())
        if request.should_close():
            return tuple(found)
        parser.requests.popleft().body.close()
        if parser.rest:
            parser.stay()
    if parser.refusal is not None:
        found.append(int(parser.refusal.status))
    return tuple(found)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vectors_in_one_piece(vector: Vector) -> None:
    """Each request is served or refused as the table says."""
    assert outcomes([vector.data]) == vector.outcomes


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vectors_byte_by_byte(vector: Vector) -> None:
    """It does not matter in how many pieces the bytes arrive."""
    data = vector.data[:20_000]  # the rest of the long ones says nothing new
    if data != vector.data:
        size = 1000
        pieces = [vector.data[i : i + size] for i in range(0, len(vector.data), size)]
    else:
        pieces = [data[i : i + 1] for i in range(len(data))]
    assert outcomes(pieces) == vector.outcomes


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Bytes of any requests, changed anywhere, and the same bytes cut into pieces."""
    short = [one.data for one in VECTORS if len(one.data) < 500]
    stream = bytearray(b"".join(draw(st.lists(st.sampled_from(short), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 3))):
        stream[draw(st.integers(0, len(stream) - 1))] = draw(st.integers(0, 255))
    whole = bytes(stream)
    cuts = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    pairs = zip([0, *cuts], [*cuts, len(whole)], strict=True)
    return whole, [whole[begin:end] for begin, end in pairs if begin < end]


@pytest.mark.thorough
@settings(max_examples=10_000, deadline=None)
@given(streams())
def test_pieces_never_matter(stream: tuple[bytes, list[bytes]]) -> None:
    """As the test below, for about a minute: `make fuzz`."""
    whole, pieces = stream
    assert outcomes(pieces) == outcomes([whole])


@settings(max_examples=300, deadline=None)
@given(streams())
def test_pieces_do_not_matter(stream: tuple[bytes, list[bytes]]) -> None:
    """Any bytes give the same requests and refusals, however they are split."""
    whole, pieces = stream
    assert outcomes(pieces) == outcomes([whole])
