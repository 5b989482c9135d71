"""The site: the chat at the root, and the admin panel."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path

from chat import views


def favicon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for beside pages that name no icon."""
    return redirect(static("chat/icon.svg"))


urlpatterns = [
    path("favicon.ico", favicon),
    path("admin/login/", views.throttled(admin.site.login)),
    path("admin/", admin.site.urls),
    path("", include("chat.urls")),
]
