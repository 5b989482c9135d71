"""What there is to look at: each page and each state of the chat, and how somebody gets there."""

from collections.abc import Callable

from playwright.sync_api import WebSocketRoute, expect

from tests.person import Person

Scene = Callable[[Person], object]

# People and rooms that the demo lacks, and yesterday, run by `manage.py shell`.
MORE = """
from datetime import timedelta
from django.contrib.auth import get_user_model
from django.db.models import F
from uuid import uuid4
from chat import messaging, people, rooms
from chat.models import Message, Room

User = get_user_model()
alice, bob, charlie = (User.objects.get(username=name) for name in ("alice", "bob", "charlie"))
dora = User.objects.create_user("dora", password="demo", first_name="Dora")
erin = User.objects.create_user("Erin.Li", password="demo", first_name="Erin")
Message.objects.update(created_at=F("created_at") - timedelta(days=1))
talks = {
    "Pot luck on Friday, and who brings what": (dora, [alice, bob, erin], [(dora, "Salad!")]),
    "读书会": (erin, [alice, dora], [(erin, "下周读《城南旧事》。"), (dora, "好的")]),
    "Garden": (alice, [bob], []),
    "The old kitchen": (alice, [bob, charlie], [(bob, "Last one here turns off the light.")]),
}
for name, (owner, members, lines) in talks.items():
    room = rooms.create(owner, name, members=members)
    messaging.post([messaging.Draft(who, room.pk, uuid4(), words) for who, words in lines])
Room.objects.filter(name="The old kitchen").update(archived=True)
rooms.create(dora, "News", kind=Room.Kind.FEED, members=[alice, bob, charlie])
lobby = rooms.everyone()
messaging.proclaim(lobby.pk, "On Friday at six we move to a faster server. Nothing is lost.")
hello = messaging.Draft(erin, rooms.open_direct(erin, alice).pk, uuid4(), "Buy my lamps!")
messaging.post([hello])
people.block(alice, erin, True)
direct = rooms.open_direct(charlie, alice)
messaging.post([messaging.Draft(charlie, direct.pk, uuid4(), "Do I need a badge to get in?")])
"""

TALK = [
    ("bob", "Half past twelve is fine. I have booked the table by the window."),
    ("alice", "Lovely! For how many?"),
    ("bob", "Four, if Dora comes. This is the menu: https://example.org/menu"),
    ("bob", "Whoever is late gets the soup of the day, which was the soup of yesterday, too."),
    ("alice", "饺子也有，太好了！"),
    ("alice", "See you there."),
]


# Without logging in


def log_in(person: Person) -> None:
    person.page.goto("/login/")


def log_in_refused(person: Person) -> None:
    log_in(person)
    person.page.locator("[name=username]").fill("alice")
    person.page.locator("[name=password]").fill("wrong")
    person.page.locator("[name=password]").press("Enter")
    expect(person.page.locator(".errorlist")).to_be_visible()


def sign_up(person: Person) -> None:
    person.page.goto("/signup/")


def sign_up_refused(person: Person) -> None:
    sign_up(person)
    person.page.locator("[name=username]").fill("alice")
    for field in ("password1", "password2"):
        person.page.locator(f"[name={field}]").fill("demo")
    person.page.locator("[name=password2]").press("Enter")
    expect(person.page.locator(".errorlist").first).to_be_visible()


def not_allowed(person: Person) -> None:
    """A form without its token."""
    log_in(person)
    for field in ("username", "password"):
        person.page.locator(f"[name={field}]").fill("alice")
    person.page.locator("[name=csrfmiddlewaretoken]").evaluate("field => field.remove()")
    person.page.locator("form .primary").click()
    person.page.locator(".card a.primary").wait_for()


# In the chat


def rooms(alice: Person) -> None:
    alice.page.goto("/")
    alice.link("Kitchen").wait_for()


def kitchen(alice: Person) -> None:
    rooms(alice)
    alice.enter("Kitchen")
    alice.messages.last.wait_for()


def lobby(alice: Person) -> None:
    rooms(alice)
    alice.enter("Lobby")
    alice.messages.last.wait_for()


def direct(alice: Person) -> None:
    rooms(alice)
    alice.enter("bob")
    alice.messages.last.wait_for()


def blocked(alice: Person) -> None:
    rooms(alice)
    alice.enter("Erin.Li")


def feed(alice: Person) -> None:
    rooms(alice)
    alice.enter("News")


def long_name(alice: Person) -> None:
    rooms(alice)
    alice.enter("Pot luck on Friday, and who brings what")
    alice.messages.last.wait_for()


def empty_room(alice: Person) -> None:
    rooms(alice)
    alice.enter("Garden")


def archived_room(alice: Person) -> None:
    rooms(alice)
    alice.page.locator(".rooms summary").click()
    alice.enter("The old kitchen")


def no_such_room(alice: Person) -> None:
    rooms(alice)
    alice.page.evaluate("history.pushState(null, '', '/r/nowhere/')")
    alice.page.evaluate("dispatchEvent(new Event('popstate'))")


def actions(alice: Person) -> None:
    kitchen(alice)
    row = alice.message("See you there.").last
    row.click()
    row.locator(".actions .more").click()


def editing(alice: Person) -> None:
    kitchen(alice)
    alice.writing.press("ArrowUp")


