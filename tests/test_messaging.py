"""What is said: posting, editing and deleting it, and how far everybody got."""

import random
import time
from datetime import timedelta
from functools import partial
from threading import Event
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from chat import archive, control, messaging, rooms
from chat.archive import Cursor
from chat.errors import (
    Empty,
    Forbidden,
    IdConflict,
    InvalidText,
    Muted,
    NotFound,
    RateLimited,
    TooLong,
)
from chat.messaging import Posted, RoomBusy
from chat.models import Membership, Message, Room
from tests.conversation import (
    at_once,
    bodies,
    crowd,
    draft,
    head,
    post,
    promote,
    queries,
    read_on,
    revs,
    say,
    say_much,
    seat_of,
    seqs,
    stored,
)

HUGE = 2**63 - 1


# Numbers


def test_seqs_and_revs_count_up_from_one(alice, bob, kitchen):
    say(alice, kitchen, "one", "two")
    say(bob, kitchen, "three")
    assert seqs(stored(kitchen)) == revs(stored(kitchen)) == [1, 2, 3]


def test_each_room_counts_for_itself(alice, kitchen, lobby):
    say(alice, kitchen, "one", "two")
    [message] = say(alice, lobby, "one")
    assert (message.seq, message.rev) == (1, 1)


def test_a_batch_keeps_its_order_in_each_of_its_rooms(alice, bob, kitchen, lobby):
    outcomes = messaging.post(
        [
            draft(alice, kitchen, "1"),
            draft(bob, lobby, "a"),
            draft(bob, kitchen, "2"),
            draft(alice, lobby, "b"),
            draft(alice, kitchen, "3"),
        ]
    )
    assert [outcome.message.seq for outcome in outcomes] == [1, 1, 2, 2, 3]
    assert bodies(stored(kitchen)) == ["1", "2", "3"]
    assert bodies(stored(lobby)) == ["a", "b"]


def test_a_draft_that_fails_takes_no_number(alice, charlie, kitchen):
    messaging.post([draft(alice, kitchen), draft(charlie, kitchen), draft(alice, kitchen)])
    assert revs(stored(kitchen)) == [1, 2]
    assert head(kitchen) == 2


def test_an_edit_takes_the_next_rev_and_leaves_the_place(alice, kitchen):
    say(alice, kitchen, "one", "two")
    messaging.edit(alice, kitchen.pk, 1, "uno")
    [first, second] = stored(kitchen)
    assert (first.seq, first.rev, first.born) == (1, 3, 1)
    assert (second.seq, second.rev, second.born) == (2, 2, 2)
    assert head(kitchen) == 3


def test_births_edits_and_deletions_share_one_row_of_numbers(alice, kitchen):
    say(alice, kitchen, "one", "two")
    messaging.edit(alice, kitchen.pk, 1, "uno")
    messaging.delete(alice, kitchen.pk, 2)
    [third] = say(alice, kitchen, "three")
    assert (third.seq, third.rev, third.born) == (3, 5, 5)
    assert revs(stored(kitchen)) == [3, 4, 5]


def test_a_retry_takes_no_number(alice, kitchen):
    once = draft(alice, kitchen)
    post(once)
    post(once)
    assert head(kitchen) == 1


def test_posting_marks_the_room_read_up_to_it(alice, bob, kitchen):
    say(bob, kitchen, "one", "two")
    say(alice, kitchen, "three")
    assert seat_of(alice, kitchen).read_seq == 3
    assert seat_of(bob, kitchen).read_seq == 2


# The order of revs is the order of commits


