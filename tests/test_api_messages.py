"""Messages over HTTP: what was said, and saying something, once however often one asks."""

import uuid
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from chat import conf, frames, messaging, rooms, users
from chat.models import Membership, Message, Room
from tests.callers import Caller, messages, refusal
from tests.conftest import token
from tests.conversation import at_once, bodies, crowd, queries, say, say_much, seat_of, stored


@pytest.fixture
def as_alice(alice):
    return Caller(token(alice))


@pytest.fixture
def as_bob(bob):
    return Caller(token(bob))


def seqs(history):
    return [message["seq"] for message in history["messages"]]


# What was said


def test_the_newest_messages_come_in_the_order_of_their_places(as_bob, alice, kitchen):
    say(alice, kitchen, "one", "two")
    history = as_bob.history(kitchen)
    assert (history["type"], history["room"]) == ("history", kitchen.pk)
    assert [m["body"] for m in history["messages"]] == ["one", "two"]
    assert (history["more_before"], history["more_after"]) == (False, False)


def test_a_message_is_what_a_connection_is_shown(as_bob, alice, kitchen):
    [posted] = say(alice, kitchen, "Hello")
    [message] = as_bob.history(kitchen)["messages"]
    assert message == {
        "type": "message",
        "room": kitchen.pk,
        "seq": 1,
        "rev": 1,
        "id": str(posted.client_id),
        "sender": "alice",
        "at": frames.timestamp(posted.created_at),
        "body": "Hello",
    }


def test_what_was_edited_or_deleted_says_so(as_bob, alice, kitchen):
    say(alice, kitchen, "one", "two")
    messaging.edit(alice, kitchen.pk, 1, "changed")
    messaging.delete(alice, kitchen.pk, 2)
    edited, deleted = as_bob.history(kitchen)["messages"]
    assert (edited["body"], "edited_at" in edited, edited["rev"]) == ("changed", True, 3)
    assert (deleted.get("body"), deleted["deleted"], deleted["rev"]) == (None, True, 4)


@pytest.mark.parametrize(
    ("query", "expected", "before", "after"),
    [
        ("limit=3", [8, 9, 10], True, False),
        ("before=4", [1, 2, 3], False, True),
        ("before=4&limit=2", [2, 3], True, True),
        ("before=1", [], False, True),
        ("before=0", [], False, True),
        ("after=8", [9, 10], True, False),
        ("after=0&limit=2", [1, 2], False, True),
        ("after=10", [], True, False),
        ("around=5&limit=3", [4, 5, 6], True, True),
        ("around=10&limit=2", [9, 10], True, False),
        ("before=9223372036854775807&limit=1", [10], True, False),
        ("after=9223372036854775807", [], True, False),
        ("around=9223372036854775807&limit=2", [10], True, False),
        ("limit=1000000000", [*range(1, 11)], False, False),
        ("limit=9223372036854775807", [*range(1, 11)], False, False),
        ("nonsense=1&limit=1&limit=2", [9, 10], True, False),
    ],
)
def test_pages_of_a_room_with_ten_messages(as_bob, alice, kitchen, query, expected, before, after):
    say_much(alice, kitchen, 10)
    history = as_bob.history(kitchen, query)
    assert seqs(history) == expected
    assert (history["more_before"], history["more_after"]) == (before, after)


@pytest.mark.parametrize(
    "query",
    [
        *(f"{name}={value}" for name in ("before", "after", "around") for value in (-1, 2**63)),
        "limit=0",
        "limit=-1",
        "limit=9223372036854775808",
        "limit=" + "9" * 5_000,
        "limit=",
        "limit=ten",
        "limit=1.5",
        "limit=true",
        "limit=null",
        "before=",
        "before=first",
        "before=NaN",
        "before=1e3",
        "before=0x10",
        "before=%00",
        "before=%ff",
        "before[]=1&before[x]=1&before=[1]",
        "before=1 OR 1=1",
        "before=1&after=2",
        "before=0&after=0",
        "before=1&after=1&around=1",
    ],
)
def test_a_page_that_cannot_be_is_refused(as_bob, alice, kitchen, query):
    say_much(alice, kitchen, 3)
    response = as_bob.ask("GET", f"{messages(kitchen)}?{query}")
    assert refusal(response) == (400, "bad_frame")


