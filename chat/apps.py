"""The chat as a Django application."""

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models.signals import post_migrate, post_save


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = "Roost"

    def ready(self) -> None:
        from . import checks, duties, rooms, throttle  # noqa: F401

        post_save.connect(rooms.user_saved, sender=get_user_model(), dispatch_uid="chat.user_saved")
        user_login_failed.connect(throttle.log_in_failed, dispatch_uid="chat.log_in_failed")
        user_logged_in.connect(throttle.log_in_succeeded, dispatch_uid="chat.log_in_succeeded")
        post_migrate.connect(duties.establish, sender=self, dispatch_uid="chat.duties")