@pytest.mark.django_db(transaction=True)
def test_whoever_posts_second_waits_for_the_first_to_commit(alice, bob, kitchen):
    posted, looked = Event(), Event()

    def alice_posts_and_lingers():
        with transaction.atomic():
            rev = post(draft(alice, kitchen, "first")).message.rev
            posted.set()
            looked.wait(5)
        return rev

    def bob_posts():
        posted.wait(5)
        return post(draft(bob, kitchen, "second")).message.rev

    def charlie_looks():
        posted.wait(5)
        seen = head(kitchen), stored(kitchen)
        looked.set()
        return seen

    first, second, seen = at_once(alice_posts_and_lingers, bob_posts, charlie_looks)
    assert (first, second) == (1, 2)
    assert seen == (0, [])
    assert bodies(stored(kitchen)) == ["first", "second"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite cannot tell who holds a row")
@pytest.mark.django_db(transaction=True)
def test_a_draft_for_a_room_that_somebody_holds_fails_at_once_and_alone(alice, kitchen, lobby):
    held, posted = Event(), Event()

    def hold_the_kitchen():
        with transaction.atomic():
            Room.objects.select_for_update().get(pk=kitchen.pk)
            held.set()
            posted.wait(5)
        return []

    def post_to_both():
        held.wait(5)
        outcomes = messaging.post([draft(alice, kitchen), draft(alice, lobby)], wait=False)
        posted.set()
        return outcomes

    _, outcomes = at_once(hold_the_kitchen, post_to_both)
    assert [type(outcome) for outcome in outcomes] == [RoomBusy, Posted]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks no single rows")
@pytest.mark.django_db(transaction=True)
def test_seats_are_locked_in_the_order_of_their_keys(kitchen):
    crowd(kitchen, 20)
    backwards = list(Membership.objects.filter(room=kitchen).select_related("user").order_by("-pk"))
    held, looked = Event(), Event()

    def hold_the_first():
        with transaction.atomic():
            Membership.objects.select_for_update().get(pk=backwards[-1].pk)
            held.set()
            looked.wait(5)
        return []

    def post_backwards():
        held.wait(5)
        return messaging.post([draft(seat.user, kitchen) for seat in backwards])

    def count_free_ones():
        held.wait(5)
        somebody_waits()
        with transaction.atomic():
            seats = Membership.objects.filter(room=kitchen)
            free = len(seats.select_for_update(skip_locked=True))
        looked.set()
        return free

    _, outcomes, free = at_once(hold_the_first, post_backwards, count_free_ones)
    assert free == len(backwards) - 1
    assert all(isinstance(outcome, Posted) for outcome in outcomes)


def somebody_waits():
    """Until a connection to PostgreSQL waits for a row."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_in_a_circle_whatever_they_do_in_whatever_order(alice, bob, charlie):
    everywhere = [rooms.create(alice, f"Room {n}", members=[bob, charlie]) for n in range(5)]
    messaging.post([draft(alice, room) for room in everywhere])
    seats = list(Membership.objects.filter(room__in=everywhere).values_list("pk", flat=True))

    def again_and_again(do, *args):
        chance = random.Random(f"{do.__name__} {args}")
        for _ in range(10):
            do(chance, *args)

    def post_everywhere(chance, sender):
        shuffled = chance.sample(everywhere, len(everywhere))
        outcomes = messaging.post([draft(sender, room) for room in shuffled])
        assert {type(outcome) for outcome in outcomes} == {Posted}

    def edit_somewhere(chance):
        messaging.edit(alice, chance.choice(everywhere).pk, 1, str(chance.random()))

    def acknowledge_everywhere(chance):
        messaging.acknowledge(dict.fromkeys(chance.sample(seats, len(seats)), chance.randrange(30)))

    def come_and_go(chance):
        room = chance.choice(everywhere)
        rooms.remove(alice, room.pk, charlie)
        rooms.invite(alice, room.pk, charlie)

    def forgive(_):
        control.ban(charlie, None)

    at_once(
        *[partial(again_and_again, post_everywhere, sender) for sender in (alice, bob) * 2],
        partial(again_and_again, edit_somewhere),
        partial(again_and_again, acknowledge_everywhere),
        partial(again_and_again, come_and_go),
        partial(again_and_again, forgive),
    )
    for room in everywhere:
        assert seqs(stored(room)) == list(range(1, 42))


@pytest.mark.django_db(transaction=True)
def test_a_reader_never_sees_a_rev_before_a_lower_one(alice, bob, kitchen):
    writers = 2
    ended = [Event() for _ in range(writers)]

    def write(sender, end):
        for number in range(25):
            post(draft(sender, kitchen, str(number)))
        end.set()

    def read():
        seen = []
        while not all(end.is_set() for end in ended):
            seen.append(sorted(revs(stored(kitchen))))
        return seen

    *_, seen = at_once(partial(write, alice, ended[0]), partial(write, bob, ended[1]), read)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen)
    assert revs(stored(kitchen)) == list(range(1, 51))


# A retry never makes a second message


def test_the_same_id_again_is_answered_with_the_same_message(alice, kitchen):
    once = draft(alice, kitchen)
    first, again = post(once), post(once)
    assert (first.new, again.new) == (True, False)
    assert (again.message.seq, again.message.born) == (1, 1)
    assert len(stored(kitchen)) == 1


def test_the_same_id_twice_in_one_batch_is_one_message(alice, kitchen):
    once = draft(alice, kitchen)
    first, again = messaging.post([once, once])
    assert (first.new, again.new) == (True, False)
    assert first.message.seq == again.message.seq
    assert len(stored(kitchen)) == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_threads_with_the_same_id_make_one_message(alice, kitchen):
    once = draft(alice, kitchen)
    answers = at_once(*[partial(post, once)] * 20)
    assert {(answer.message.seq, answer.message.rev) for answer in answers} == {(1, 1)}
    assert [answer.new for answer in answers].count(True) == 1
    assert len(stored(kitchen)) == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_id_in_two_rooms_at_once_is_stored_in_one_of_them(alice, kitchen, lobby):
    client_id = uuid4()
    drafts = [draft(alice, room, client_id=client_id) for room in (kitchen, lobby) * 5]
    outcomes = [outcome for [outcome] in at_once(*[partial(messaging.post, [d]) for d in drafts])]
    assert Message.objects.count() == 1
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, IdConflict) for outcome in outcomes) == 5


@pytest.mark.parametrize("body", ["Hello!", "hello", "Hello ", ""])
def test_the_same_id_with_another_body_is_a_conflict(alice, kitchen, body):
    once = draft(alice, kitchen, "Hello")
    post(once)
    with pytest.raises(IdConflict):
        post(draft(alice, kitchen, body, once.client_id))


def test_the_same_id_in_another_room_is_a_conflict(alice, kitchen, lobby):
    once = draft(alice, kitchen)
    post(once)
    with pytest.raises(IdConflict):
        post(draft(alice, lobby, once.body, once.client_id))


def test_the_same_id_by_somebody_else_is_another_message(alice, bob, kitchen):
    client_id = uuid4()
    post(draft(alice, kitchen, "mine", client_id))
    assert post(draft(bob, kitchen, "mine too", client_id)).new
    assert bodies(stored(kitchen)) == ["mine", "mine too"]


def test_a_retry_is_recognised_after_an_edit(alice, kitchen):
    once = draft(alice, kitchen, "Hello")
    post(once)
    messaging.edit(alice, kitchen.pk, 1, "Goodbye")
    again = post(once)
    assert (again.new, again.message.seq, again.message.born) == (False, 1, 1)
    assert bodies(stored(kitchen)) == ["Goodbye"]


def test_a_retry_is_recognised_after_a_deletion(alice, kitchen):
    once = draft(alice, kitchen)
    post(once)
    messaging.delete(alice, kitchen.pk, 1)
    again = post(once)
    assert (again.new, again.message.seq, again.message.born) == (False, 1, 1)
    assert again.message.deleted


def test_what_an_edit_says_is_no_retry(alice, kitchen):
    once = draft(alice, kitchen, "Hello")
    post(once)
    messaging.edit(alice, kitchen.pk, 1, "Goodbye")
    with pytest.raises(IdConflict):
        post(draft(alice, kitchen, "Goodbye", once.client_id))


def test_a_retry_is_answered_after_removal_from_the_room(alice, bob, kitchen):
    once = draft(bob, kitchen)
    post(once)
    rooms.remove(alice, kitchen.pk, bob)
    assert post(once).message.seq == 1
    with pytest.raises(NotFound):
        post(draft(bob, kitchen))


def test_a_retry_is_answered_to_whoever_has_been_banned_or_muted_since(alice, bob, kitchen):
    once = draft(bob, kitchen)
    post(once)
    control.ban(bob, timezone.now() + timedelta(days=1))
    mute(bob, kitchen)
    assert post(once).message.seq == 1


def test_an_id_that_failed_can_be_used_again(alice, kitchen):
    client_id = uuid4()
    with pytest.raises(Empty):
        post(draft(alice, kitchen, "", client_id))
    assert post(draft(alice, kitchen, "Hello", client_id)).new


def test_a_stored_draft_can_be_found(alice, bob, kitchen, lobby):
    once = draft(alice, kitchen)
    assert messaging.find(once) is None
    post(once)
    assert messaging.find(once).message.seq == 1
    assert messaging.find(draft(bob, kitchen, once.body, once.client_id)) is None
    with pytest.raises(IdConflict):
        messaging.find(draft(alice, lobby, once.body, once.client_id))


# Each draft of a batch succeeds or fails alone


def test_each_draft_of_a_batch_fails_alone(alice, charlie, kitchen):
    used = draft(alice, kitchen, "used")
    post(used)
    outcomes = messaging.post(
        [
            draft(alice, kitchen, "one"),
            draft(charlie, kitchen, "let me in"),
            draft(alice, kitchen, " "),
            draft(alice, kitchen, "another", used.client_id),
            draft(alice, Room(id="nowhere"), "is anybody here?"),
            draft(alice, kitchen, "x" * 4001),
            draft(alice, kitchen, "two"),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [
        Posted,
        NotFound,
        Empty,
        IdConflict,
        NotFound,
        TooLong,
        Posted,
    ]
    assert bodies(stored(kitchen)) == ["used", "one", "two"]


def test_a_batch_that_breaks_a_constraint_is_stored_draft_by_draft(alice, kitchen, monkeypatch):
    once = draft(alice, kitchen, "one")
    post(once)
    really_known = messaging._known

    def overlook(*args):
        monkeypatch.setattr(messaging, "_known", really_known)
        return {}

    monkeypatch.setattr(messaging, "_known", overlook)
    before, again, after = messaging.post(
        [draft(alice, kitchen, "zero"), once, draft(alice, kitchen, "two")]
    )
    assert (before.new, again.new, after.new) == (True, False, True)
    assert bodies(stored(kitchen)) == ["one", "zero", "two"]
    assert revs(stored(kitchen)) == [1, 2, 3]


def test_nobody_overtakes_a_draft_that_waits_for_its_room(alice, kitchen, monkeypatch):
    really_lock = messaging._lock
    locks = iter([Mock(side_effect=IntegrityError), lambda *_, **__: Room.objects.none()])
    monkeypatch.setattr(
        messaging, "_lock", lambda *args, **kwargs: next(locks, really_lock)(*args, **kwargs)
    )
    drafts = [draft(alice, kitchen, "first"), draft(alice, kitchen, "second")]
    outcomes = messaging.post(drafts, wait=False)
    assert [type(outcome) for outcome in outcomes] == [RoomBusy, RoomBusy]
    assert stored(kitchen) == []


def test_no_drafts_have_no_outcomes(db):
    assert messaging.post([]) == []


# What may be said


@pytest.mark.parametrize("body", ["", " ", "\n\t \u2003", "\u00a0"])
def test_an_empty_body_is_refused(alice, kitchen, body):
    with pytest.raises(Empty):
        post(draft(alice, kitchen, body))


@pytest.mark.parametrize("body", ["x" * 4000, "字" * 4000, "😀" * 4000, " \n x \n "])
def test_a_body_of_up_to_4000_characters_is_stored_as_it_is(alice, kitchen, body):
    post(draft(alice, kitchen, body))
    assert bodies(stored(kitchen)) == [body]


def test_a_body_of_4001_characters_is_refused(alice, kitchen):
    with pytest.raises(TooLong):
        post(draft(alice, kitchen, "x" * 4001))


@pytest.mark.parametrize("body", ["a\0b", "\0x", "\ud800 high", "low \udfff", "\udc00\ud800"])
def test_what_cannot_be_stored_is_refused(alice, kitchen, body):
    with pytest.raises(InvalidText):
        post(draft(alice, kitchen, body))


@pytest.mark.parametrize(
    ("body", "error"), [(" ", Empty), ("x" * 4001, TooLong), ("\0x", InvalidText)]
)
def test_an_edit_may_say_no_more_than_a_post(alice, kitchen, body, error):
    say(alice, kitchen, "Hello")
    with pytest.raises(error):
        messaging.edit(alice, kitchen.pk, 1, body)
    assert bodies(stored(kitchen)) == ["Hello"]


@pytest.mark.parametrize(
    "body", ["<script>alert(1)</script>", "'; DROP TABLE chat_room; --", "a|b\r\nc", "\u202eabc"]
)
def test_what_looks_dangerous_is_only_text(alice, kitchen, body):
    say(alice, kitchen, body)
    assert bodies(read_on(kitchen)[0].messages) == [body]


# Who may say it


def mute(user, room, seconds=60):
    until = timezone.now() + timedelta(seconds=seconds)
    Membership.objects.filter(user=user, room=room).update(muted_until=until)


def test_whoever_is_muted_is_told_for_how_long(bob, kitchen):
    mute(bob, kitchen, seconds=60)
    with pytest.raises(Muted) as muted:
        post(draft(bob, kitchen))
    assert 50_000 < muted.value.retry_after_ms <= 60_000


def test_a_mute_ends_by_itself(bob, kitchen):
    mute(bob, kitchen, seconds=-1)
    assert post(draft(bob, kitchen)).new


def test_whoever_is_muted_here_may_write_elsewhere(bob, kitchen, lobby):
    mute(bob, kitchen)
    assert post(draft(bob, lobby)).new


def test_whoever_is_muted_cannot_speak_through_an_edit(bob, kitchen):
    say(bob, kitchen, "Hello")
    mute(bob, kitchen)
    with pytest.raises(Muted):
        messaging.edit(bob, kitchen.pk, 1, "You cannot silence me")


@pytest.fixture
def slow_kitchen(kitchen):
    """Where bob, but not alice whose room it is, waits for a minute between two messages."""
    Room.objects.filter(pk=kitchen.pk).update(slow_mode=60)
    return kitchen


def wait_for_the_kitchen(user, seconds):
    posted = F("posted_at") - timedelta(seconds=seconds)
    Membership.objects.filter(user=user).update(posted_at=posted)


def test_a_member_of_a_slow_room_is_told_how_long_to_wait(bob, slow_kitchen):
    post(draft(bob, slow_kitchen))
    with pytest.raises(RateLimited) as limited:
        post(draft(bob, slow_kitchen))
    assert 50_000 < limited.value.retry_after_ms <= 60_001
    assert len(stored(slow_kitchen)) == 1


def test_a_member_who_has_waited_may_go_on_in_a_slow_room(bob, slow_kitchen):
    post(draft(bob, slow_kitchen))
    wait_for_the_kitchen(bob, 61)
    assert post(draft(bob, slow_kitchen)).new
    with pytest.raises(RateLimited):
        post(draft(bob, slow_kitchen))


def test_of_one_batch_for_a_slow_room_only_a_members_first_passes(bob, charlie, slow_kitchen):
    rooms.place(charlie, slow_kitchen.pk)
    drafts = [draft(user, slow_kitchen, str(n)) for n in range(3) for user in (bob, charlie)]
    outcomes = messaging.post(drafts)
    assert bodies(stored(slow_kitchen)) == ["0", "0"]
    assert [type(outcome) for outcome in outcomes] == [Posted] * 2 + [RateLimited] * 4


@pytest.mark.parametrize("role", ["owner", "moderator"])
def test_whoever_manages_a_slow_room_need_not_wait(bob, slow_kitchen, role):
    promote(bob, slow_kitchen, role)
    say(bob, slow_kitchen, "one", "two")
    assert post(draft(bob, slow_kitchen, "three")).new
    assert len(stored(slow_kitchen)) == 3


def test_the_retry_of_a_stored_message_passes_in_a_slow_room(bob, slow_kitchen):
    once = draft(bob, slow_kitchen)
    post(once)
    with pytest.raises(RateLimited):
        post(draft(bob, slow_kitchen))
    assert not post(once).new


def test_what_was_refused_does_not_make_one_wait_longer_in_a_slow_room(bob, slow_kitchen):
    with pytest.raises(Empty):
        post(draft(bob, slow_kitchen, ""))
    post(draft(bob, slow_kitchen))
    wait_for_the_kitchen(bob, 59)
    for _ in range(3):
        with pytest.raises(RateLimited):
            post(draft(bob, slow_kitchen))
    wait_for_the_kitchen(bob, 2)
    assert post(draft(bob, slow_kitchen)).new


def test_a_slow_room_slows_down_nobody_elsewhere(bob, slow_kitchen, lobby):
    post(draft(bob, slow_kitchen))
    say(bob, lobby, "one", "two")
    assert seat_of(bob, lobby).posted_at is None
    assert len(stored(lobby)) == 2


def test_a_room_that_is_slow_no_more_lets_everybody_go_on(bob, slow_kitchen):
    post(draft(bob, slow_kitchen))
    Room.objects.filter(pk=slow_kitchen.pk).update(slow_mode=0)
    say(bob, slow_kitchen, "two", "three")
    assert len(stored(slow_kitchen)) == 3


def test_whoever_waits_in_a_slow_room_may_mend_what_they_said(bob, slow_kitchen):
    post(draft(bob, slow_kitchen))
    assert messaging.edit(bob, slow_kitchen.pk, 1, "Hello!").body == "Hello!"


@pytest.mark.django_db(transaction=True)
def test_a_member_who_posts_twice_at_once_passes_once_in_a_slow_room(bob, slow_kitchen):
    drafts = [draft(bob, slow_kitchen, str(n)) for n in range(4)]
    at_once(*[partial(messaging.post, [each]) for each in drafts])
    assert len(stored(slow_kitchen)) == 1


def test_whoever_is_banned_may_not_write(bob, kitchen):
    control.ban(bob, timezone.now() + timedelta(days=1))
    with pytest.raises(Forbidden):
        post(draft(bob, kitchen))


def test_a_ban_ends_by_itself(bob, kitchen):
    control.ban(bob, timezone.now() - timedelta(seconds=1))
    assert post(draft(bob, kitchen)).new


def test_whoever_is_banned_cannot_speak_through_an_edit(bob, kitchen):
    say(bob, kitchen, "Hello")
    control.ban(bob, timezone.now() + timedelta(days=1))
    with pytest.raises(Forbidden):
        messaging.edit(bob, kitchen.pk, 1, "I am still here")


@pytest.fixture
def news(alice, bob, charlie):
    """Owned by alice, moderated by bob, read by charlie."""
    feed = rooms.create(alice, "News", kind=Room.Kind.FEED, members=[bob, charlie])
    promote(bob, feed)
    return feed


def test_in_a_feed_only_managers_write(alice, bob, charlie, news):
    outcomes = messaging.post([draft(user, news) for user in (alice, bob, charlie)])
    assert [type(outcome) for outcome in outcomes] == [Posted, Posted, Forbidden]


def test_whoever_manages_a_feed_no_longer_cannot_write_through_an_edit(bob, news):
    say(bob, news, "Hello")
    promote(bob, news, Membership.Role.MEMBER)
    with pytest.raises(Forbidden):
        messaging.edit(bob, news.pk, 1, "Still me")


def test_everybody_in_a_feed_reads_it(alice, charlie, news):
    say(alice, news, "Hello")
    assert bodies(archive.history(charlie.pk, news.pk).messages) == ["Hello"]


# An outsider finds nothing


def test_an_outsider_cannot_post(charlie, kitchen):
    with pytest.raises(NotFound):
        post(draft(charlie, kitchen))


def test_an_outsider_cannot_edit(alice, charlie, kitchen):
    say(alice, kitchen, "Hello")
    with pytest.raises(NotFound):
        messaging.edit(charlie, kitchen.pk, 1, "Goodbye")


def test_an_outsider_cannot_delete(alice, charlie, kitchen):
    say(alice, kitchen, "Hello")
    with pytest.raises(NotFound):
        messaging.delete(charlie, kitchen.pk, 1)


def test_an_outsider_cannot_look_back(charlie, kitchen):
    with pytest.raises(NotFound):
        archive.history(charlie.pk, kitchen.pk)


def test_whoever_was_removed_cannot_change_what_they_said(alice, bob, kitchen):
    say(bob, kitchen, "Hello")
    rooms.remove(alice, kitchen.pk, bob)
    with pytest.raises(NotFound):
        messaging.edit(bob, kitchen.pk, 1, "Goodbye")
    with pytest.raises(NotFound):
        messaging.delete(bob, kitchen.pk, 1)


@pytest.mark.parametrize("room_id", ["", "nowhere", "1", "-1", str(2**63), "x" * 64, "%", "' OR 1"])
def test_a_room_that_is_not_there_is_not_found_either(alice, room_id):
    nowhere = Room(id=room_id)
    with pytest.raises(NotFound):
        post(draft(alice, nowhere))
    with pytest.raises(NotFound):
        messaging.edit(alice, room_id, 1, "Hello")
    with pytest.raises(NotFound):
        messaging.delete(alice, room_id, 1)
    with pytest.raises(NotFound):
        archive.history(alice.pk, room_id)
    assert archive.replay({room_id: Cursor(0)}) == []


def test_an_outsider_learns_nothing_from_the_order_of_checks(charlie, kitchen):
    with pytest.raises(NotFound):
        post(draft(charlie, kitchen, ""))


# Edit and delete


def test_alice_edits_her_own_message(alice, kitchen):
    say(alice, kitchen, "Helo")
    message = messaging.edit(alice, kitchen.pk, 1, "Hello")
    assert (message.body, message.rev, message.sender_name) == ("Hello", 2, "alice")
    assert message.edited_at is not None
    assert stored(kitchen) == [message]
    assert bodies(stored(kitchen)) == ["Hello"]


def test_nobody_edits_what_somebody_else_said(alice, bob, kitchen):
    say(bob, kitchen, "Hello")
    with pytest.raises(Forbidden):
        messaging.edit(alice, kitchen.pk, 1, "I am a fool")
    assert bodies(stored(kitchen)) == ["Hello"]


def test_what_has_been_deleted_cannot_be_edited(alice, kitchen):
    say(alice, kitchen, "Hello")
    messaging.delete(alice, kitchen.pk, 1)
    with pytest.raises(NotFound):
        messaging.edit(alice, kitchen.pk, 1, "I am back")
    assert bodies(stored(kitchen)) == [""]


def test_an_edit_that_changes_nothing_takes_no_rev(alice, kitchen):
    say(alice, kitchen, "Hello")
    message = messaging.edit(alice, kitchen.pk, 1, "Hello")
    assert (message.rev, message.edited_at) == (1, None)
    assert head(kitchen) == 1


def test_a_second_edit_is_an_edit_too(alice, kitchen):
    say(alice, kitchen, "one")
    messaging.edit(alice, kitchen.pk, 1, "two")
    assert messaging.edit(alice, kitchen.pk, 1, "one").rev == 3


def test_deleting_leaves_an_empty_tombstone(alice, kitchen):
    say(alice, kitchen, "one", "two")
    message = messaging.delete(alice, kitchen.pk, 1)
    assert (message.body, message.deleted, message.seq, message.rev) == ("", True, 1, 3)
    assert bodies(stored(kitchen)) == ["", "two"]


def test_deleting_twice_takes_one_rev(alice, kitchen):
    say(alice, kitchen, "Hello")
    messaging.delete(alice, kitchen.pk, 1)
    assert messaging.delete(alice, kitchen.pk, 1).rev == head(kitchen) == 2


def test_a_member_cannot_delete_what_somebody_else_said(alice, bob, kitchen):
    say(alice, kitchen, "Hello")
    with pytest.raises(Forbidden):
        messaging.delete(bob, kitchen.pk, 1)


@pytest.mark.parametrize("role", [Membership.Role.MODERATOR, Membership.Role.OWNER])
def test_who_manages_a_room_deletes_anybodys_message(alice, bob, kitchen, role):
    say(alice, kitchen, "Hello")
    promote(bob, kitchen, role)
    assert messaging.delete(bob, kitchen.pk, 1).deleted


def test_in_a_direct_room_nobody_deletes_what_the_other_said(alice, bob):
    room = rooms.open_direct(alice, bob)
    say(alice, room, "Hello")
    with pytest.raises(Forbidden):
        messaging.delete(bob, room.pk, 1)


@pytest.mark.parametrize("seq", [0, 2, HUGE])
def test_a_place_without_a_message_is_not_found(alice, kitchen, seq):
    say(alice, kitchen, "Hello")
    with pytest.raises(NotFound):
        messaging.edit(alice, kitchen.pk, seq, "Goodbye")
    with pytest.raises(NotFound):
        messaging.delete(alice, kitchen.pk, seq)


# Cursors move only forward, and never beyond the head


def test_acknowledging_moves_the_cursor_forward(alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    [membership] = messaging.acknowledge({seat_of(bob, kitchen).pk: 2})
    assert membership.moved
    assert seat_of(bob, kitchen).delivered_rev == 2


def test_reading_moves_the_cursor_forward(alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    [membership] = messaging.read({seat_of(bob, kitchen).pk: 3})
    assert membership.moved
    assert seat_of(bob, kitchen).read_seq == 3


@pytest.mark.parametrize("target", [0, 1, 2])
def test_a_cursor_never_goes_back(alice, bob, kitchen, target):
    say_much(alice, kitchen, 3)
    seat = seat_of(bob, kitchen).pk
    for advance in (messaging.acknowledge, messaging.read):
        advance({seat: 2})
        [membership] = advance({seat: target})
        assert not membership.moved
    assert (seat_of(bob, kitchen).delivered_rev, seat_of(bob, kitchen).read_seq) == (2, 2)


@pytest.mark.parametrize("target", [4, 5, HUGE])
def test_a_cursor_never_goes_beyond_the_head(alice, bob, kitchen, target):
    say_much(alice, kitchen, 3)
    seat = seat_of(bob, kitchen).pk
    for advance in (messaging.acknowledge, messaging.read):
        [membership] = advance({seat: target})
        assert (membership.moved, membership.head) == (False, 3)
    assert (seat_of(bob, kitchen).delivered_rev, seat_of(bob, kitchen).read_seq) == (0, 0)


def test_one_acknowledges_revs_and_reads_seqs(alice, bob, kitchen):
    say(alice, kitchen, "one")
    messaging.edit(alice, kitchen.pk, 1, "uno")
    seat = seat_of(bob, kitchen).pk
    assert messaging.acknowledge({seat: 2})[0].moved
    assert not messaging.read({seat: 2})[0].moved


def test_many_cursors_move_in_one_call(alice, bob, kitchen, lobby):
    say_much(alice, kitchen, 3)
    say_much(alice, lobby, 2)
    targets = {seat_of(bob, kitchen).pk: 3, seat_of(bob, lobby).pk: 1, seat_of(alice, lobby).pk: 9}
    assert [m.moved for m in messaging.acknowledge(targets)].count(True) == 2
    assert seat_of(bob, kitchen).delivered_rev == 3
    assert seat_of(bob, lobby).delivered_rev == 1
    assert seat_of(alice, lobby).delivered_rev == 0


def test_the_cursor_of_a_seat_that_is_gone_is_left_out(db):
    assert messaging.acknowledge({4711: 1}) == []
    assert messaging.read({4711: 1, HUGE: HUGE}) == []


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_acknowledgements_the_furthest_stays(alice, bob, kitchen):
    say_much(alice, kitchen, 10)
    seat = seat_of(bob, kitchen).pk
    at_once(*[partial(messaging.acknowledge, {seat: rev}) for rev in (3, 10, 1, 7, 5, 9)])
    assert seat_of(bob, kitchen).delivered_rev == 10


# It costs the same in a large room


def test_a_post_costs_the_same_in_a_large_room(alice, kitchen, station):
    in_the_kitchen = queries(lambda: say(alice, kitchen, "Hello"))
    assert queries(lambda: say(alice, station, "Hello")) == in_the_kitchen


def test_a_batch_costs_what_a_single_post_costs(alice, kitchen):
    single = queries(lambda: say(alice, kitchen, "Hello"))
    assert queries(lambda: say_much(alice, kitchen, 50)) == single


def test_acknowledging_costs_the_same_for_many(alice, station):
    everyone = list(Membership.objects.filter(room=station).values_list("pk", flat=True)[:100])
    one = queries(lambda: messaging.acknowledge({everyone[0]: 1}))
    assert queries(lambda: messaging.acknowledge(dict.fromkeys(everyone, 2))) == one
