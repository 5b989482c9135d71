import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "library.settings")
django = get_asgi_application()

from chat import checks  # noqa: E402
from chat.routing import websocket  # noqa: E402
from chat.worker import WithWorker  # noqa: E402

checks.insist()
application = WithWorker(ProtocolTypeRouter({"http": django, "websocket": websocket}))
