"""The admin panel changes what the chat would have changed, and nothing else."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from chat import access, leases, messaging, rooms
from chat.admin.rooms import MembershipAdmin, RoomAdmin
from chat.models import (
    Access,
    AuditEntry,
    Connection,
    Membership,
    Message,
    Retention,
    Room,
    Token,
)
from tests.conftest import token
from tests.conversation import say


@pytest.fixture
def panel(admin_client):
    return admin_client


def address(row, action="change"):
    return f"/admin/chat/{row._meta.model_name}/{quote(row.pk)}/{action}/"


QUICK = {"slow_mode": 0}  # as a form of a room has it, and others ignore it


def save(panel, row, **fields):
    """Fill in a form of the admin panel and send it off."""
    return sent(panel.post(address(row), QUICK | fields))


def add(panel, model, **fields):
    return sent(panel.post(f"/admin/chat/{model._meta.model_name}/add/", QUICK | fields))


def delete(panel, row):
    return panel.post(address(row, "delete"), {"post": "yes"})


def sent(response):
    """Whether the form was taken."""
    if response.status_code == 200:
        assert response.context["errors"], "neither taken nor refused"
    return response.status_code == 302


def versions(*users):
    return [Access.objects.get(user=user).version for user in users]


def seat(user, room):
    return Membership.objects.get(user=user, room=room)


def seats(*memberships, **added):
    """The rows of members in a room's form."""
    rows = {
        "memberships-TOTAL_FORMS": len(memberships) + bool(added),
        "memberships-INITIAL_FORMS": len(memberships),
    }
    for place, (membership, changes) in enumerate(memberships):
        row = {"id": membership.pk, "user": membership.user_id, "role": membership.role, **changes}
        rows |= {f"memberships-{place}-{name}": value for name, value in row.items()}
    new = {"room": "", **added} if added else {}
    return rows | {f"memberships-{len(memberships)}-{name}": value for name, value in new.items()}


# All of it


@pytest.mark.parametrize("model", [Room, Membership, Message, Access, Connection, Token])
def test_every_page_can_be_looked_at(panel, alice, bob, kitchen, model):
    say(alice, kitchen, "hello")
    token(alice)
    leases.begin("one", {"phone": leases.Link(alice.pk)})
    row = model.objects.order_by("pk").first()
    changelist = f"/admin/chat/{model._meta.model_name}/"
    assert panel.get(changelist, {"q": "alice"}).status_code == 200
    assert panel.get(changelist).status_code == 200
    assert panel.get(address(row)).status_code == 200


@pytest.mark.parametrize("model", [Message, Access, Token])
def test_what_the_chat_makes_nobody_else_adds(panel, model):
    assert panel.get(f"/admin/chat/{model._meta.model_name}/add/").status_code == 403


@pytest.mark.parametrize("model", [Room, Membership, Message, Access, Token])
def test_a_page_takes_as_few_queries_for_many_rows(panel, alice, bob, kitchen, lobby, model):
    page = f"/admin/chat/{model._meta.model_name}/"

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            panel.get(page)
        return len(captured)

    say(alice, kitchen, "one")
    token(alice)
    few = queries()
    say(bob, kitchen, "two", "three")
    say(bob, lobby, "four")
    token(bob)
    rooms.create(bob, "Attic", members=[alice])
    assert queries() == few


def test_people_without_permission_see_nothing(client, alice, kitchen):
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert client.get(address(kitchen)).status_code == 403


# Rooms


def test_a_new_room_has_the_members_of_the_form(panel, alice):
    assert add(panel, Room, kind="group", name="Attic", **seats(user=alice.pk, role="owner"))
    assert seat(alice, Room.objects.get(name="Attic")).role == "owner"


@pytest.mark.parametrize("kind", ["direct", "everyone"])
def test_direct_rooms_and_lobbies_are_not_made_by_hand(panel, kind):
    assert not add(panel, Room, kind=kind, name="Attic", **seats())


@pytest.mark.parametrize("name", ["", "a|b"])
def test_a_room_needs_a_name_that_the_chat_can_use(panel, kitchen, name):
    assert not add(panel, Room, kind="group", name=name, **seats())
    assert not save(panel, kitchen, name=name, **seats())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Galley"},
        {"slow_mode": 30},
        {"open": "on"},
        {"archived": "on"},
        {"read_only": "on"},
    ],
    ids=str,
)
def test_a_room_is_changed_without_a_question_for_each_member(panel, alice, bob, kitchen, change):
    """Workers notice in the room itself."""
    before = versions(alice, bob)
    face = access.seat(bob.pk, kitchen.pk).room.face
    assert save(panel, kitchen, **{"name": "Kitchen", "slow_mode": 0} | change, **seats())
    assert access.seat(bob.pk, kitchen.pk).room.face != face
    assert versions(alice, bob) == before


