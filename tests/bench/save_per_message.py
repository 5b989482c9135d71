"""A chat that stores each message as tutorials do, to compare with: save, tell, acknowledge.

Its connection to the database is kept, DEBUG is off, and it asks nobody who they are. Run as a
program, it makes its table.
"""

import json
from typing import Any

import django
import environ
from django.conf import settings

env = environ.Env()
settings.configure(
    INSTALLED_APPS=["channels"],
    DATABASES={"default": env.db("DATABASE_URL") | {"CONN_MAX_AGE": None}},
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [env.str("REDIS_URL")]},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from channels.db import database_sync_to_async  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import URLRouter  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import re_path  # noqa: E402


class Message(models.Model):
    room = models.CharField(max_length=20, db_index=True)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "save_per_message"

    def __str__(self) -> str:
        return self.body


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive(self, text_data: str) -> None:
        said = json.loads(text_data)
        await self.save(said["body"])
        event = {"type": "chat.message", "message": said["body"]}
        await self.channel_layer.group_send(self.room, event)
        await self.send(text_data=json.dumps({"posted": said["id"]}))

    @database_sync_to_async
    def save(self, body: str) -> None:
        Message.objects.create(room=self.room, body=body)

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps({"message": event["message"]}))


application = URLRouter([re_path(r"^(?P<room>\w+)/$", ChatConsumer.as_asgi())])

if __name__ == "__main__":
    with connection.schema_editor() as schema:
        schema.create_model(Message)
