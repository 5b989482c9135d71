"""The chat over HTTP, for programs: what needs no open connection. Described at `docs`.

Endpoints translate and decide nothing. They call the domain in its own transactions and tell
nobody: every worker sees within a second what has changed.

They are synchronous: Django gives each request a thread of its own, so that a slow one holds up
neither the others nor the event loop with its sockets, whose connections to the database are not
those of the requests either.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from django.apps import apps
from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
)
from django.urls import URLPattern, re_path
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe
from ninja import NinjaAPI, PathEx, Query, Schema
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from pydantic import AfterValidator, BaseModel, Field, create_model

from . import (
    access,
    allowances,
    authentication,
    conf,
    frames,
    leases,
    limits,
    rooms,
    serializers,
    throttle,
    users,
)
from .access import Seat
from .callers import Bearer, Request, Session, refuse_banned
from .errors import (
    BadFrame,
    BadJSON,
    ChatError,
    Forbidden,
    IdConflict,
    InvalidText,
    NotFound,
    NotLoggedIn,
    RateLimited,
    StorageFull,
    TooLarge,
    Unavailable,
    UnknownUser,
    UnsupportedMethod,
    UnsupportedType,
)
from .messaging import Draft
from .refusals import refusals, refuse
from .submission import submit
from .users import display_name, username

INVITED = 100  # members that a room may be created with

# What they say


class JSONBody(Parser):
    """JSON, and nothing in it that is no text; what it raises, ninja puts into an HttpError."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        if request.content_type != "application/json":
            raise UnsupportedType
        try:
            text = request.body.decode()
        except UnicodeDecodeError:
            raise BadJSON from None
        return frames.json_object(text)


def _storable(text: str) -> str:
    if "\0" in text:
        raise InvalidText
    return text


WITHOUT_NUL = {"pattern": r"^[^\u0000]*$"}  # as documented; whether it holds says `_storable`
Text = Annotated[str, AfterValidator(_storable), Field(json_schema_extra=WITHOUT_NUL)]
Name = Annotated[Text, Field(max_length=254)]  # of a user, in frames too
Place = Annotated[int, Field(ge=0, le=2**63 - 1)]  # a `seq`
RoomId = Annotated[str, PathEx(description="Its `room` in `GET /api/rooms`.")]


class LogIn(BaseModel):
    username: Name
    password: Annotated[Text, Field(max_length=4096)]


class NewRoom(BaseModel):
    name: Annotated[
        Text,
        Field(
            max_length=conf.ROOM_NAME_CHARS,
            json_schema_extra={"pattern": r"^[^|\r\n\u0000]*\S[^|\r\n\u0000]*$"},
        ),
    ]
    kind: Annotated[
        Literal["group", "feed"],
        Field(description="In a feed only its owner and moderators write."),
    ] = "group"
    members: Annotated[
        list[Name], Field(max_length=INVITED, description="Usernames; yours is not needed.")
    ] = []


class Peer(BaseModel):
    to: Annotated[Name, Field(description="The other one's username, or your own.")]


class Piece(BaseModel):
    """Of the three places one at the most."""

    before: Annotated[Place | None, Field(description="The newest of those before it.")] = None
    after: Annotated[Place | None, Field(description="The oldest of those after it.")] = None
    around: Annotated[Place | None, Field(description="Those around it, and itself.")] = None
    limit: Annotated[
        int, Field(ge=1, le=2**63 - 1, description=f"More than {conf.PAGE} is {conf.PAGE}.")
    ] = conf.PAGE


class NewMessage(BaseModel):
    id: Annotated[UUID, Field(description="Made for this message; keep it until it is answered.")]
    body: Annotated[
        str,
        Field(
            json_schema_extra={
                "maxLength": conf.BODY_CHARS,
                "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
            }
        ),
    ]


# What they are answered


def _shape(frame: type[msgspec.Struct], **refined: Any) -> type[Schema]:
    """What a frame looks like, for the documentation; it is not made of this."""
    fields = {
        field.name: (field.type, ... if field.required else field.default)
        for field in msgspec.structs.fields(frame)
        if field.name != "ref"  # of connections, where answers come in any order
    }
    if tag := frame.__struct_config__.tag:
        fields["type"] = (str, Field(json_schema_extra={"const": tag}))
    shape: type[Schema] = create_model(frame.__name__, __base__=Schema, **(fields | refined))
    return shape


