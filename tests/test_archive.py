"""What was missed and what was said long ago: replay from a cursor, and history around a place."""

import random
from threading import Event

import pytest
from django.db import transaction

from chat import archive, conf, messaging, rooms
from chat.archive import NEVER, Cursor, History
from chat.models import Message, Room
from tests.conversation import (
    Reader,
    at_once,
    bodies,
    draft,
    head,
    post,
    queries,
    read_on,
    revs,
    say,
    say_much,
    seqs,
    stored,
)

HUGE = 2**63 - 1


@pytest.mark.parametrize(
    ("missed", "pages"), [(0, [0]), (1, [1]), (4, [4]), (5, [5]), (6, [5, 1]), (15, [5, 5, 5])]
)
def test_everything_missed_comes_page_by_page(alice, kitchen, missed, pages):
    say(alice, kitchen, "seen")
    say_much(alice, kitchen, missed)
    replayed = read_on(kitchen, Cursor(1), size=5)
    assert [len(page.messages) for page in replayed] == pages
    assert [message.rev for page in replayed for message in page.messages] == list(
        range(2, missed + 2)
    )


def test_the_pages_of_a_replay_follow_on_each_other(alice, kitchen):
    say_much(alice, kitchen, 15)
    replayed = read_on(kitchen, size=5)
    assert [(page.after, page.upto) for page in replayed] == [(0, 5), (5, 10), (10, 15)]
    assert [page.complete for page in replayed] == [False, False, True]
    assert not any(page.reset for page in replayed)


def test_a_page_has_two_hundred_messages(alice, kitchen):
    say_much(alice, kitchen, 201)
    assert [len(page.messages) for page in read_on(kitchen)] == [200, 1]


def test_whoever_has_missed_nothing_gets_a_page_that_is_complete_and_empty(alice, kitchen):
    say_much(alice, kitchen, 3)
    [page] = archive.replay({kitchen.pk: Cursor(3)})
    assert (page.messages, page.after, page.upto) == ([], 3, 3)
    assert (page.complete, page.reset) == (True, False)


def test_a_room_in_which_nothing_was_said_is_complete_at_once(kitchen):
    [page] = archive.replay({kitchen.pk: Cursor(0)})
    assert (page.messages, page.after, page.upto, page.complete) == ([], 0, 0, True)


def test_a_replayed_message_is_in_its_latest_state(alice, kitchen):
    say(alice, kitchen, "one", "two", "three")
    messaging.edit(alice, kitchen.pk, 1, "uno")
    messaging.edit(alice, kitchen.pk, 1, "eins")
    messaging.delete(alice, kitchen.pk, 2)
    [page] = read_on(kitchen)
    assert [(m.seq, m.rev, m.body, m.deleted) for m in page.messages] == [
        (3, 3, "three", False),
        (1, 5, "eins", False),
        (2, 6, "", True),
    ]
    assert (page.after, page.upto) == (0, 6)


def test_superseded_revs_are_missing_but_leave_no_hole(alice, kitchen):
    say_much(alice, kitchen, 4)
    for body in "abc":
        messaging.edit(alice, kitchen.pk, 2, body)
    replayed = read_on(kitchen, size=2)
    assert [revs(page.messages) for page in replayed] == [[1, 3], [4, 7]]
    assert [(page.after, page.upto) for page in replayed] == [(0, 3), (3, 7)]


def test_a_full_page_of_a_room_with_superseded_revs_is_complete_at_the_head(alice, kitchen):
    say(alice, kitchen, "one", "two")
    messaging.edit(alice, kitchen.pk, 1, "uno")
    [page] = archive.replay({kitchen.pk: Cursor(0)}, size=2)
    assert (revs(page.messages), page.upto, page.complete) == ([2, 3], 3, True)


def test_edits_of_old_messages_are_replayed_to_whoever_was_away(alice, kitchen):
    say_much(alice, kitchen, 10)
    messaging.edit(alice, kitchen.pk, 2, "two, edited")
    messaging.delete(alice, kitchen.pk, 5)
    [page] = read_on(kitchen, Cursor(10))
    assert [(m.seq, m.body, m.deleted) for m in page.messages] == [
        (2, "two, edited", False),
        (5, "", True),
    ]


