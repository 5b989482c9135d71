"""Announcements from the admin panel: written, looked at, confirmed, and said once."""

import pytest
from django.contrib.auth.models import Permission
from pytest_django.asserts import assertContains, assertNotContains

from chat import rooms
from chat.models import AuditEntry, Message, Room
from tests.conversation import crowd, deactivate, queries, say

LIST = "/admin/chat/announcement/"
ADD = f"{LIST}add/"


@pytest.fixture
def panel(client, charlie):
    """Charlie, who may announce and nothing else; logged in to the admin panel."""
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.set(Permission.objects.filter(codename="can_announce"))
    client.force_login(charlie)
    return client


def words(body="Down at noon", audience="everybody", speaker="site", **more):
    return {"audience": audience, "body": body, "speaker": speaker, **more}


def previewed(panel, filled_in):
    """What the page that is to be confirmed sends."""
    page = panel.post(ADD, filled_in)
    assert not page.context["form"].errors
    return filled_in | {"words_id": str(page.context["words_id"])}


def confirm(panel, sent):
    return panel.post(ADD, sent | {"_confirm": "Announce"}, follow=True)


def said():
    """What has been announced, and where."""
    messages = Message.objects.filter(announcement=True).order_by("pk")
    return [(message.room_id, message.body) for message in messages]


def refused(panel, filled_in, word):
    """Whether the form comes back with this in what it says, and nothing was said."""
    page = panel.post(ADD, filled_in | {"_confirm": "Announce", "words_id": ID})
    assertContains(page, word)
    assertContains(page, "Nothing was announced")
    return said() == []


ID = "11111111-1111-1111-1111-111111111111"


# To whom


def test_it_is_said_to_everybody(panel, alice, bob, lobby):
    sent = previewed(panel, words("Down\r\nat noon"))
    assert said() == []
    assertContains(confirm(panel, sent), "Announced to 3 people")
    assert said() == [(lobby.pk, "Down\nat noon")]
    assert Message.objects.get().sender is None


def test_it_is_said_in_one_room_by_name(panel, charlie, kitchen):
    filled_in = words(audience="room", room=kitchen.pk, speaker="me")
    assertContains(confirm(panel, previewed(panel, filled_in)), "Announced to 2 people")
    assert said() == [(kitchen.pk, "Down at noon")]
    assert Message.objects.get().sender == charlie


def test_it_is_said_to_some_people_each_in_their_direct_room(panel, alice, bob, charlie):
    filled_in = words(audience="people", speaker="me", people=[alice.pk], usernames="bob\r\nalice")
    assertContains(confirm(panel, previewed(panel, filled_in)), "Announced to 2 people")
    places = {rooms.open_direct(charlie, person).pk for person in (alice, bob)}
    assert {room for room, _ in said()} == places
    assert len(said()) == 2


# The preview


def test_the_preview_shows_it_as_people_will_see_it(panel, alice, bob, lobby):
    deactivate(bob)
    page = panel.post(ADD, words("<b>Down</b>\nat noon"))
    assertContains(page, "&lt;b&gt;Down&lt;/b&gt;\nat noon")
    assertContains(page, "Announce to 2 people")
    assertNotContains(page, 'name="_preview"')
    assert said() == []


def test_what_is_previewed_can_be_changed(panel, alice, kitchen):
    filled_in = words(audience="room", room=kitchen.pk)
    page = panel.post(ADD, previewed(panel, filled_in) | {"_change": "Change it"})
    assertContains(page, "Down at noon</textarea>")
    assertContains(page, f'<option value="{kitchen.pk}" selected>Kitchen</option>', html=True)
    assert said() == []


def test_a_room_that_is_archived_is_said_to_be(panel, kitchen):
    Room.objects.filter(pk=kitchen.pk).update(archived=True)
    filled_in = words(audience="room", room=kitchen.pk)
    assertContains(panel.post(ADD, filled_in), "archived")
    confirm(panel, previewed(panel, filled_in))
    assert said() == [(kitchen.pk, "Down at noon")]


