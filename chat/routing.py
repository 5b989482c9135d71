"""The WebSocket paths of the chat, as one ASGI application."""

from channels.routing import URLRouter
from django.urls import path, re_path

from .consumers import ChatConsumer
from .worker import Receive, Scope, Send


async def no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse the handshake (HTTP 403), where URLRouter would raise."""
    await send({"type": "websocket.close"})


websocket = URLRouter([path("ws/", ChatConsumer.as_asgi()), re_path("", no_such_path)])  # type: ignore[arg-type]