def test_a_replayed_message_tells_the_name_of_its_sender(alice, bob, kitchen):
    say(bob, kitchen, "Hello")
    [page] = read_on(kitchen)
    assert page.messages[0].sender_name == "bob"


def test_many_rooms_are_replayed_in_one_call(alice, kitchen, lobby):
    say(alice, kitchen, "one", "two")
    say(alice, lobby, "three")
    pages = archive.replay({kitchen.pk: Cursor(1), lobby.pk: Cursor(0)})
    assert [(page.room_id, bodies(page.messages)) for page in pages] == [
        (kitchen.pk, ["two"]),
        (lobby.pk, ["three"]),
    ]
    assert all(page.complete for page in pages)


def test_a_call_takes_as_many_rooms_as_fit_into_a_page(alice, kitchen, lobby):
    news = rooms.create(alice, "News")
    for room, count in ((kitchen, 2), (lobby, 3), (news, 1)):
        say_much(alice, room, count)
    cursors = {room.pk: Cursor(0) for room in (kitchen, lobby, news)}
    pages = archive.replay(cursors, size=5)
    assert [(page.room_id, len(page.messages)) for page in pages] == [
        (kitchen.pk, 2),
        (lobby.pk, 3),
    ]
    assert all(page.complete for page in pages)


def test_rooms_without_news_come_along_for_nothing(alice, kitchen, lobby):
    say_much(alice, kitchen, 5)
    pages = archive.replay({kitchen.pk: Cursor(0), lobby.pk: Cursor(0)}, size=5)
    assert [len(page.messages) for page in pages] == [5, 0]


def test_a_room_too_large_for_a_page_does_not_stop_the_ones_before_it(alice, kitchen, lobby):
    say_much(alice, kitchen, 1)
    say_much(alice, lobby, 9)
    cursors = {kitchen.pk: Cursor(0), lobby.pk: Cursor(0)}
    [page] = archive.replay(cursors, size=5)
    assert page.room_id == kitchen.pk
    del cursors[kitchen.pk]
    [page] = archive.replay(cursors, size=5)
    assert (page.room_id, len(page.messages), page.complete) == (lobby.pk, 5, False)


def test_three_hundred_rooms_are_replayed_in_order(alice):
    ids = [rooms.create(alice, f"Room {n}").pk for n in range(300)]
    messaging.post([draft(alice, Room(id=room_id)) for room_id in ids])
    pages = archive.replay(dict.fromkeys(ids, Cursor(0)))
    assert [page.room_id for page in pages] == ids[: conf.PAGE]
    assert all(page.complete and len(page.messages) == 1 for page in pages)


def test_a_room_that_is_gone_is_left_out(alice, kitchen):
    say(alice, kitchen, "Hello")
    [page] = archive.replay({"nowhere": Cursor(0), kitchen.pk: Cursor(0)})
    assert page.room_id == kitchen.pk


# Replay while others write


