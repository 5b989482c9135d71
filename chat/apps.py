"""The chat as a Django application."""

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import post_save


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = "Roost"

    def ready(self) -> None:
        from . import checks, rooms  # noqa: F401

        post_save.connect(rooms.user_saved, sender=get_user_model(), dispatch_uid="chat.user_saved")
