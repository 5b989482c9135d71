"""The pages for browsers without JavaScript."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils.timezone import now
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from chat import conf, control, messaging, plain, rooms
from chat.messaging import Draft
from chat.models import Membership, Message, Room

ROOMS = "/plain/"


def address(room):
    return f"/plain/r/{room.pk}/"


def say(user, room, *bodies):
    return [o.message for o in messaging.post([Draft(user, room.pk, uuid4(), b) for b in bodies])]


def send(browser, room, body, key=None):
    return browser.post(address(room), {"id": key or uuid4(), "body": body})


def shown(response):
    """What the page says was said."""
    found = re.findall(r'<p class="body[^>]*>(.*?)</p>', response.content.decode(), re.S)
    return [body.strip() for body in found]


def read_seq(user, room):
    return Membership.objects.get(user=user, room=room).read_seq


# Reading


def test_a_browser_without_javascript_is_led_to_the_plain_pages(as_alice, kitchen):
    for path, plain_path in (
        ("/", ROOMS),
        (f"/r/{kitchen.pk}/", address(kitchen)),
        (f"/r/{kitchen.pk}/m/7/", f"{address(kitchen)}?around=7#m7"),
    ):
        lead = f'<noscript><meta http-equiv="refresh" content="0; url={plain_path}"></noscript>'
        assertContains(as_alice.get(path), lead)


def test_the_rooms_are_listed_with_what_is_unread(as_alice, bob, kitchen):
    say(bob, kitchen, "one", "two")
    page = as_alice.get(ROOMS)
    assertContains(page, address(kitchen))
    assertContains(page, "2 unread")


def test_a_direct_room_is_called_as_its_other_member(as_alice, alice, bob):
    rooms.open_direct(alice, bob)
    assertContains(as_alice.get(ROOMS), '<span class="name" dir="auto">bob</span>')


def test_what_was_read_is_unread_no_longer(as_alice, alice, bob, kitchen):
    say(bob, kitchen, "one", "two")
    page = as_alice.get(address(kitchen))
    assert shown(page) == ["one", "two"]
    assertContains(page, "New messages")
    assert read_seq(alice, kitchen) == 2
    assertNotContains(as_alice.get(address(kitchen)), ">New messages<")


def test_only_an_announcement_is_marked_as_one(as_alice, alice, kitchen):
    say(alice, kitchen, "Hello")
    messaging.proclaim(kitchen.pk, "Down at noon", alice)
    assertContains(as_alice.get(address(kitchen)), "Announcement", count=1)


def test_a_room_opens_where_the_unread_begin_and_nothing_is_skipped(as_alice, alice, bob, kitchen):
    say(alice, kitchen, "known")
    say(bob, kitchen, *map(str, range(2, 120)))
    page = as_alice.get(address(kitchen))
    assert shown(page)[:2] == ["known", "2"]
    assert read_seq(alice, kitchen) == plain.PAGE
    as_alice.get(address(kitchen), {"after": 110})
    assert read_seq(alice, kitchen) == plain.PAGE
    assertContains(page, f"?after={plain.PAGE}")
    page = as_alice.get(address(kitchen), {"after": plain.PAGE})
    assert read_seq(alice, kitchen) == 2 * plain.PAGE
    assertContains(page, f"?before={plain.PAGE + 1}#")


def test_what_was_marked_as_unread_is_read_once_more(as_alice, alice, bob, kitchen):
    say(bob, kitchen, "one", "two", "three")
    as_alice.get(address(kitchen))
    rooms.mark_unread(alice, kitchen.pk, 2)
    assertContains(as_alice.get(ROOMS), "2 unread")
    assertContains(as_alice.get(address(kitchen)), ">New messages<")
    assertNotContains(as_alice.get(ROOMS), "unread</span>")


@pytest.mark.parametrize("place", ["-1", "x", "9" * 18, "9" * 5000, "\u0663", ""])
def test_a_place_that_is_none_is_no_failure(as_alice, kitchen, place):
    for way in plain.PLACES:
        assert as_alice.get(address(kitchen), {way: place}).status_code == 200


def test_an_outsider_finds_nothing(as_charlie, bob, kitchen):
    for response in (as_charlie.get(address(kitchen)), send(as_charlie, kitchen, "Hello?")):
        assert response.status_code == 404
    assert not Message.objects.exists()
    assertNotContains(as_charlie.get(ROOMS), address(kitchen))


def test_a_stranger_logs_in_first(client, db, kitchen):
    for path in (ROOMS, address(kitchen)):
        assertRedirects(client.get(path), f"/login/?next={path}")


def test_whoever_is_banned_reads_nothing(as_alice, alice, bob, kitchen):
    say(bob, kitchen, "A secret")
    control.ban(alice, now() + timedelta(hours=1))
    as_alice.force_login(alice)
    page = as_alice.get(address(kitchen))
    assertNotContains(page, "A secret", status_code=403)


def test_nobody_keeps_a_copy(as_alice, kitchen):
    assert "no-store" in as_alice.get(address(kitchen))["Cache-Control"]


def test_words_are_words_and_addresses_are_links(as_alice, bob, kitchen):
    say(bob, kitchen, "<script>alert(1)</script> https://example.org/ javascript:alert(1)")
    [body] = shown(as_alice.get(address(kitchen)))
    assert "<script" not in body
    assert re.findall(r'href="(.*?)"', body) == ["https://example.org/"]


# Writing


def test_what_alice_sends_is_said_and_she_sees_it(as_alice, bob, kitchen):
    response = send(as_alice, kitchen, "first\r\nsecond")
    assertRedirects(response, f"{address(kitchen)}#newest")
    assert [m.body for m in Message.objects.all()] == ["first\nsecond"]


def test_sent_twice_is_said_once(as_alice, kitchen):
    key = uuid4()
    for _ in range(2):
        assert send(as_alice, kitchen, "Once.", key).status_code == 302
    assert Message.objects.count() == 1


def test_other_words_from_an_old_form_are_kept_and_get_a_new_id(as_alice, kitchen):
    key = uuid4()
    send(as_alice, kitchen, "First.", key)
    page = send(as_alice, kitchen, "Second.", key)
    assertContains(page, "Second.", status_code=409)
    fresh = re.search(r'name="id" value="(.*?)"', page.content.decode())[1]
    assert fresh != str(key)
    send(as_alice, kitchen, "Second.", fresh)
    assert Message.objects.count() == 2


def test_an_old_form_without_words_is_no_failure(as_alice, kitchen):
    key = uuid4()
    send(as_alice, kitchen, "First.", key)
    assert as_alice.post(address(kitchen), {"id": key}).status_code == 409


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("  ", "Write something first."),
        ("x" * (conf.BODY_CHARS + 1), "This is too long."),
        ("a\0b", "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_said_is_told_and_kept(as_alice, kitchen, body, why):
    key = uuid4()
    page = send(as_alice, kitchen, body, key)
    text = page.content.decode()
    assert why in text
    assert body.strip()[:100] in text
    assert str(key) in text
    assert not Message.objects.exists()


def test_slow_mode_is_told_with_how_long_it_takes(as_alice, bob, kitchen):
    Room.objects.filter(pk=kitchen.pk).update(slow_mode=60)
    Membership.objects.filter(room=kitchen).update(role=Membership.Role.MEMBER)
    send(as_alice, kitchen, "One.")
    page = send(as_alice, kitchen, "Two.")
    assertContains(page, "Try again in 60 seconds.", status_code=429)
    assertContains(page, "Two.", status_code=429)


def test_a_mute_is_told(as_alice, alice, kitchen):
    Membership.objects.filter(user=alice).update(muted_until=now() + timedelta(minutes=5))
    assertContains(send(as_alice, kitchen, "Hm."), "You are muted in this room.", status_code=403)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"archived": True}, "This room is archived"),
        ({"kind": Room.Kind.FEED}, "Only moderators"),
        ({"read_only": True}, "Only moderators"),
    ],
)
def test_where_nobody_may_write_there_is_no_form(as_alice, alice, kitchen, state, why):
    Membership.objects.filter(user=alice).update(role=Membership.Role.MEMBER)
    Room.objects.filter(pk=kitchen.pk).update(**state)
    page = as_alice.get(address(kitchen))
    assertContains(page, why)
    assertNotContains(page, "<textarea")


def test_a_form_from_elsewhere_says_nothing(alice, kitchen, client):
    client.handler.enforce_csrf_checks = True
    client.force_login(alice)
    assert send(client, kitchen, "Hello!").status_code == 403
    assert not Message.objects.exists()
