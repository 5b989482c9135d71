from django.contrib import admin

from .models import Reader


@admin.register(Reader)
class ReaderAdmin(admin.ModelAdmin):
    search_fields = ["email"]  # the chat's panel looks people up