def test_what_was_said_while_the_form_was_open_is_not_undone(alice, kitchen):
    form_row = Room.objects.get(pk=kitchen.pk)
    say(alice, kitchen, "said meanwhile")
    form_row.name = "Galley"
    save_as_admin(RoomAdmin, form_row, ["name"], alice)
    kitchen.refresh_from_db()
    assert (kitchen.name, kitchen.seq, kitchen.rev) == ("Galley", 1, 1)


def save_as_admin(panel, row, changed, by):
    class Form:
        changed_data = changed

    request = RequestFactory().post("/")
    request.user = by
    panel(type(row), admin.site).save_model(request, row, Form(), change=True)


def test_no_room_is_deleted_with_its_messages(panel, kitchen):
    assert delete(panel, kitchen).status_code == 403
    assert Room.objects.filter(pk=kitchen.pk).exists()


def test_the_form_of_a_direct_room_leaves_it_as_it_is(panel, alice, bob):
    room = rooms.open_direct(alice, bob)
    save(panel, room, kind="group", name="Ours", open="on", **seats())
    room.refresh_from_db()
    assert (room.kind, room.name, room.open) == ("direct", "", False)


def test_a_room_of_many_is_edited_without_a_form_for_each(panel, alice, station):
    assertNotContains(panel.get(address(station)), "memberships-TOTAL_FORMS")
    assert save(panel, station, name="Central station")


# Who is in


def test_whoever_is_brought_in_starts_at_the_head(panel, alice, charlie, kitchen):
    say(alice, kitchen, "one", "two")
    [alices, charlies_before] = versions(alice, charlie)
    rows = seats(user=charlie.pk, role="moderator")
    assert save(panel, kitchen, name="Kitchen", **rows)
    charlies = seat(charlie, kitchen)
    assert (charlies.role, charlies.delivered_rev, charlies.read_seq) == ("moderator", 2, 2)
    assert versions(alice, charlie) == [alices + 1, charlies_before + 1]


def test_whoever_is_taken_out_is_out(panel, alice, bob, kitchen):
    [alices, bobs] = versions(alice, bob)
    row = (seat(bob, kitchen), {"DELETE": "on"})
    assert save(panel, kitchen, name="Kitchen", **seats(row))
    assert not Membership.objects.filter(user=bob, room=kitchen).exists()
    assert versions(alice, bob) == [alices + 1, bobs + 1]


def test_a_room_never_lacks_an_owner(panel, alice, bob, kitchen):
    assert delete(panel, seat(alice, kitchen)).status_code == 302
    assert seat(bob, kitchen).role == "owner"


def test_a_new_role_is_news_for_its_holder(panel, alice, bob, kitchen):
    [before] = versions(bob)
    assert save(panel, kitchen, name="Kitchen", **seats((seat(bob, kitchen), {"role": "owner"})))
    assert seat(bob, kitchen).role == "owner"
    assert versions(bob) == [before + 1]


def test_whoever_is_in_already_stays_as_they_are(panel, bob, kitchen):
    assert save(panel, kitchen, name="Kitchen", **seats(user=bob.pk, role="owner"))
    assert seat(bob, kitchen).role == "member"


def test_a_seat_is_not_handed_on(panel, bob, charlie, kitchen):
    save(panel, kitchen, name="Kitchen", **seats((seat(bob, kitchen), {"user": charlie.pk})))
    save(panel, seat(bob, kitchen), user=charlie.pk, role="member")
    assert seat(bob, kitchen)
    assert not Membership.objects.filter(user=charlie, room=kitchen).exists()


def test_a_seat_may_be_given_and_taken_on_its_own_page(panel, charlie, kitchen):
    assert add(panel, Membership, room=kitchen.pk, user=charlie.pk, role="member")
    [before] = versions(charlie)
    assert delete(panel, seat(charlie, kitchen)).status_code == 302
    assert versions(charlie) == [before + 1]
    assert LogEntry.objects.count() == 2


def test_cursors_that_moved_while_the_form_was_open_do_not_move_back(alice, bob, kitchen):
    form_row = seat(bob, kitchen)
    say(alice, kitchen, "said meanwhile")
    messaging.read({form_row.pk: 1})
    form_row.role = "moderator"
    save_as_admin(MembershipAdmin, form_row, ["role"], alice)
    assert (seat(bob, kitchen).role, seat(bob, kitchen).read_seq) == ("moderator", 1)


