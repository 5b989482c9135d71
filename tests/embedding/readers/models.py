from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class Reader(AbstractBaseUser, PermissionsMixin):
    """Has an e-mail address and a card instead of a username."""

    email = models.EmailField(primary_key=True)
    card = models.CharField(max_length=8)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    objects = BaseUserManager()

    USERNAME_FIELD = "email"

    def get_full_name(self) -> str:
        return f"Reader {self.card}"
