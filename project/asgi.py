"""The site as one ASGI application: pages by Django, WebSockets by the chat."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django = get_asgi_application()  # before anything that imports models

from chat import checks  # noqa: E402
from chat.routing import websocket  # noqa: E402
from chat.worker import WithWorker  # noqa: E402

checks.insist()
application = WithWorker(ProtocolTypeRouter({"http": django, "websocket": websocket}))