def test_a_page_has_at_most_two_hundred_messages(as_alice, station):
    history = as_alice.history(station, "limit=1000000000&after=0")
    assert seqs(history) == [*range(1, 201)]
    assert history["more_after"]


def test_from_page_to_page_one_reads_everything_once(as_alice, station):
    read, after = [], 0
    for _ in range(10):
        history = as_alice.history(station, f"after={after}&limit=70")
        read += seqs(history)
        after = read[-1]
        if not history["more_after"]:
            break
    assert read == [*range(1, 301)]


def test_a_page_of_deleted_messages_leads_on(as_bob, alice, kitchen):
    say_much(alice, kitchen, 9)
    for seq in (4, 5, 6):
        messaging.delete(alice, kitchen.pk, seq)
    history = as_bob.history(kitchen, "before=7&limit=3")
    assert seqs(history) == [4, 5, 6]
    assert all(message["deleted"] for message in history["messages"])
    assert seqs(as_bob.history(kitchen, "before=4")) == [1, 2, 3]


@pytest.mark.parametrize("query", ["", "after=0", "around=100"])
def test_of_long_messages_fewer_come_and_none_is_left_out(as_bob, alice, kitchen, query):
    for _ in range(4):
        say(alice, kitchen, *["\N{GRINNING FACE}" * conf.BODY_CHARS] * 50)
    response = as_bob.ask("GET", f"{messages(kitchen)}?{query}")
    assert len(response.content) <= conf.PAYLOAD_BYTES
    history = response.json()
    first, last = seqs(history)[0], seqs(history)[-1]
    assert seqs(history) == [*range(first, last + 1)]
    assert history["more_before"] == (first > 1)
    assert history["more_after"] == (last < 200)


def test_what_retention_has_purged_is_told_to_be_gone(as_bob, alice, kitchen):
    say_much(alice, kitchen, 10)
    Message.objects.filter(room=kitchen, seq__lt=6).delete()
    Room.objects.filter(pk=kitchen.pk).update(first_seq=6, first_rev=6)
    history = as_bob.history(kitchen, "before=8")
    assert seqs(history) == [6, 7]
    assert not history["more_before"]


