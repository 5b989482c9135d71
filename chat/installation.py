"""The web app manifest: what a browser needs to install the chat as an app of its own."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

PAPER, RAIL = "#ffffff", "#f4f7f7"  # as in tokens.css, by day


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """Of the whole chat; whoever starts the app gets where the chat begins."""
    home = reverse("chat")
    app = {
        "id": home,
        "name": "Roost",
        "start_url": home,
        "scope": home,
        "display": "standalone",
        "theme_color": RAIL,
        "background_color": PAPER,
        "icons": [
            _icon("icon.svg", "any", "image/svg+xml"),
            _icon("icon-192.png", "192x192", "image/png"),
            # With space around it, so that a system may cut it into its own shape.
            _icon("icon-512.png", "512x512", "image/png", purpose="maskable"),
        ],
    }
    return JsonResponse(app, content_type="application/manifest+json")


def _icon(name: str, sizes: str, kind: str, **more: str) -> dict[str, Any]:
    return {"src": static(f"chat/{name}"), "sizes": sizes, "type": kind, **more}
