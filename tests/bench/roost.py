"""What clients of Roost say, as cheap to make as can be."""

import json
import re
import uuid

from tests.bench import load


def handshake(token: str) -> str:
    return load.handshake(
        "/ws/", f"Authorization: Bearer {token}", "Sec-WebSocket-Protocol: chat.v1.json"
    )


def hello() -> str:
    """Nothing of the rounds before."""
    return '{"type":"resume","ref":"bench","limit":0}'


def post(room: str, body: str, client_id: str | None = None) -> str:
    client_id = client_id or str(uuid.uuid4())
    return json.dumps({"type": "post", "room": room, "id": client_id, "body": body})


def acknowledge(room: str, latest: bytes) -> list[str]:
    """Of the last messages that came; perhaps nothing."""
    revs = re.findall(rb'"room":"%s","seq":\d+,"rev":(\d+),' % room.encode(), latest[-1_000:])
    return [json.dumps({"type": "ack", "cursors": {room: int(revs[-1])}})] if revs else []