def test_reading_moves_nobody_on(as_bob, alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    as_bob.history(kitchen)
    assert (seat_of(bob, kitchen).read_seq, seat_of(bob, kitchen).delivered_rev) == (0, 0)


def test_a_page_takes_as_many_queries_in_a_full_room(as_bob, alice, kitchen):
    say_much(alice, kitchen, 1)
    few = queries(lambda: as_bob.history(kitchen))
    crowd(kitchen, 300)
    say_much(alice, kitchen, 300)
    for query in ("", "before=250", "after=3", "around=100", "limit=1"):
        assert queries(lambda query=query: as_bob.history(kitchen, query)) == few
    assert few <= 5


# Saying something


def test_what_alice_says_is_stored_and_answered_by_its_numbers(as_alice, kitchen):
    say(users.named("bob"), kitchen, "First")
    id = uuid4()
    response = as_alice.say(kitchen, "Hello", id)
    assert response.status_code == 201
    [_, message] = stored(kitchen)
    assert (message.body, message.client_id, message.sender.username) == ("Hello", id, "alice")
    answer = response.json()
    assert answer == {
        "type": "posted",
        "id": str(id),
        "room": kitchen.pk,
        "seq": 2,
        "rev": 2,
        "at": frames.timestamp(message.created_at),
    }


def test_a_repeat_is_answered_by_the_same_numbers_and_stored_once(as_alice, kitchen):
    id = uuid4()
    first, again = as_alice.say(kitchen, "Hello", id), as_alice.say(kitchen, "Hello", id)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert bodies(stored(kitchen)) == ["Hello"]


def test_a_repeat_is_recognised_whatever_has_happened_since(as_bob, alice, bob, kitchen):
    id = uuid4()
    first = as_bob.say(kitchen, "Hello", id).json()
    messaging.edit(bob, kitchen.pk, 1, "Goodbye")
    messaging.delete(alice, kitchen.pk, 1)
    rooms.remove(alice, kitchen.pk, bob)
    response = as_bob.say(kitchen, "Hello", id)
    assert (response.status_code, response.json()) == (200, first)


@pytest.mark.parametrize("spelling", [str.upper, lambda id: id.replace("-", "")])
def test_an_id_is_the_same_however_it_is_spelt(as_alice, kitchen, spelling):
    id = str(uuid4())
    as_alice.say(kitchen, "Hello", id)
    response = as_alice.say(kitchen, "Hello", spelling(id))
    assert (response.status_code, response.json()["id"]) == (200, id)


def test_the_same_id_for_something_else_is_a_conflict(as_alice, alice, kitchen):
    elsewhere = rooms.create(alice, "Garden")
    id = uuid4()
    as_alice.say(kitchen, "Hello", id)
    assert refusal(as_alice.say(kitchen, "Goodbye", id)) == (409, "id_conflict")
    assert refusal(as_alice.say(elsewhere, "Hello", id)) == (409, "id_conflict")
    assert bodies(Message.objects.all()) == ["Hello"]


def test_what_was_posted_over_a_connection_is_recognised(as_alice, alice, kitchen):
    [message] = say(alice, kitchen, "Hello")
    response = as_alice.say(kitchen, "Hello", message.client_id)
    assert (response.status_code, response.json()["seq"]) == (200, 1)


def test_saying_something_marks_the_room_read(as_bob, alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    as_bob.say(kitchen, "Hello")
    assert seat_of(bob, kitchen).read_seq == 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "empty"),
        (" \n\t\N{NO-BREAK SPACE}", "empty"),
        ("x" * (conf.BODY_CHARS + 1), "too_long"),
        ("a\0b", "invalid_text"),
        ("\ud800", "invalid_text"),
        ("\udc00\ud800", "invalid_text"),
    ],
)
def test_what_cannot_be_said_is_refused(as_alice, kitchen, body, code):
    assert refusal(as_alice.say(kitchen, body)) == (400, code)
    assert stored(kitchen) == []


@pytest.mark.parametrize(
    "body",
    [
        "x" * conf.BODY_CHARS,
        "\N{GRINNING FACE}" * conf.BODY_CHARS,
        "a\u202eb\u200b",
        "e" + "\N{COMBINING ACUTE ACCENT}" * 3_000,
        "<img src=x onerror=alert(1)>",
        "\\u0000",
        "\r\n \u2028 \ufeff \x7f \x1b[31m",
    ],
)
def test_other_text_comes_back_as_it_was_said(as_alice, kitchen, body):
    assert as_alice.say(kitchen, body).status_code == 201
    [message] = as_alice.history(kitchen)["messages"]
    assert message["body"] == body


GOOD = {"id": "29346786-8239-4dc0-998a-4a0ba54ef949", "body": "Hello"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": GOOD["id"]},
        {"body": "Hello"},
        *({**GOOD, "id": id} for id in (None, 1, True, 1.0, "", "1", "x" * 32, [GOOD["id"]], {})),
        *({**GOOD, "body": body} for body in (None, 1, True, 1.0, ["Hello"], {"text": "Hello"})),
    ],
)
def test_fields_have_their_types(as_alice, kitchen, body):
    assert refusal(as_alice.ask("POST", messages(kitchen), body)) == (400, "bad_frame")
    assert stored(kitchen) == []


def test_nobody_says_who_they_are_or_where_their_message_belongs(as_bob, alice, kitchen, lobby):
    forged = {"sender": "alice", "sender_id": alice.pk, "room": lobby.pk, "seq": 99, "rev": 99}
    forged |= {"at": "1999-01-01T00:00:00Z", "created_at": "1999-01-01", "type": "delete"}
    forged |= {"deleted": True, "edited_at": "1999-01-01", "is_admin": True, "born": 7, "to": "x"}
    answer = as_bob.post(messages(kitchen), {**GOOD, **forged})
    [message] = Message.objects.all()
    assert (answer["room"], answer["seq"], answer["rev"]) == (kitchen.pk, 1, 1)
    assert (message.room_id, message.sender.username) == (kitchen.pk, "bob")
    assert (message.seq, message.rev, message.born, message.deleted) == (1, 1, 1, False)
    assert timezone.now() - message.created_at < timedelta(minutes=5)


