from django.contrib import admin
from django.urls import include, path
from readers import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.shelf),
    path("lend/<str:email>/", views.lend),
]

# ---- the chat

urlpatterns += [path("chat/", include("chat.urls"))]