def test_the_room_that_the_address_names_is_chosen(panel, alice, bob, kitchen):
    assertContains(panel.get(ADD, {"room": kitchen.pk}), f'<option value="{kitchen.pk}" selected')
    direct = rooms.open_direct(alice, bob)
    for nowhere in (direct.pk, "nowhere"):
        assertNotContains(panel.get(ADD, {"room": nowhere}), "selected")


def test_nobody_needs_to_be_there_for_something_to_be_said(panel):
    empty = Room.objects.create(kind="group", name="Empty")
    sent = previewed(panel, words(audience="room", room=empty.pk))
    assertContains(confirm(panel, sent), "Announced to 0 people.")
    assert said() == [(empty.pk, "Down at noon")]


# Once


@pytest.mark.parametrize("speaker", ["site", "me"])
def test_who_confirms_twice_says_it_once(panel, alice, lobby, speaker):
    sent = previewed(panel, words(speaker=speaker))
    confirm(panel, sent)
    assertContains(confirm(panel, sent), "announced already")
    assert len(said()) == 1
    assert AuditEntry.objects.count() == 1


def test_who_confirms_twice_says_it_once_to_each(panel, alice, bob):
    sent = previewed(panel, words(audience="people", speaker="me", people=[alice.pk, bob.pk]))
    confirm(panel, sent)
    assertContains(confirm(panel, sent), "announced already")
    assert len(said()) == 2
    assert AuditEntry.objects.count() == 1


def test_the_same_words_can_be_said_anew(panel, lobby):
    for _ in range(2):
        confirm(panel, previewed(panel, words()))
    assert len(said()) == 2


@pytest.mark.parametrize("words_id", ["", "nonsense"])
def test_nothing_is_said_that_was_not_previewed(panel, lobby, words_id):
    assertContains(panel.post(ADD, words() | {"_confirm": "", "words_id": words_id}), "_confirm")
    assert said() == []


# What cannot be


@pytest.mark.parametrize("body", ["", " \n", "x" * 4_001])
def test_what_nobody_could_say_is_not_announced(panel, lobby, body):
    assert refused(panel, words(body), "errorlist")


@pytest.mark.parametrize("room", ["", "nowhere"])
def test_a_room_is_chosen_that_there_is(panel, room):
    assert refused(panel, words(audience="room", room=room), "errorlist")


def test_in_a_direct_room_of_others_nothing_is_announced(panel, alice, bob):
    direct = rooms.open_direct(alice, bob)
    assert refused(panel, words(audience="room", room=direct.pk), "errorlist")


def test_the_site_has_no_direct_rooms(panel, alice):
    assert refused(panel, words(audience="people", people=[alice.pk]), "by your own name")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "Choose somebody"),
        ({"usernames": "alice\nzoe"}, "There is nobody of this name: zoe"),
        ({"people": ["999"]}, "errorlist"),
        ({"usernames": "\n".join(map(str, range(201)))}, "more than 200"),
    ],
)
def test_people_are_chosen_that_there_are(panel, alice, more, told):
    assert refused(panel, words(audience="people", speaker="me", **more), told)


def test_who_has_gone_since_the_preview_is_told_and_nobody_gets_it(panel, alice, bob):
    filled_in = words(audience="people", speaker="me", people=[alice.pk, bob.pk])
    previewed(panel, filled_in)
    deactivate(bob)
    assert refused(panel, filled_in, "errorlist")


def test_a_room_that_has_gone_since_the_preview_is_told(panel, kitchen):
    filled_in = words(audience="room", room=kitchen.pk)
    sent = previewed(panel, filled_in)
    kitchen.delete()
    assert refused(panel, sent, "errorlist")


def test_not_more_than_two_hundred_are_told_at_once(panel, garden):
    crowd(garden, 201)
    people = list(garden.memberships.values_list("user", flat=True))
    assert refused(panel, words(audience="people", speaker="me", people=people), "more than 200")


