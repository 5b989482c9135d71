"""What the site did before it had a chat, and now says in it."""

from uuid import uuid4

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from chat import messaging, rooms
from chat.errors import ChatError
from chat.messaging import Draft


def shelf(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Moby-Dick")


@csrf_exempt
def lend(request: HttpRequest, email: str) -> HttpResponse:
    """Tell a reader that a book is there for them."""
    Reader = get_user_model()
    reader = get_object_or_404(Reader, pk=email)
    librarian = Reader.objects.get(is_staff=True)
    room = rooms.open_direct(librarian, reader)
    [posted] = messaging.post([Draft(librarian, room.pk, uuid4(), "Moby-Dick is here for you.")])
    if isinstance(posted, ChatError):
        raise posted
    return HttpResponse("lent")