def test_nobody_is_taken_out_of_the_lobby_or_a_direct_room(panel, alice, bob, lobby):
    direct = rooms.open_direct(alice, bob)
    for room in (lobby, direct):
        assert delete(panel, seat(alice, room)).status_code == 403
        save(panel, room, name="Lobby", **seats((seat(alice, room), {"DELETE": "on"})))
        assert seat(alice, room)


def test_nobody_is_brought_into_a_direct_room(panel, alice, bob, charlie):
    direct = rooms.open_direct(alice, bob)
    save(panel, direct, **seats(user=charlie.pk, role="member"))
    assert not add(panel, Membership, room=direct.pk, user=charlie.pk, role="member")
    assert not Membership.objects.filter(user=charlie, room=direct).exists()


def test_a_role_in_the_lobby_can_be_given(panel, alice, lobby):
    assert save(panel, seat(alice, lobby), role="moderator")
    assert seat(alice, lobby).role == "moderator"


def silent(hours=1, why="Spam"):
    """As a form has it that somebody is muted for so long."""
    when = timezone.localtime(timezone.now() + timedelta(hours=hours))
    day, time = f"{when:%Y-%m-%d}", f"{when:%H:%M:%S}"
    return {"muted_until_0": day, "muted_until_1": time, "mute_reason": why}


def logged():
    return list(AuditEntry.objects.order_by("pk").values_list("action", "label", "comment"))


def test_somebody_may_be_muted(panel, bob, kitchen):
    assert save(panel, seat(bob, kitchen), role="member", **silent())
    assert seat(bob, kitchen).muted_until > timezone.now()
    assert seat(bob, kitchen).mute_reason == "Spam"
    assert save(panel, seat(bob, kitchen), role="member", muted_until_0="", muted_until_1="")
    assert seat(bob, kitchen).muted_until is None
    assert logged() == [("muted", "bob", "Spam"), ("unmuted", "bob", "")]


def test_somebody_may_be_muted_in_the_form_of_the_room(panel, bob, kitchen):
    row = (seat(bob, kitchen), silent())
    assert save(panel, kitchen, name="Kitchen", **seats(row))
    assert seat(bob, kitchen).mute_reason == "Spam"
    assert logged() == [("muted", "bob", "Spam")]


@pytest.mark.parametrize(
    "mute", [silent(why=""), silent(why=" "), silent(hours=-1)], ids=["no reason", "blank", "over"]
)
def test_a_mute_needs_an_end_ahead_and_a_reason(panel, bob, kitchen, mute):
    assert not save(panel, seat(bob, kitchen), role="member", **mute)
    assert not save(panel, kitchen, name="Kitchen", **seats((seat(bob, kitchen), mute)))
    assert seat(bob, kitchen).muted_until is None


def test_nobody_mutes_themselves_in_a_form(panel, admin_user, kitchen):
    mine = rooms.place(admin_user, kitchen.pk)
    assert not save(panel, mine, role="member", **silent())
    assert seat(admin_user, kitchen).muted_until is None


# What is written down, and who may do what


def test_what_a_room_was_and_is_now_is_written_down(panel, kitchen):
    assert save(panel, kitchen, name="Galley", read_only="on", **seats())
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.room) == ("changed", kitchen.pk)
    assert entry.before == {"name": "Kitchen", "read_only": False}
    assert entry.after == {"name": "Galley", "read_only": True}


def test_who_comes_goes_and_gets_another_role_is_written_down(panel, alice, bob, charlie, kitchen):
    bobs = (seat(bob, kitchen), {"role": "moderator"})
    save(panel, kitchen, name="Kitchen", **seats(bobs, user=charlie.pk, role="member"))
    save(panel, kitchen, name="Kitchen", **seats((seat(charlie, kitchen), {"DELETE": "on"})))
    assert logged() == [
        ("changed", "bob in Kitchen", ""),
        ("added", "charlie in Kitchen", ""),
        ("removed", "charlie in Kitchen", ""),
    ]
    entry = AuditEntry.objects.earliest("pk")
    assert (entry.before, entry.after) == ({"role": "member"}, {"role": "moderator"})


def test_a_seat_given_and_taken_on_its_own_page_is_written_down(panel, charlie, kitchen):
    add(panel, Membership, room=kitchen.pk, user=charlie.pk, role="member")
    save(panel, seat(charlie, kitchen), role="owner")
    delete(panel, seat(charlie, kitchen))
    assert [action for action, *_ in logged()] == ["added", "changed", "removed"]