@pytest.mark.django_db(transaction=True)
def test_whoever_reads_while_others_write_misses_nothing(alice, bob, kitchen):
    ended = Event()

    def write():
        for number in range(1, 41):
            post(draft(alice, kitchen, str(number)))
            if number % 4 == 0:
                messaging.edit(alice, kitchen.pk, number // 2, f"edited by {number}")
        ended.set()

    def read():
        reader = Reader(kitchen)
        while not ended.is_set():
            reader.read_a_page(size=3)
        reader.read_all(size=3)
        return reader

    _, reader = at_once(write, read)
    assert reader.bodies == bodies(stored(kitchen))


@pytest.mark.django_db(transaction=True)
def test_whoever_reads_while_a_writer_lingers_and_another_waits_misses_nothing(alice, bob, kitchen):
    reader = Reader(kitchen)
    for _ in range(10):
        post_after_each_other(alice, bob, kitchen, meanwhile=lambda: reader.read_all(size=1))
        reader.read_all(size=1)
        assert reader.bodies == bodies(stored(kitchen))


def post_after_each_other(first, second, room, meanwhile):
    """The first has posted, but its transaction is open; the second waits for it."""
    posted, over = Event(), Event()

    def post_and_linger():
        with transaction.atomic():
            post(draft(first, room, "first"))
            posted.set()
            assert over.wait(5)

    def post_too():
        assert posted.wait(5)
        post(draft(second, room, "second"))

    def do_something_meanwhile():
        assert posted.wait(5)
        meanwhile()
        over.set()

    at_once(post_and_linger, post_too, do_something_meanwhile)


def once_the_heads_are_read(monkeypatch, write):
    """Have something written after a replay has read the heads and before it reads the rows."""
    really_read_rows = archive._missed

    def write_then_read_rows(*args):
        monkeypatch.setattr(archive, "_missed", really_read_rows)
        write()
        return really_read_rows(*args)

    monkeypatch.setattr(archive, "_missed", write_then_read_rows)


def test_an_edit_between_head_and_rows_comes_with_the_next_page(alice, kitchen, monkeypatch):
    say(alice, kitchen, "one", "two", "three")
    once_the_heads_are_read(
        monkeypatch, lambda: messaging.edit(alice, kitchen.pk, 2, "two, edited")
    )
    reader = Reader(kitchen)
    page = reader.read_a_page()
    assert (seqs(page.messages), page.upto, page.complete) == ([1, 3], 3, True)
    page = reader.read_a_page()
    assert (seqs(page.messages), page.after, page.upto) == ([2], 3, 4)
    assert reader.bodies == ["one", "two, edited", "three"]


def test_an_edit_of_the_last_message_between_head_and_rows_is_not_lost(alice, kitchen, monkeypatch):
    say_much(alice, kitchen, 3)
    once_the_heads_are_read(monkeypatch, lambda: messaging.edit(alice, kitchen.pk, 3, "edited"))
    reader = Reader(kitchen)
    page = reader.read_a_page(size=3)
    assert (seqs(page.messages), page.upto, page.complete) == ([1, 2], 3, True)
    reader.read_all()
    assert reader.bodies == ["1", "2", "edited"]


def test_a_post_between_head_and_rows_comes_with_the_next_page(alice, kitchen, monkeypatch):
    say_much(alice, kitchen, 3)
    once_the_heads_are_read(monkeypatch, lambda: say(alice, kitchen, "late"))
    reader = Reader(kitchen)
    assert reader.read_a_page().upto == 3
    reader.read_all()
    assert reader.bodies == ["1", "2", "3", "late"]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_meanwhile_every_reader_ends_with_the_latest_state(
    alice, bob, kitchen, monkeypatch, seed
):
    dice = random.Random(seed)

    def somebody_writes():
        for _ in range(dice.randrange(4)):
            sender = dice.choice([alice, bob])
            mine = [m.seq for m in stored(kitchen) if m.sender_id == sender.pk and not m.deleted]
            match dice.choice(["post", "post", "edit", "delete"]), mine:
                case "edit", [_, *_]:
                    messaging.edit(sender, kitchen.pk, dice.choice(mine), str(dice.random()))
                case "delete", [_, *_]:
                    messaging.delete(sender, kitchen.pk, dice.choice(mine))
                case _:
                    say(sender, kitchen, *map(str, range(dice.randint(1, 4))))

    readers = [Reader(kitchen) for _ in range(3)]
    for _ in range(15):
        somebody_writes()
        once_the_heads_are_read(monkeypatch, somebody_writes)
        dice.choice(readers).read_a_page(size=dice.randint(1, 6))
    for reader in readers:
        reader.read_all(size=dice.randint(1, 6))
        assert reader.bodies == bodies(stored(kitchen))
        assert reader.cursor.rev == head(kitchen)


# Reset: the one answer to "too far behind"


def test_up_to_the_limit_everything_missed_comes(alice, kitchen):
    say_much(alice, kitchen, 5)
    [page] = read_on(kitchen, Cursor(2, limit=3))
    assert (seqs(page.messages), page.reset) == ([3, 4, 5], False)


def test_beyond_the_limit_only_the_newest_come_after_a_reset(alice, kitchen):
    say_much(alice, kitchen, 10)
    [page] = read_on(kitchen, Cursor(2, limit=3))
    assert (page.reset, page.after, page.upto) == (True, 0, 10)
    assert seqs(page.messages) == [8, 9, 10]


def test_the_newest_are_the_newest_by_place(alice, kitchen):
    say_much(alice, kitchen, 10)
    messaging.edit(alice, kitchen.pk, 1, "edited")
    messaging.edit(alice, kitchen.pk, 8, "edited")
    [page] = read_on(kitchen, Cursor(0, limit=3))
    assert (seqs(page.messages), page.reset) == ([9, 10, 8], True)


def test_many_edits_of_one_message_are_one_message_missed(alice, kitchen):
    say_much(alice, kitchen, 5)
    for body in "abcdef":
        messaging.edit(alice, kitchen.pk, 1, body)
    [page] = read_on(kitchen, Cursor(5, limit=2))
    assert (seqs(page.messages), page.reset) == ([1], False)


def test_a_limit_larger_than_a_page_takes_several(alice, kitchen):
    say_much(alice, kitchen, 10)
    replayed = read_on(kitchen, Cursor(0, limit=7), size=3)
    assert [seqs(page.messages) for page in replayed] == [[4, 5, 6], [7, 8, 9], [10]]
    assert [page.reset for page in replayed] == [True, False, False]
    assert [(page.after, page.upto) for page in replayed] == [(0, 6), (6, 9), (9, 10)]


def test_a_limit_is_asked_once_and_not_at_every_page(alice, kitchen):
    say_much(alice, kitchen, 6)
    [first] = archive.replay({kitchen.pk: Cursor(0, limit=6)}, size=3)
    say_much(alice, kitchen, 10)
    assert not any(page.reset for page in read_on(kitchen, first.next))


@pytest.mark.parametrize("limit", [0, HUGE])
def test_any_limit_ends_at_the_head(alice, kitchen, limit):
    say_much(alice, kitchen, 3)
    [page] = read_on(kitchen, Cursor(0, limit=limit))
    assert (len(page.messages), page.upto, page.complete) == (min(limit, 3), 3, True)


@pytest.mark.parametrize("rev", [4, HUGE - 1, NEVER])
def test_a_cursor_that_is_not_of_this_database_is_reset(alice, kitchen, rev):
    say_much(alice, kitchen, 3)
    [page] = read_on(kitchen, Cursor(rev))
    assert (page.reset, page.after, page.upto) == (True, 0, 3)
    assert seqs(page.messages) == [1, 2, 3]


def test_a_foreign_cursor_gets_the_newest_page_unless_it_names_a_limit(alice, kitchen):
    say_much(alice, kitchen, conf.PAGE + 1)
    [page] = read_on(kitchen, Cursor(NEVER))
    assert (page.messages[0].seq, len(page.messages)) == (2, conf.PAGE)
    [page] = read_on(kitchen, Cursor(NEVER, limit=2))
    assert seqs(page.messages) == [conf.PAGE, conf.PAGE + 1]


def test_a_foreign_cursor_in_an_empty_room_is_reset_to_nothing(kitchen):
    [page] = read_on(kitchen, Cursor(NEVER))
    assert (page.messages, page.reset) == ([], True)
    assert (page.after, page.upto, page.complete) == (0, 0, True)


def purge(room, below):
    """As retention does it: the messages before this place are gone."""
    gone = Message.objects.filter(room=room, seq__lt=below)
    Room.objects.filter(pk=room.pk).update(
        first_seq=below, first_rev=max(gone.values_list("rev", flat=True)) + 1
    )
    gone.delete()


def test_a_cursor_below_what_retention_kept_is_reset_with_all_that_is_kept(alice, kitchen):
    say_much(alice, kitchen, 10)
    purge(kitchen, below=5)
    [page] = read_on(kitchen, Cursor(3))
    assert (page.reset, page.after, page.upto) == (True, 0, 10)
    assert seqs(page.messages) == [5, 6, 7, 8, 9, 10]


def test_a_cursor_that_has_all_that_retention_removed_goes_on(alice, kitchen):
    say_much(alice, kitchen, 10)
    purge(kitchen, below=5)
    [page] = read_on(kitchen, Cursor(4))
    assert (page.reset, page.after) == (False, 4)
    assert seqs(page.messages) == [5, 6, 7, 8, 9, 10]


def test_a_room_of_which_nothing_is_kept_is_reset_to_nothing(alice, kitchen):
    say_much(alice, kitchen, 3)
    purge(kitchen, below=4)
    [page] = read_on(kitchen, Cursor(0))
    assert (page.messages, page.reset, page.upto, page.complete) == ([], True, 3, True)


def test_a_post_while_the_newest_are_looked_for_is_not_lost(alice, kitchen, monkeypatch):
    say_much(alice, kitchen, 5)
    once_the_heads_are_read(monkeypatch, lambda: messaging.edit(alice, kitchen.pk, 4, "edited"))
    reader = Reader(kitchen)
    reader.cursor = Cursor(0, limit=2)
    reader.read_a_page()
    reader.read_all()
    assert reader.bodies == ["edited", "5"]


def test_an_old_message_edited_while_the_newest_come_is_not_lost(alice, kitchen):
    """Its reader may have looked it up in the history meanwhile."""
    say_much(alice, kitchen, 10)
    [first] = archive.replay({kitchen.pk: Cursor(0, limit=6)}, size=3)
    messaging.edit(alice, kitchen.pk, 1, "edited")
    rest = [message for page in read_on(kitchen, first.next, size=3) for message in page.messages]
    assert [(m.seq, m.rev) for m in rest] == [(8, 8), (9, 9), (10, 10), (1, 11)]


def test_old_messages_edited_since_a_reset_leave_no_hole_in_other_rooms(alice, kitchen, lobby):
    say_much(alice, kitchen, 10)
    [newest] = archive.replay({kitchen.pk: Cursor(0, limit=1)})
    for seq in (1, 2, 3, 4):
        messaging.edit(alice, kitchen.pk, seq, "edited")
    say_much(alice, lobby, 3)
    [page] = archive.replay({kitchen.pk: newest.next, lobby.pk: Cursor(0)}, size=5)
    assert (seqs(page.messages), page.upto, page.complete) == ([1, 2, 3, 4], 14, True)


def test_what_comes_while_the_newest_are_looked_for_leaves_no_hole_in_other_rooms(
    alice, kitchen, lobby, monkeypatch
):
    news = rooms.create(alice, "News")
    for room in (kitchen, lobby, news):
        say_much(alice, room, 3)
    really_look = archive._newest

    def write_then_look(*args):
        messaging.edit(alice, kitchen.pk, 1, "edited")
        say(alice, kitchen, "late")
        return really_look(*args)

    monkeypatch.setattr(archive, "_newest", write_then_look)
    cursors = {kitchen.pk: Cursor(0, limit=0), lobby.pk: Cursor(0), news.pk: Cursor(0)}
    for page in archive.replay(cursors, size=5):
        assert page.room_id == kitchen.pk or len(page.messages) == page.upto


# Looking back


@pytest.fixture
def ten(alice, kitchen):
    """A kitchen in which ten things were said."""
    say_much(alice, kitchen, 10)
    return kitchen


@pytest.mark.parametrize(
    ("place", "found", "more_before", "more_after"),
    [
        ({}, [8, 9, 10], True, False),
        ({"before": 11}, [8, 9, 10], True, False),
        ({"before": 10}, [7, 8, 9], True, True),
        ({"before": 4}, [1, 2, 3], False, True),
        ({"before": 3}, [1, 2], False, True),
        ({"before": 1}, [], False, True),
        ({"before": 0}, [], False, True),
        ({"before": HUGE}, [8, 9, 10], True, False),
        ({"after": 0}, [1, 2, 3], False, True),
        ({"after": 1}, [2, 3, 4], True, True),
        ({"after": 7}, [8, 9, 10], True, False),
        ({"after": 8}, [9, 10], True, False),
        ({"after": 10}, [], True, False),
        ({"after": HUGE}, [], True, False),
        ({"around": 0}, [1, 2], False, True),
        ({"around": 1}, [1, 2], False, True),
        ({"around": 5}, [4, 5, 6], True, True),
        ({"around": 9}, [8, 9, 10], True, False),
        ({"around": 10}, [9, 10], True, False),
        ({"around": HUGE}, [10], True, False),
    ],
    ids=str,
)
def test_history_shows_a_piece_and_whether_there_is_more(
    bob, ten, place, found, more_before, more_after
):
    history = archive.history(bob.pk, ten.pk, **place, limit=3)
    assert seqs(history.messages) == found
    assert (history.more_before, history.more_after) == (more_before, more_after)


@pytest.mark.parametrize("place", ["before", "after", "around"])
def test_an_empty_room_has_an_empty_history(bob, kitchen, place):
    nothing = History([], more_before=False, more_after=False)
    for seq in (0, 1, 2, HUGE):
        for limit in (1, 2, 200, HUGE):
            assert archive.history(bob.pk, kitchen.pk, **{place: seq}, limit=limit) == nothing


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 10])
def test_around_a_place_is_always_the_place_itself(bob, ten, limit):
    for seq in range(1, 11):
        found = seqs(archive.history(bob.pk, ten.pk, around=seq, limit=limit).messages)
        assert seq in found
        assert len(found) <= limit


