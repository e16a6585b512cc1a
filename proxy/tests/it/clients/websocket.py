"""A WebSocket server, and a client that talks to it through the proxy. Says "port N", then reads the proxy's address."""

import asyncio
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(connection):
    """Sends back what comes, and closes with a code of its own when asked to."""
    async for message in connection:
        if message == "close":
            await connection.close(4001, "as asked")
            return
        await connection.send(message)


async def talk(url):
    """Text, binary, large, many, pings, and both ends closing."""
    async with connect(url, max_size=None, proxy=None) as connection:
        large = bytes(range(256)) * 16384
        for message in ["hello", "\u00e4\u20ac\U0001f980", "", b"\0\1\2", large, "x" * 200_000]:
            await connection.send(message)
            assert await connection.recv() == message
        await (await connection.ping(b"are you there"))
        many = [str(number) for number in range(500)]
        for message in many:
            await connection.send(message)
        assert [await connection.recv() for _ in many] == many
        await connection.close(1000, "done")
        assert connection.close_code == 1000
    async with connect(url, proxy=None) as connection:
        await connection.send("close")
        try:
            await connection.recv()
            raise AssertionError("the server was to close")
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 4001 and closed.rcvd.reason == "as asked", closed
    clients = [connect(url, proxy=None) for _ in range(20)]
    opened = [await client for client in clients]
    for number, connection in enumerate(opened):
        await connection.send(f"client {number}")
    for number, connection in enumerate(opened):
        assert await connection.recv() == f"client {number}"
        await connection.close()


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        address = await asyncio.to_thread(sys.stdin.readline)
        await asyncio.wait_for(talk(f"ws://{address.strip()}/chat"), 25)
    print("good", flush=True)


asyncio.run(main())