def staff(client, user, *codenames):
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def test_who_may_mute_gives_no_roles_and_who_gives_roles_may_not_mute(
    client, alice, bob, charlie, kitchen
):
    every = {"role": "owner", **silent()}
    for may, role, muted in (("can_mute", "member", True), ("change_membership", "owner", False)):
        staff(client, charlie, may, "change_room", "view_membership")
        for form in (
            lambda: save(client, seat(bob, kitchen), **every),
            lambda: save(client, kitchen, name="Kitchen", **seats((seat(bob, kitchen), every))),
        ):
            Membership.objects.filter(user=bob).update(role="member", muted_until=None)
            assert form()
            assert seat(bob, kitchen).role == role
            assert bool(seat(bob, kitchen).muted_until) == muted


def test_who_may_neither_bring_in_nor_send_out_does_not(client, bob, alice, charlie, kitchen):
    staff(client, charlie, "change_room", "change_membership")
    gone = (seat(bob, kitchen), {"DELETE": "on"})
    save(client, kitchen, name="Kitchen", **seats(gone, user=charlie.pk, role="member"))
    new = {"room": kitchen.pk, "user": charlie.pk, "role": "member"}
    assert client.post("/admin/chat/membership/add/", new).status_code == 403
    assert delete(client, seat(bob, kitchen)).status_code == 403
    assert seat(bob, kitchen)
    assert not Membership.objects.filter(user=charlie, room=kitchen).exists()


def test_how_long_a_room_keeps_messages_has_a_permission_of_its_own(client, panel, bob, kitchen):
    staff(client, bob, "change_room")
    assert save(client, kitchen, name="Kitchen", retention_days=1, **seats())
    assert Room.objects.get(pk=kitchen.pk).retention_days is None
    staff(client, bob, "change_room", "can_set_retention")
    assert save(client, kitchen, name="Kitchen", retention_days=30, **seats())
    assert Room.objects.get(pk=kitchen.pk).retention_days == 30
    assert Retention.objects.get().due_at is not None
    [entry] = AuditEntry.objects.all()
    assert entry.after == {"retention_days": 30}


@pytest.mark.parametrize(
    "number", [{"slow_mode": 10**9}, {"retention_days": 10**9}, {"slow_mode": -1}]
)
def test_numbers_that_no_clock_can_count_are_refused(panel, kitchen, number):
    assert not save(panel, kitchen, name="Kitchen", **number, **seats())


def test_a_room_leads_to_what_there_is_about_it(client, bob, kitchen):
    staff(client, bob, "view_room")
    assertNotContains(client.get(address(kitchen)), f"={kitchen.pk}")
    staff(client, bob, "view_room", "view_message", "view_membership", "view_report")
    for model in ("message", "membership", "report"):
        assertContains(client.get(address(kitchen)), f"/admin/chat/{model}/?")


# Messages


def test_messages_are_found_by_room_and_by_sender(panel, alice, bob, kitchen, lobby):
    say(alice, kitchen, "one")
    say(bob, kitchen, "two")
    say(alice, lobby, "three")
    for asked, found in ((kitchen.pk, 2), ("alice", 2), ("bob", 1), ("nobody", 0)):
        response = panel.get("/admin/chat/message/", {"q": asked})
        assert response.context["cl"].result_count == found, asked


def test_nobody_changes_what_somebody_said(panel, alice, kitchen):
    say(alice, kitchen, "mine")
    assert panel.post(address(Message.objects.get()), {"body": "yours"}).status_code == 403
    assert Message.objects.get().body == "mine"


def test_what_is_taken_down_leaves_a_tombstone(panel, alice, kitchen):
    say(alice, kitchen, "rude")
    message = Message.objects.get()
    assertContains(panel.get(address(message, "delete")), str(message))
    assert delete(panel, message).status_code == 302
    message.refresh_from_db()
    assert (message.seq, message.rev, message.body, message.deleted) == (1, 2, "", True)
    assert LogEntry.objects.get().is_deletion()


def test_many_messages_are_taken_down_at_once(panel, alice, bob, kitchen, lobby):
    say(alice, kitchen, "rude", "ruder", "polite")
    say(bob, lobby, "rudest")
    rude = Message.objects.filter(body__startswith="rude")
    assertContains(take_down(panel, rude), "rudest")
    assert rude.count() == 3
    take_down(panel, rude, post="yes")
    assert [message.body for message in Message.objects.filter(deleted=False)] == ["polite"]
    kitchen.refresh_from_db()
    assert (kitchen.seq, kitchen.rev) == (3, 5)


