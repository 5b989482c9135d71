"""The chat of Channels' tutorial, to compare with: it stores nothing, and tells whoever is there.

Who that is it looks up as Channels' documentation says, by the session's cookie.

https://channels.readthedocs.io/en/stable/tutorial/part_3.html, with room in the layer's queues.
"""

import json
from typing import Any

import django
import environ
from django.conf import settings

if redis_url := environ.Env().str("REDIS_URL", default=""):
    layer: dict[str, Any] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [redis_url]},
    }
else:
    layer = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10_000}}

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "channels",
    ],
    DATABASES={"default": environ.Env().db("DATABASE_URL")},
    SECRET_KEY=environ.Env().str("SECRET_KEY"),
    CHANNEL_LAYERS={"default": layer},
)
django.setup()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        self.room_group_name = "chat_room"
        assert self.scope["user"].is_authenticated
        await self.channel_layer.group_add(self.room_group_name, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code: int) -> None:
        await self.channel_layer.group_discard(self.room_group_name, self.channel_name)

    async def receive(self, text_data: str) -> None:
        message = json.loads(text_data)["message"]
        event = {"type": "chat.message", "message": message}
        await self.channel_layer.group_send(self.room_group_name, event)

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps({"message": event["message"]}))


application = AuthMiddlewareStack(ChatConsumer.as_asgi())