def deleting(alice: Person) -> None:
    """It can still be undone."""
    rooms(alice)
    alice.enter("读书会")
    alice.say("This is the wrong room.")
    row = alice.message("This is the wrong room.").last
    row.click()
    row.locator(".actions .more").click()
    alice.page.locator(".message-menu [data-act=delete]").click()


def long_draft(alice: Person) -> None:
    kitchen(alice)
    alice.writing.fill("\n".join(["One more line of many."] * 8))


def too_long(alice: Person) -> None:
    kitchen(alice)
    alice.writing.fill("word " * 900)


def members(alice: Person) -> None:
    kitchen(alice)
    if alice.page.locator(".details").is_hidden():
        alice.page.locator("button.people").click()


def person_card(alice: Person) -> None:
    members(alice)
    alice.page.locator(".member", has_text="bob").click()
    alice.page.locator(".person-dialog").wait_for()


def switcher(alice: Person) -> None:
    kitchen(alice)
    alice.page.keyboard.press("Control+k")
    alice.page.keyboard.type("o")
    alice.page.wait_for_timeout(300)


def switcher_finds_nothing(alice: Person) -> None:
    kitchen(alice)
    alice.page.keyboard.press("Control+k")
    alice.page.keyboard.type("nobody is called so")
    alice.page.wait_for_timeout(300)


def settings(alice: Person) -> None:
    rooms(alice)
    alice.page.locator(".rail-foot .settings").click()


def keys(alice: Person) -> None:
    kitchen(alice)
    alice.page.keyboard.press("Control+/")


def new_direct(alice: Person) -> None:
    rooms(alice)
    alice.page.locator(".rail .new-direct").click()
    alice.page.locator(".direct-dialog input").press_sequentially("d")
    alice.page.locator(".direct-dialog [role=option]").first.wait_for()


def new_group(alice: Person) -> None:
    rooms(alice)
    alice.page.locator(".rooms .heading .new-group").click()
    alice.page.locator(".group-dialog [name=name]").fill("Choir")
    alice.page.locator(".group-dialog [role=combobox]").press_sequentially("do")
    alice.page.locator(".group-dialog [role=option]").first.click()


def room_menu(alice: Person) -> None:
    kitchen(alice)
    alice.page.locator(".room-head .more").click()


def invite(alice: Person) -> None:
    room_menu(alice)
    alice.page.locator(".room-menu [data-act=invite]").click()


def rename(alice: Person) -> None:
    room_menu(alice)
    alice.page.locator(".room-menu [data-act=rename]").click()


def leaving(alice: Person) -> None:
    room_menu(alice)
    alice.page.locator(".room-menu [data-act=leave]").click()


def report(alice: Person) -> None:
    person_card(alice)
    alice.page.locator(".person-dialog [data-act=report]").click()


# What the connection is like


def loading(alice: Person) -> None:
    """The server takes its time."""
    alice.page.route_web_socket("**/ws/", lambda socket: None)
    alice.page.goto("/")
    alice.page.wait_for_timeout(300)


def _lost(alice: Person, code: int, offline: bool = False) -> None:
    """In the Kitchen, and then the server closes with this code, and admits nobody any more."""
    sockets: list[WebSocketRoute] = []

    def admit(socket: WebSocketRoute) -> None:
        if sockets:
            socket.close(code=code)
        else:
            socket.connect_to_server()
        sockets.append(socket)

    alice.page.clock.install()
    alice.page.route_web_socket("**/ws/", admit)
    kitchen(alice)
    alice.page.context.set_offline(offline)
    sockets[0].close(code=code)
    alice.page.wait_for_timeout(200)
    alice.page.clock.fast_forward(6_000)
    expect(alice.page.locator(".connection")).to_be_visible()


def unreachable(alice: Person) -> None:
    _lost(alice, 4000)


def connection_details(alice: Person) -> None:
    unreachable(alice)
    alice.page.locator(".connection .more").click()


def restarting(alice: Person) -> None:
    _lost(alice, 4012)


def logged_out(alice: Person) -> None:
    _lost(alice, 4501)


def banned(alice: Person) -> None:
    _lost(alice, 4503)


def too_many_tabs(alice: Person) -> None:
    _lost(alice, 4510)


def offline(alice: Person) -> None:
    """And still writing."""
    _lost(alice, 4000, offline=True)
    alice.writing.fill("Is anybody there?")
    alice.writing.press("Enter")


def console(alice: Person) -> None:
    alice.page.goto("/console/")


def without_scripts(alice: Person) -> None:
    """Of somebody whose profile allows none."""
    alice.page.goto("/")
    alice.page.get_by_role("link", name="Kitchen").first.click()


OUTSIDE: list[Scene] = [
    log_in,
    log_in_refused,
    sign_up,
    sign_up_refused,
    not_allowed,
]
INSIDE: list[Scene] = [
    rooms,
    kitchen,
    lobby,
    direct,
    blocked,
    feed,
    long_name,
    empty_room,
    archived_room,
    no_such_room,
    actions,
    editing,
    deleting,
    long_draft,
    too_long,
    members,
    person_card,
    switcher,
    switcher_finds_nothing,
    settings,
    keys,
    new_direct,
    new_group,
    room_menu,
    invite,
    rename,
    leaving,
    report,
    loading,
    unreachable,
    connection_details,
    restarting,
    logged_out,
    banned,
    too_many_tabs,
    offline,
    console,
]