def test_what_is_taken_down_already_stays_as_it_is(panel, alice, kitchen):
    say(alice, kitchen, "rude")
    for _ in range(2):
        take_down(panel, Message.objects.all(), post="yes")
    assert Message.objects.get().rev == 2


def take_down(panel, messages, **answer):
    """Select messages in the list, to delete them; asks back unless the answer is there."""
    selected = {"action": "delete_selected", "_selected_action": [m.pk for m in messages]}
    return panel.post("/admin/chat/message/", {**selected, **answer})


def test_only_who_may_delete_takes_something_down(client, alice, kitchen):
    say(alice, kitchen, "rude")
    alice.is_staff = True
    alice.save()
    alice.user_permissions.add(Permission.objects.get(codename="view_message"))
    client.force_login(alice)
    assert delete(client, Message.objects.get()).status_code == 403
    take_down(client, Message.objects.all(), post="yes")
    assert Message.objects.get().body == "rude"


# Tokens


def test_a_token_can_be_ended_but_not_read(panel, alice):
    secret = token(alice)
    [row] = Token.objects.all()
    page = panel.get(address(row))
    assertContains(page, "Bearer token")
    assertNotContains(page, secret)
    assertNotContains(page, row.auth_hash)
    assert delete(panel, row).status_code == 302
    assert not Token.objects.exists()


@pytest.mark.parametrize("hidden", ["digest", "auth_hash"])
def test_nobody_finds_out_what_a_token_is_by_asking_how_it_begins(panel, alice, hidden):
    token(alice)
    tokens = "/admin/chat/token/"
    assert panel.get(tokens, {f"{hidden}__startswith": "a"}).status_code == 400
    assert panel.get(tokens, {"kind__exact": "bearer"}).status_code == 200


# Live connections


ACTIONS = {
    "disconnect": lambda bob: set(bob.chat_connections.values_list("close_code", flat=True)),
    "disconnect_users": lambda bob: {bob.chat_access.close_code},
    "kick_users": lambda bob: {bob.chat_access.close_code},
    "end_sessions": lambda bob: set(bob.chat_tokens.all()),
}


def act(panel, action, **answer):
    """Choose bob's connection; asks back unless the answer is there."""
    chosen = {"action": action, "_selected_action": ["phone"], **answer}
    return panel.post("/admin/chat/connection/", chosen, follow=True)


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ("disconnect", {4010}),
        ("disconnect_users", {4010}),
        ("kick_users", {4503}),
        ("end_sessions", set()),
    ],
)
def test_bobs_connection_is_ended_from_the_panel(panel, bob, action, after):
    token(bob)
    leases.begin("one", {"phone": leases.Link(bob.pk, "203.0.113.7", "Firefox")})
    assertContains(panel.get("/admin/chat/connection/?q=203.0.113.7"), "Firefox")
    before = ACTIONS[action](bob)
    assertContains(act(panel, action), "bob")
    assert ACTIONS[action](type(bob).objects.get(pk=bob.pk)) == before, "not asked back"
    assert act(panel, action, post="yes").status_code == 200
    assert ACTIONS[action](type(bob).objects.get(pk=bob.pk)) == after
    assert AuditEntry.objects.get().label == "bob"


def test_who_may_only_look_ends_no_connection(client, alice, bob):
    alice.is_staff = True
    alice.save()
    alice.user_permissions.add(Permission.objects.get(codename="view_connection"))
    leases.begin("one", {"phone": leases.Link(bob.pk)})
    client.force_login(alice)
    assertContains(client.get("/admin/chat/connection/"), "bob")
    for action in ACTIONS:
        assert act(client, action, post="yes").status_code == 403
    assert Connection.objects.get().close_code is None
    assert not AuditEntry.objects.exists()


def test_who_may_hand_it_out_finds_the_buttons_on_a_rooms_page(client, bob, kitchen, lobby):
    staff(client, bob, "view_room", "can_export")
    assertContains(client.get(address(lobby)), f'action="{address(lobby, "export")}"')
    assertNotContains(client.get(address(kitchen)), address(kitchen, "export"))  # it is private
    staff(client, bob, "view_room")
    assertNotContains(client.get(address(lobby)), address(lobby, "export"))


def test_who_may_not_read_in_private_opens_no_private_room(client, charlie, kitchen):
    change = {"name": "Kitchen", "open": "on", **seats()}
    save(staff(client, charlie, "change_room"), kitchen, **change)
    kitchen.refresh_from_db()
    assert not kitchen.open
    save(staff(client, charlie, "change_room", "can_read_private"), kitchen, **change)
    kitchen.refresh_from_db()
    assert kitchen.open