def test_history_is_never_longer_than_a_page(alice, kitchen):
    say_much(alice, kitchen, conf.PAGE + 1)
    assert len(archive.history(alice.pk, kitchen.pk, limit=HUGE).messages) == conf.PAGE


def test_history_goes_back_piece_by_piece_to_the_beginning(bob, ten):
    found, before, more = [], 11, True
    while more:
        history = archive.history(bob.pk, ten.pk, before=before, limit=4)
        found = [*seqs(history.messages), *found]
        before, more = found[0], history.more_before
    assert found == list(range(1, 11))


def test_history_shows_messages_in_their_places_however_late_they_were_edited(alice, ten):
    messaging.edit(alice, ten.pk, 2, "edited")
    history = archive.history(alice.pk, ten.pk, limit=10)
    assert seqs(history.messages) == list(range(1, 11))
    assert history.messages[1].body == "edited"


def test_history_begins_where_retention_has_left_something(bob, ten):
    purge(ten, below=5)
    history = archive.history(bob.pk, ten.pk, before=7, limit=10)
    assert seqs(history.messages) == [5, 6]
    assert not history.more_before


def test_a_newcomer_may_look_back(alice, charlie, kitchen):
    say(alice, kitchen, "before your time")
    rooms.invite(alice, kitchen.pk, charlie)
    assert bodies(archive.history(charlie.pk, kitchen.pk).messages) == ["before your time"]


# It costs the same in a large room


def test_a_replay_takes_two_queries_in_a_small_and_in_a_large_room(alice, kitchen, station):
    say(alice, kitchen, "Hello")
    cursors = {kitchen.pk: Cursor(0), station.pk: Cursor(200)}
    assert queries(lambda: archive.replay({kitchen.pk: Cursor(0)})) == 2
    assert queries(lambda: archive.replay({station.pk: Cursor(0)})) == 2
    assert queries(lambda: archive.replay(cursors)) == 2


def test_a_reset_takes_at_most_two_queries_more(alice, station):
    assert queries(lambda: archive.replay({station.pk: Cursor(0, limit=5)})) == 4


def test_history_takes_two_queries_in_a_small_and_in_a_large_room(alice, kitchen, station):
    say(alice, kitchen, "Hello")
    for room in (kitchen, station):
        assert queries(lambda room=room: archive.history(alice.pk, room.pk)) == 2
