"""Print what is said, once and in order, whatever happens to the network or the server.

    ROOST_PASSWORD=demo python examples/listen.py bob
    ROOST_PASSWORD=demo python examples/listen.py bob --ticket

Needs `websockets`. It shows its token in a header or, as whoever can set none has to, a ticket in
the address. What came before is shown if nobody has acknowledged it yet.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from contextlib import suppress
from urllib.request import Request, urlopen

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException


def main():
    parser = argparse.ArgumentParser(description="Print what is said in all of one's rooms.")
    parser.add_argument("user")
    parser.add_argument("--site", default="http://127.0.0.1:8000")
    parser.add_argument("--ticket", action="store_true", help="connect by ticket, not by header")
    options = parser.parse_args()
    body = {"username": options.user, "password": os.environ.get("ROOST_PASSWORD", "")}
    try:
        token = os.environ.get("ROOST_TOKEN") or ask(f"{options.site}/api/token", body)["token"]
    except OSError as error:  # HTTPError is one
        sys.exit(f"No token from {options.site}: {error}")
    with suppress(KeyboardInterrupt):
        asyncio.run(listen(options.site, token, options.ticket))


def ask(url, body, token=""):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=20) as answer:
        return json.load(answer)


async def listen(site, token, by_ticket):
    """Come back after whatever happens, unless the server says that it would be of no use."""
    listener = Listener()
    bound = 0.5
    while True:
        address, headers = f"ws{site.removeprefix('http')}/ws/", {}
        try:
            if by_ticket:  # a new one for each connection
                url = f"{site}/api/ticket"
                address += f"?ticket={(await asyncio.to_thread(ask, url, {}, token))['ticket']}"
            else:
                headers = {"Authorization": f"Bearer {token}"}
            async with connect(
                address, subprotocols=["chat.v1.json"], additional_headers=headers
            ) as socket:
                bound = 0.5
                await listener.follow(socket)
        except ConnectionClosed as closed:
            if closed.rcvd and 4500 <= closed.rcvd.code < 5000:
                sys.exit(f"Closed: {closed.rcvd.code} {closed.rcvd.reason}")
        except (WebSocketException, OSError) as error:  # HTTPError is one, and may have a status
            if getattr(error, "status", None) in (401, 403):
                sys.exit(f"Not let in: {error}")
            print(f"Not connected: {error}", file=sys.stderr)
        await asyncio.sleep(listener.pause or random.uniform(0, bound))
        bound = min(2 * bound, 20)


class Listener:
    """What has to be remembered from one connection to the next: how far one got in each room."""

    def __init__(self):
        self.epoch = None  # names the life of the database that the cursors belong to
        self.cursors = {}
        self.names = {}
        self.pause = None  # seconds until one should come back, if the server has said so

    async def follow(self, socket):
        self.pause = None
        asked = set()  # rooms in which something is missing, and on its way

        async def send(**frame):
            await socket.send(json.dumps(frame))

        known = {"epoch": self.epoch} if self.epoch else {}
        await send(type="resume", cursors=self.cursors, **known)
        async for message in socket:
            before = dict(self.cursors)
            for line in message.split("\n"):
                room = self.take(json.loads(line), asked)
                if room and room not in asked:
                    asked.add(room)
                    await send(type="resume", cursors={room: self.cursors[room]})
            if news := dict(self.cursors.items() - before.items()):
                await send(type="ack", cursors=news)

    def take(self, frame, asked):
        """Apply a frame; the room in which something is missing before it, if there is one."""
        match frame:
            case {"type": "welcome", "epoch": epoch, "rooms": rooms}:
                self.epoch = epoch
                for room in rooms:
                    self.take(room, asked)
            case {"type": "room", "room": room, "left": True}:
                self.cursors.pop(room, None)
            case {"type": "room", "room": room, "delivered_rev": rev}:
                self.names[room] = frame.get("peer") or frame["name"]
                self.cursors.setdefault(room, rev)
            case {"type": "message", "room": room, "rev": rev}:
                return self.apply(room, rev - 1, rev, [frame])
            case {"type": "replay", "room": room, "after": after, "upto": upto}:
                asked.discard(room)
                if frame.get("reset"):
                    self.cursors[room] = after
                return self.apply(room, after, upto, frame["messages"])
            case {"type": "bye", "retry_after_ms": milliseconds}:
                self.pause = milliseconds / 1_000
            case {"type": "error", "detail": detail}:
                print(f"Error: {detail}", file=sys.stderr)
        return None

    def apply(self, room, after, upto, messages):
        cursor = self.cursors[room]
        if after > cursor:
            return room
        for message in messages:
            if message["rev"] > cursor:
                self.show(message)
        self.cursors[room] = max(cursor, upto)
        return None

    def show(self, message):
        body = message.get("body", "(deleted)")
        edited = " (edited)" if "edited_at" in message else ""
        where, who = self.names[message["room"]], message["sender"] or "the system"
        print(f"{message['at']} {where} {message['seq']} {who}: {body}{edited}", flush=True)


if __name__ == "__main__":
    main()
