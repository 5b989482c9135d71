"""A client of `chat.v1.json` that keeps the protocol's rules for clients, and nothing else.

It has no socket: give it the frames that arrive, send what it answers. What it holds survives its
connections, like a browser's database.
"""

from collections.abc import Mapping
from typing import Any

Frame = dict[str, Any]


class BrokenPromise(AssertionError):
    """The server did what it has promised not to do."""


class Client:
    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.epoch: str | None = None
        self.cursors: dict[str, int] = {}
        self.rooms: dict[str, Frame] = {}
        self.messages: dict[str, dict[int, Frame]] = {}  # by room and seq
        self.pending: set[str] = set()  # rooms that are being resumed
        self.resets = 0

    def resume(self) -> Frame:
        """The first frame of a connection."""
        self.pending = set(self.cursors)
        frame: Frame = {"type": "resume", "ref": "resume", "cursors": dict(self.cursors)}
        if self.limit is not None:
            frame["limit"] = self.limit
        if self.epoch is not None:
            frame["epoch"] = self.epoch
        return frame

    def receive(self, frame: Frame) -> list[Frame]:
        """Apply a frame; what has to be sent because of it."""
        match frame["type"]:
            case "welcome":
                self.epoch = frame["epoch"]
                for room in frame["rooms"]:
                    self._room(room)
            case "room":
                self._room(frame)
            case "message":
                return self._message(frame)
            case "replay":
                return self._replay(frame)
            case "history":
                for message in frame["messages"]:
                    self._keep(message)
        return []

    def bodies(self, room: str) -> list[str | None]:
        """What was said in a room, in order; None for what was deleted."""
        return [message.get("body") for _, message in sorted(self.messages.get(room, {}).items())]

    def unread(self, room: str) -> int:
        return self.rooms[room]["seq"] - self.rooms[room]["read_seq"]

    def _room(self, frame: Frame) -> None:
        room = frame["room"]
        if frame.get("left"):
            self.rooms.pop(room, None)
            self.cursors.pop(room, None)
            self.messages.pop(room, None)
            self.pending.discard(room)
            return
        known = self.rooms.get(room)
        self.rooms[room] = {**frame, "seq": max(frame["seq"], known["seq"] if known else 0)}
        self.cursors.setdefault(room, frame["delivered_rev"])
        for seq in [seq for seq in self.messages.get(room, {}) if seq < frame["first_seq"]]:
            del self.messages[room][seq]

    def _message(self, frame: Frame) -> list[Frame]:
        room, rev = frame["room"], frame["rev"]
        if room not in self.rooms:
            raise BrokenPromise(f"a message of {room} came before its room")
        cursor = self.cursors[room]
        if rev > cursor + 1:
            return self._resume(room)
        if rev == cursor + 1:
            self._keep(frame)
            self.cursors[room] = rev
            return [{"type": "ack", "cursors": {room: rev}}]
        return []

    def _replay(self, frame: Frame) -> list[Frame]:
        room = frame["room"]
        if room not in self.rooms:
            raise BrokenPromise(f"a replay of {room} came before its room")
        if frame.get("reset"):
            self.resets += 1
            self.messages[room] = {}
            self.cursors[room] = 0
        revs = [message["rev"] for message in frame["messages"]]
        if revs != sorted(set(revs)) or not all(frame["after"] < r <= frame["upto"] for r in revs):
            raise BrokenPromise(f"a replay from {frame['after']} to {frame['upto']} brings {revs}")
        self.pending.discard(room)
        if frame["after"] > self.cursors[room]:
            return self._resume(room)
        for message in frame["messages"]:
            self._keep(message)
        self.cursors[room] = max(self.cursors[room], frame["upto"])
        return [{"type": "ack", "cursors": {room: frame["upto"]}}]

    def _resume(self, room: str) -> list[Frame]:
        if room in self.pending:
            return []
        self.pending.add(room)
        return [{"type": "resume", "cursors": {room: self.cursors[room]}}]

    def _keep(self, message: Frame) -> None:
        """Of two copies the one with the higher rev wins, whatever brought it."""
        room, seq = message["room"], message["seq"]
        known = self.messages.setdefault(room, {}).get(seq)
        if known is None or known["rev"] < message["rev"]:
            self.messages[room][seq] = message
        if room in self.rooms:
            self.rooms[room]["seq"] = max(self.rooms[room]["seq"], seq)


def state(client: Client) -> Mapping[str, Mapping[int, tuple[int, str | None]]]:
    """What a client shows: rev and body by room and seq."""
    return {
        room: {seq: (m["rev"], m.get("body")) for seq, m in messages.items()}
        for room, messages in client.messages.items()
        if messages
    }
