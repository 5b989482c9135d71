"""The chat's own addresses, to be included; its WebSocket is mounted in project/asgi.py."""

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

from . import api, health, installation, plain, scrapes, views

urlpatterns = [
    path("", views.chat, name="chat"),
    # slug: what room ids are made of; whatever else stands there never reaches the database.
    path("r/<slug:room>/", views.chat, name="room"),
    path("r/<slug:room>/m/<int:seq>/", views.chat, name="message"),
    path("plain/", plain.home, name="plain"),
    path("plain/r/<slug:room>/", plain.room, name="plain-room"),
    path("console/", views.console, name="console"),
    path("manifest.webmanifest", installation.manifest, name="manifest"),
    path("login/", views.throttled(views.LogIn.as_view()), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    # Exempt, so that pages which have no token, because something went wrong, offer it too.
    path("language/", csrf_exempt(set_language), name="set_language"),
    path("signup/", views.SignUp.as_view(), name="signup"),
    path("api", api.nothing_here),
    path("api/", api.urls()),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", scrapes.scrape, name="metrics"),
]