def test_whoever_reads_chinese_is_told_in_chinese(panel, garden):
    crowd(garden, 201)
    people = list(garden.memberships.values_list("user", flat=True))
    headers = {"accept-language": "zh-hans"}
    page = panel.post(ADD, words(audience="people", speaker="me", people=people), headers=headers)
    assertNotContains(page, "more than 200")


# Who may


@pytest.mark.parametrize("page", [LIST, ADD, f"{LIST}rooms/", f"{LIST}people/"])
def test_who_may_not_announce_does_not(panel, charlie, lobby, page):
    charlie.user_permissions.clear()
    assert panel.get(page).status_code == 403
    sent = words() | {"_confirm": "Announce", "words_id": ID}
    assert panel.post(ADD, sent).status_code == 403
    assert said() == []


def test_the_log_tells_who_announced_what_to_how_many(panel, charlie, alice, bob, kitchen):
    confirm(panel, previewed(panel, words(audience="room", room=kitchen.pk)))
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.label) == ("announced", charlie, "Kitchen")
    assert (entry.kind, entry.key) == ("message", str(Message.objects.get().pk))
    assert (entry.room, entry.after) == (kitchen.pk, {"recipients": 2})


def test_the_log_tells_to_whom_something_was_announced(panel, alice, bob):
    confirm(panel, previewed(panel, words(audience="people", speaker="me", usernames="alice")))
    entry = AuditEntry.objects.get()
    place = str(Message.objects.get())
    assert entry.label == "alice"
    assert entry.after == {"recipients": 1, "people": ["alice"], "messages": [place]}


# What was announced, and what there is to choose from


def test_the_list_shows_what_was_announced_and_nothing_else(panel, alice, kitchen):
    say(alice, kitchen, "Not for you")
    confirm(panel, previewed(panel, words(audience="room", room=kitchen.pk)))
    page = panel.get(LIST)
    assertContains(page, "Down at noon")
    assertContains(page, "Kitchen")
    assertNotContains(page, "Not for you")


def test_rooms_and_people_are_offered_as_one_types(panel, alice, bob, kitchen, lobby):
    rooms.open_direct(alice, bob)
    deactivate(bob)

    def offered(what, term):
        return [
            one["text"] for one in panel.get(f"{LIST}{what}/", {"term": term}).json()["results"]
        ]

    assert offered("rooms", "kit") == ["Kitchen"]
    assert offered("rooms", "") == ["Kitchen", "Lobby"]
    assert offered("people", "AL") == ["alice"]
    assert offered("people", "") == ["alice", "charlie"]


def test_many_are_offered_page_by_page(panel, garden):
    crowd(garden, 30)
    pages = [panel.get(f"{LIST}people/", {"page": page}).json() for page in ("1", "2", "x")]
    assert [len(page["results"]) for page in pages] == [20, 12, 20]
    assert [page["pagination"]["more"] for page in pages] == [True, False, True]


def test_pages_take_as_many_queries_for_many_people(panel, alice, bob, kitchen, lobby):
    def pages():
        return [
            queries(lambda: panel.get(LIST)),
            queries(lambda: panel.get(ADD)),
            queries(lambda: panel.post(ADD, words())),
            queries(
                lambda: confirm(panel, previewed(panel, words(audience="room", room=kitchen.pk)))
            ),
        ]

    pages()
    few = pages()
    crowd(kitchen, 50)
    assert pages() == few


def test_to_many_people_it_takes_few_queries(panel, garden, charlie):
    crowd(garden, 20)
    people = list(garden.memberships.values_list("user", flat=True))

    def tell(keys):
        sent = previewed(panel, words(audience="people", speaker="me", people=keys))
        return queries(lambda: confirm(panel, sent))

    tell(people)  # their direct rooms are there now
    assert tell(people) - tell(people[:2]) == len(people) - 2  # to find each room