def test_nothing_is_said_in_an_archived_room(as_bob, alice, kitchen):
    rooms.archive(alice, kitchen.pk, True)
    assert refusal(as_bob.say(kitchen, "Hello")) == (403, "forbidden")


def test_a_member_says_nothing_in_a_room_that_is_read_only(as_alice, as_bob, kitchen):
    Room.objects.filter(pk=kitchen.pk).update(read_only=True)
    assert refusal(as_bob.say(kitchen, "Hello")) == (403, "forbidden")
    assert as_alice.say(kitchen, "Hello").status_code == 201


def test_who_is_muted_is_told_for_how_long(as_bob, bob, kitchen):
    until = timezone.now() + timedelta(minutes=1)
    Membership.objects.filter(room=kitchen, user=bob).update(muted_until=until)
    response = as_bob.say(kitchen, "Hello")
    assert refusal(response) == (403, "muted")
    assert 50_000 < response.json()["retry_after_ms"] <= 60_000
    assert 50 <= int(response["Retry-After"]) <= 60


def test_an_address_may_hold_any_room_id(as_alice, lobby):
    Room.objects.create(id="-_AZaz09-_AZaz09", kind="group", name="Odd")
    rooms.place(users.named("alice"), "-_AZaz09-_AZaz09")
    assert as_alice.say("-_AZaz09-_AZaz09", "Hello").status_code == 201


# How much


def test_who_posts_too_fast_has_to_wait(as_alice, kitchen, settings):
    settings.CHAT_POST_RATE = 1
    answers = [as_alice.say(kitchen, str(n)) for n in range(12)]
    stored_ones = [answer for answer in answers if answer.status_code == 201]
    limited = [answer for answer in answers if answer.status_code != 201]
    assert len(stored_ones) >= conf.BURST_SECONDS
    assert limited
    for answer in limited:
        assert refusal(answer) == (429, "rate_limited")
        assert 1 <= int(answer["Retry-After"]) <= 2
        assert 0 < answer.json()["retry_after_ms"] <= 1_001
    assert len(stored(kitchen)) == len(stored_ones)


def test_a_repeat_passes_when_nothing_new_does(as_alice, kitchen, settings):
    settings.CHAT_POST_RATE = 0.01  # bursts of one
    id = uuid4()
    assert as_alice.say(kitchen, "Hello", id).status_code == 201
    for _ in range(3):
        assert refusal(as_alice.say(kitchen, "More")) == (429, "rate_limited")
        assert as_alice.say(kitchen, "Hello", id).status_code == 200
        assert refusal(as_alice.say(kitchen, "Other", id)) == (409, "id_conflict")


def test_one_persons_haste_holds_up_nobody_else(as_alice, as_bob, kitchen, settings):
    settings.CHAT_POST_RATE = 0.01
    as_alice.say(kitchen, "Hello")
    assert refusal(as_alice.say(kitchen, "Hello")) == (429, "rate_limited")
    assert as_bob.say(kitchen, "Hello").status_code == 201


def test_several_tokens_of_one_person_share_a_rate(alice, kitchen, settings):
    settings.CHAT_POST_RATE = 0.01
    assert Caller(token(alice)).say(kitchen, "Hello").status_code == 201
    assert refusal(Caller(token(alice)).say(kitchen, "Hello")) == (429, "rate_limited")


# At the same moment


@pytest.mark.django_db(transaction=True)
def test_the_same_post_from_many_at_once_is_stored_once(tokens, kitchen):
    body = {"id": str(uuid.uuid4()), "body": "Hello"}

    def ask():
        return Caller(tokens["alice"]).ask("POST", messages(kitchen), body)

    answers = at_once(*[ask] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert bodies(stored(kitchen)) == ["Hello"]
