"""The site as one ASGI application: pages by Django, WebSockets by the chat."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django = get_asgi_application()  # before anything that imports models

from chat import checks  # noqa: E402
from chat.consumers import ChatConsumer  # noqa: E402
from chat.worker import WithWorker  # noqa: E402

checks.insist()


async def no_such_path(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake (HTTP 403), where URLRouter would raise."""
    await send({"type": "websocket.close"})


websocket = URLRouter([path("ws/", ChatConsumer.as_asgi()), re_path("", no_such_path)])  # type: ignore[arg-type]

application = WithWorker(ProtocolTypeRouter({"http": django, "websocket": websocket}))