UserShape = _shape(frames.User)
RoomShape = _shape(frames.Room, receipts=(dict[str, list[int]] | None, None))
MessageShape = _shape(frames.Message)
PostedShape = _shape(frames.Posted)
HistoryShape = _shape(frames.History, messages=(list[MessageShape], ...))  # type: ignore[valid-type]


class Token(Schema):
    token: str
    expires_at: str


class Ticket(Schema):
    ticket: str
    expires_in: int


BROKEN = (Unavailable, StorageFull, ChatError)
ANY = (NotLoggedIn, Forbidden, RateLimited, *BROKEN)
SAYING = (BadJSON, TooLarge, UnsupportedType)
WRITING = (*ANY, *SAYING)


def _json(value: object, status: int = 200) -> HttpResponse:
    """Frames as they are, encoded by what encodes them for connections."""
    return HttpResponse(msgspec.json.encode(value), content_type="application/json", status=status)


api = NinjaAPI(
    title="Roost",
    version="1",
    description=(
        "Rooms, history and posts for programs. What is new comes over the WebSocket, whose frames"
        " the answers here are made of. Fields that do not apply are left out, and others may be"
        " added."
    ),
    auth=[Bearer(), Session()],
    urls_namespace="api",
    parser=JSONBody(),
    docs_decorator=require_safe,
    # Without its app, ninja's page would take its scripts from somebody else's server.
    docs_url="/docs" if apps.is_installed("ninja") else None,
)
for kind in (Exception, Http404, HttpError, ValidationError):
    api.add_exception_handler(kind, refuse)  # type: ignore[arg-type]


# Logging in


@api.post(
    "/token",
    auth=None,  # nor CSRF: the password is the authority; a foreign page gains nothing by it
    operation_id="getToken",
    tags=["Log in"],
    summary="A token",
    response={200: Token, **refusals(*ANY, *SAYING)},
)
@sensitive_variables()
def token(request: HttpRequest, log_in: LogIn) -> dict[str, Any]:
    """A bearer token for a username and a password.

    It is shown this once, and is good for 30 days or until the password changes.
    """
    user = authenticate(request, username=log_in.username, password=log_in.password)
    if seconds := throttle.seconds_left(request):
        raise RateLimited("That was tried too often.", retry_after_ms=int(seconds * 1_000) + 1)
    if user is None:
        raise NotLoggedIn("The username or the password is wrong.")
    throttle.log_in_succeeded(request)
    refuse_banned(user)
    secret, expires_at = authentication.issue_token(user)
    return {"token": secret, "expires_at": frames.timestamp(expires_at)}


@api.post(
    "/ticket",
    operation_id="getTicket",
    tags=["Log in"],
    summary="A ticket for a WebSocket",
    response={200: Ticket, **refusals(*ANY)},
)
def ticket(request: Request) -> dict[str, Any]:
    """A ticket for one WebSocket, `/ws/?ticket=…`, for whoever can set no header there.

    It works once, within `expires_in` seconds.
    """
    life = int(authentication.TICKET_LIFE.total_seconds())
    return {"ticket": authentication.issue_ticket(request.auth), "expires_in": life}


@api.get(
    "/me",
    operation_id="getMe",
    tags=["Log in"],
    summary="Who am I?",
    response={200: UserShape, **refusals(*ANY)},
)
def me(request: Request) -> HttpResponse:
    """The username and the name to be shown of whoever asks."""
    user = request.auth.user
    return _json(frames.User(username=username(user), name=display_name(user)))


# Rooms


@api.get(
    "/rooms",
    operation_id="listRooms",
    tags=["Rooms"],
    summary="All my rooms",
    response={200: list[RoomShape], **refusals(*ANY)},  # type: ignore[valid-type]
)
def list_rooms(request: Request) -> HttpResponse:
    """The rooms that you are in, each as in the WebSocket's `room`: `seq − read_seq` are unread."""
    user = request.auth.user
    rooms.enrol(user)  # nobody may have seen this user before
    return _json(_rooms(user, list(access.standing(user.pk).seats.values())))


@api.post(
    "/rooms",
    operation_id="createRoom",
    tags=["Rooms"],
    summary="Create a room",
    response={201: RoomShape, **refusals(UnknownUser, *WRITING)},
)
def create_room(request: Request, new: NewRoom) -> HttpResponse:
    """A room of yours, with its first members in it.

    Asked twice, there are two: look at `GET /api/rooms` before you ask again.
    """
    user = request.auth.user
    _check_rate(request)
    members = users.all_named(new.members)
    room = rooms.create(user, new.name, kind=new.kind, members=members)
    return _json(_rooms(user, [access.seat(user.pk, room.pk)])[0], 201)


@api.post(
    "/direct",
    operation_id="openDirect",
    tags=["Rooms"],
    summary="Open a direct room",
    response={200: RoomShape, **refusals(UnknownUser, *WRITING)},
)
def open_direct(request: Request, peer: Peer) -> HttpResponse:
    """The direct room with somebody; there is only one, however often you ask."""
    user = request.auth.user
    _check_rate(request)
    room = rooms.open_direct(user, users.named(peer.to))
    return _json(_rooms(user, [access.seat(user.pk, room.pk)])[0])


def _rooms(user: AbstractBaseUser, seats: Sequence[Seat]) -> list[frames.Room]:
    online = leases.online({fellow.user_id for seat in seats for fellow in seat.fellows})
    return [serializers.room_frame(seat, user.pk, online.__contains__) for seat in seats]


# Messages


@api.get(
    "/rooms/{slug:room}/messages",
    operation_id="readMessages",
    tags=["Messages"],
    summary="What was said",
    response={200: HistoryShape, **refusals(BadFrame, NotFound, *ANY)},
)
def read_messages(request: Request, room: RoomId, piece: Query[Piece]) -> HttpResponse:
    """Messages by ascending `seq`: those before a `seq`, after one, or around one.

    Name one of the three, or none for the newest. Long messages make an answer shorter than
    `limit`: `more_before` and `more_after` tell whether there are others.
    """
    try:
        look = frames.Look(room=room, **piece.model_dump())
    except ValueError as error:
        raise BadFrame(f"{error}.") from None
    line = serializers.history_line(request.auth.user.pk, look)
    return HttpResponse(line, content_type="application/json")


@api.post(
    "/rooms/{slug:room}/messages",
    operation_id="postMessage",
    tags=["Messages"],
    summary="Say something",
    response={200: PostedShape, 201: PostedShape, **refusals(NotFound, IdConflict, *WRITING)},
)
def post_message(request: Request, room: RoomId, new: NewMessage) -> HttpResponse:
    """Post a message. 201: it is stored. 200: it has been, and these are its numbers.

    If no answer came, or 503, it may or may not be stored: ask again with the same `id`, as late as
    you like. The same `id` with another body or room is 409.
    """
    posted = submit(request, Draft(request.auth.user, room, new.id, new.body))
    return _json(serializers.posted_frame(posted.message, None), 201 if posted.new else 200)


def _check_rate(request: Request) -> None:
    visitor = allowances.visitor(request, request.auth.user)
    limits.of(request).insist(*allowances.posts(visitor))


# Around all of them

View = Callable[..., HttpResponseBase]


def urls() -> tuple[list[URLPattern], str, str]:
    """The whole API, its documentation and, for any other address, a refusal in JSON."""
    found, app_name, namespace = api.urls
    patterns = cast(list[URLPattern], found)
    for pattern in patterns:
        pattern.callback = around(readable_by_head(cast(View, pattern.callback)))
    return [*patterns, re_path("", nothing_here)], app_name, namespace


def readable_by_head(view: View) -> View:
    """What can be read, also for whoever wants its headers alone; ninja knows no HEAD.

    The body is there: the server, which knows how long it is, does not send it.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        asked = request.method
        request.method = "GET" if asked == "HEAD" else asked
        try:
            response = view(request, *args, **kwargs)
        finally:
            request.method = asked
        if isinstance(response, HttpResponseNotAllowed):
            allowed = {*response["Allow"].split(", ")}
            response["Allow"] = ", ".join(
                sorted(allowed | {"HEAD"} if "GET" in allowed else allowed)
            )
        return response

    return answer


def around(view: View) -> View:
    """What is true of every answer of the API."""

    @csrf_exempt  # whether a cookie was sent by our own page is checked with the cookie
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            limits.of(request).insist(*allowances.requests(allowances.visitor(request)))
            # Whatever its length is said to be, or if none is: no more of it is taken into memory.
            request._body = request.read(conf.MESSAGE_BYTES + 1)
            if len(request._body) > conf.MESSAGE_BYTES:
                raise TooLarge("The body is too large.")
            response = view(request, *args, **kwargs)
        except Exception as error:
            response = refuse(request, error)
        if isinstance(response, HttpResponseNotAllowed):
            allowed = response["Allow"]
            response = refuse(request, UnsupportedMethod())
            response["Allow"] = allowed
        add_never_cache_headers(response)
        patch_vary_headers(response, ("Authorization", "Cookie"))
        return response

    return answer


@around
def nothing_here(request: HttpRequest) -> HttpResponse:
    raise NotFound
