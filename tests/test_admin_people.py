"""Staff see who is there and act on it, each as far as they may; all of it is written down."""

from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from chat import access, control, leases
from chat.models import Access, AuditEntry, Connection, Lease, Membership, Token
from tests.conftest import token, user
from tests.conversation import crowd, queries, seat_of

PEOPLE = "/admin/chat/access/"
CONNECTIONS = "/admin/chat/connection/"
MAY = {
    "ban": "can_ban",
    "lift_ban": "can_ban",
    "mute": "can_mute",
    "unmute": "can_mute",
    "kick": "can_kick",
    "disconnect": "can_disconnect",
    "end_sessions": "can_end_sessions",
}


def staff(client, user, *codenames):
    """A browser in which this user is logged in to the panel, and may do this."""
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


@pytest.fixture
def panel(admin_client):
    return admin_client


def page(person):
    return f"{PEOPLE}{person.pk}/change/"


def measure(name, person):
    return f"{PEOPLE}{person.pk}/{name}/"


def take(panel, name, person, **answers):
    """Answer the page that asks whether to do this."""
    return panel.post(measure(name, person), {"post": "yes", **answers})


FOR_AN_HOUR = {"life": "1h", "reason": "Spam"}


def ban_of(person):
    row = Access.objects.get(pk=person.pk)
    return row.banned_until, row.ban_reason


def whole(person):
    """All that a measure might change."""
    seats = Membership.objects.filter(user=person).values_list("muted_until", "mute_reason")
    tokens = Token.objects.filter(user=person).count()
    return (Access.objects.filter(pk=person.pk).values().get(), list(seats.order_by("pk")), tokens)


def connect(person, key="phone", worker="one", **about):
    leases.begin(worker, {key: leases.Link(person.pk, **about)})


def entries():
    return list(AuditEntry.objects.order_by("pk").values_list("action", "label", "comment"))


def let_in(room):
    """Whoever was put there past the chat, as if they had come by themselves."""
    keys = list(Membership.objects.filter(room=room).values_list("user", flat=True))
    Access.objects.bulk_create([Access(user_id=key) for key in keys], ignore_conflicts=True)
    return keys


def names(response):
    return [str(row.user) for row in response.context["cl"].result_list]


# One person


def test_bob_is_banned_for_an_hour(panel, bob):
    before = timezone.now()
    assertContains(panel.get(measure("ban", bob)), "bob")
    assert ban_of(bob) == (None, "")
    assert take(panel, "ban", bob, **FOR_AN_HOUR).status_code == 302
    until, reason = ban_of(bob)
    assert timedelta(hours=1) <= until - before < timedelta(hours=2)
    assert reason == "Spam"
    assert access.standing(bob.pk).banned
    assert entries() == [("banned", "bob", "Spam")]


def test_bob_is_banned_for_good(panel, bob):
    take(panel, "ban", bob, life="for_good", reason="Spam")
    assert ban_of(bob)[0] - timezone.now() > timedelta(days=36_000)
    assertContains(panel.get(page(bob)), "for good")


def test_bob_is_banned_until_a_moment(panel, bob):
    until = timezone.localtime(timezone.now() + timedelta(days=2)).replace(second=0, microsecond=0)
    take(panel, "ban", bob, life="until", until=f"{until:%Y-%m-%dT%H:%M}", reason="Spam")
    assert ban_of(bob)[0] == until


@pytest.mark.parametrize(
    "answers",
    [
        {"life": "1h"},
        {"life": "1h", "reason": " "},
        {"life": "1h", "reason": "x" * 201},
        {"life": "1y", "reason": "Spam"},
        {"reason": "Spam"},
        {"life": "until", "reason": "Spam"},
        {"life": "until", "until": "2020-01-01T10:00", "reason": "Spam"},
        {"life": "until", "until": "tomorrow", "reason": "Spam"},
    ],
    ids=str,
)
def test_a_ban_needs_an_end_ahead_and_a_reason(panel, bob, answers):
    response = take(panel, "ban", bob, **answers)
    assertContains(response, "errorlist")
    assert ban_of(bob) == (None, "")
    assert entries() == []


def test_a_ban_is_lifted(panel, bob):
    control.ban(bob, timezone.now() + timedelta(days=1), "Spam")
    assertContains(panel.get(page(bob)), measure("lift_ban", bob))
    assert take(panel, "lift_ban", bob).status_code == 302
    assert ban_of(bob) == (None, "")
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.after) == ("unbanned", {"banned_until": None})
    assert entry.before["banned_until"]


def test_who_is_not_banned_has_no_ban_to_lift(panel, bob):
    assertNotContains(panel.get(page(bob)), measure("lift_ban", bob))


def test_bob_is_muted_in_the_kitchen_alone(panel, bob, kitchen, lobby):
    take(panel, "mute", bob, room=kitchen.pk, **FOR_AN_HOUR)
    assert seat_of(bob, kitchen).muted_until > timezone.now()
    assert seat_of(bob, kitchen).mute_reason == "Spam"
    assert seat_of(bob, lobby).muted_until is None
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.room, entry.kind) == ("muted", kitchen.pk, "user")
    take(panel, "unmute", bob, room=kitchen.pk)
    assert seat_of(bob, kitchen).muted_until is None
    assert entries()[1] == ("unmuted", "bob", "")


def test_nobody_is_muted_where_they_are_not(panel, charlie, kitchen):
    assertContains(take(panel, "mute", charlie, room=kitchen.pk, **FOR_AN_HOUR), "errorlist")
    assert entries() == []


def test_whom_to_mute_where_is_found_among_their_rooms(panel, bob, charlie, kitchen, lobby):
    def found(person, term, **more):
        response = panel.get(measure("rooms", person), {"term": term, **more})
        return [room["text"] for room in response.json()["results"]]

    assert found(bob, "itch") == ["Kitchen"]
    assert found(bob, "") == ["Kitchen", "Lobby"]
    assert found(charlie, "itch") == []
    assert found(bob, "", page="2") == []
    assert found(bob, "", page="-1") == ["Kitchen", "Lobby"]


@pytest.mark.parametrize(("name", "code"), [("kick", 4503), ("disconnect", 4010)])
def test_bob_is_sent_off(panel, bob, name, code):
    assert take(panel, name, bob).status_code == 302
    assert Access.objects.get(pk=bob.pk).close_code == code


def test_bobs_sessions_are_ended(panel, client, bob):
    client.force_login(bob)
    token(bob)
    take(panel, "end_sessions", bob)
    assert client.get("/").status_code == 302
    assert not Token.objects.filter(user=bob).exists()
    assert entries() == [("sessions_ended", "bob", "")]


ELSEWHERE = {"message": "view_message", "report": "view_report", "waiting": "view_waiting"}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_what_bob_said_and_what_is_said_of_him_is_a_click_away(client, charlie, bob, place):
    there = f'href="/admin/chat/{place}/?q=bob"'
    needed = ELSEWHERE[place]
    others = {*ELSEWHERE.values()} - {needed}
    assertContains(staff(client, charlie, "view_access", needed).get(page(bob)), there)
    assertNotContains(staff(client, charlie, "view_access", *others).get(page(bob)), there)


def test_nobody_is_nobody(panel, db):
    for name in MAY:
        assert panel.get(f"{PEOPLE}999999/{name}/").status_code == 404
        assert panel.get(f"{PEOPLE}x/{name}/").status_code == 404


# Who may do what


def answers_to(name, kitchen):
    room = {"room": kitchen.pk} if "mute" in name else {}
    return room | (FOR_AN_HOUR if name in ("ban", "mute") else {})


@pytest.mark.parametrize("name", MAY)
def test_each_measure_has_a_permission_of_its_own(client, charlie, bob, kitchen, name):
    token(bob)
    control.mute(bob, kitchen.pk, timezone.now() + timedelta(days=1), "Before")
    before = whole(bob)
    others = {*MAY.values(), "view_access", "change_access"} - {MAY[name]}
    staff(client, charlie, *others)
    assertNotContains(client.get(page(bob)), measure(name, bob))
    assert client.get(measure(name, bob)).status_code == 403
    assert take(client, name, bob, **answers_to(name, kitchen)).status_code == 403
    assert whole(bob) == before
    assert entries() == []
    staff(client, charlie, MAY[name])
    assert client.get(measure(name, bob)).status_code == 200
    assert whole(bob) == before, "only asked"
    assert take(client, name, bob, **answers_to(name, kitchen)).status_code == 302
    assert whole(bob) != before
    [entry] = AuditEntry.objects.all()
    assert (entry.actor_name, entry.kind, entry.key) == ("charlie", "user", str(bob.pk))


@pytest.mark.parametrize("name", ["ban", "kick", "end_sessions", "mute"])
def test_nobody_does_it_to_themselves_or_to_a_superuser(client, charlie, bob, kitchen, name):
    charlie.is_superuser = True
    charlie.save()
    staff(client, bob, *MAY.values(), "view_access")
    for person, why in ((bob, "to yourself"), (charlie, "Only a superuser")):
        before = whole(person)
        assertContains(client.get(page(person)), why)
        assertContains(client.get(measure(name, person)), why, status_code=403)
        answers = answers_to(name, kitchen)
        assertContains(take(client, name, person, **answers), why, status_code=403)
        assert whole(person) == before
    assert entries() == []


def test_members_without_a_desk_see_nothing(client, bob):
    client.force_login(bob)
    for place in (PEOPLE, page(bob), measure("ban", bob), measure("rooms", bob)):
        assert client.get(place).status_code == 302  # to log in as somebody else


def test_a_page_shows_what_else_its_reader_may_look_at(client, charlie, bob, kitchen):
    connect(bob, client="Firefox")
    token(bob)
    control.mute(bob, kitchen.pk, timezone.now() + timedelta(days=1), "Rude")
    staff(client, charlie, "view_access")
    for words in ("Firefox", "Kitchen", "1 token", "audit log"):
        assertNotContains(client.get(page(bob)), words)
    more = ["view_connection", "view_membership", "view_token", "view_auditentry"]
    staff(client, charlie, "view_access", *more)
    for words in ("Firefox", "Kitchen", "Rude", "1 token", "audit log"):
        assertContains(client.get(page(bob)), words)


# All people


def test_people_are_found_by_how_their_names_begin(panel, alice, bob, charlie):
    assert names(panel.get(PEOPLE, {"q": "Bo"})) == ["bob"]
    assert names(panel.get(PEOPLE, {"q": "ob"})) == []


def test_the_list_tells_who_is_online_banned_and_muted(panel, alice, bob, charlie, kitchen):
    connect(alice)
    control.ban(bob, timezone.now() + timedelta(days=1))
    control.ban(charlie, timezone.now() - timedelta(days=1))
    control.mute(bob, kitchen.pk, timezone.now() + timedelta(days=1))
    rows = panel.get(PEOPLE).context["cl"].result_list
    assert {str(row.user): (row.connections, row.is_muted) for row in rows} == {
        "admin": (0, False),
        "alice": (1, False),
        "bob": (0, True),
        "charlie": (0, False),
    }
    assert names(panel.get(PEOPLE, {"online": "yes"})) == ["alice"]
    assert names(panel.get(PEOPLE, {"banned": "yes"})) == ["bob"]


def test_many_are_banned_at_once(panel, alice, bob, charlie):
    chosen = {"action": "ban", "_selected_action": [alice.pk, bob.pk]}
    question = panel.post(PEOPLE, chosen)
    assertContains(question, "alice")
    assertContains(question, "bob")
    assert not access.standing(bob.pk).banned
    assertContains(panel.post(PEOPLE, {**chosen, "post": "yes"}), "errorlist")  # of the form
    panel.post(PEOPLE, {**chosen, "post": "yes", **FOR_AN_HOUR})
    assert [access.standing(each.pk).banned for each in (alice, bob, charlie)] == [1, 1, 0]
    assert entries() == [("banned", "alice", "Spam"), ("banned", "bob", "Spam")]


def test_nobody_is_banned_if_one_of_them_may_not_be(client, alice, bob):
    staff(client, alice, "view_access", "can_ban")
    chosen = {"action": "ban", "_selected_action": [alice.pk, bob.pk], "post": "yes"}
    assert client.post(PEOPLE, {**chosen, **FOR_AN_HOUR}).status_code == 403
    assert not access.standing(bob.pk).banned
    assert entries() == []


def test_who_may_only_look_bans_nobody_from_the_list(client, charlie, bob):
    staff(client, charlie, "view_access")
    chosen = {"action": "ban", "_selected_action": [bob.pk], "post": "yes"}
    assert client.post(PEOPLE, {**chosen, **FOR_AN_HOUR}).status_code == 403
    assert ban_of(bob) == (None, "")


def test_what_is_asked_about_a_whole_list_is_done_to_all_of_it(panel, alice, bob, charlie):
    leases.begin("one", {f"phone{n}": leases.Link(bob.pk) for n in range(60)})
    chosen = {"action": "disconnect", "select_across": "1", "_selected_action": ["phone1"]}
    keys = panel.post(CONNECTIONS, chosen).context["selected"]
    panel.post(CONNECTIONS, {"action": "disconnect", "_selected_action": keys, "post": "yes"})
    assert Connection.objects.filter(close_code=4010).count() == 60


def test_so_many_at_once_are_refused_in_words(panel, station):
    let_in(station)
    everybody = {"action": "kick", "select_across": "1", "_selected_action": [1]}
    assertContains(panel.post(PEOPLE, everybody, follow=True), "at most 200")
    assert entries() == []


def test_as_few_queries_for_many_people_as_for_few(panel, alice, bob, kitchen, lobby):
    places = [PEOPLE, f"{PEOPLE}?q=guest", f"{PEOPLE}?online=yes", CONNECTIONS, page(bob)]
    connect(bob)
    connect(user("guest"), "tablet", "two")

    def cost():
        return [queries(lambda place=place: panel.get(place)) for place in places]

    few = cost()
    crowd(lobby, 300)
    leases.begin("many", {f"phone{key}": leases.Link(key) for key in let_in(lobby)})
    assert max(new - old for old, new in zip(few, cost(), strict=True)) <= 1  # a count for pages
    assert max(few) <= 20


# Connections


def test_connections_are_found_by_name_and_address(panel, alice, bob):
    connect(alice, "laptop", "one", address="203.0.113.7")
    connect(bob, "phone", "two", address="2001:db8::1")
    for asked, found in (("203.0", ["alice"]), ("bo", ["bob"]), ("2001:db8::1", ["bob"])):
        assert names(panel.get(CONNECTIONS, {"q": asked})) == found
    assert names(panel.get(CONNECTIONS, {"worker": "one"})) == ["alice"]


def test_connections_of_a_dead_worker_are_not_there(panel, bob):
    connect(bob)
    Lease.objects.update(renewed_at=Now() - 2 * leases.LIFE)
    assert names(panel.get(CONNECTIONS)) == []
    assert panel.get(f"{CONNECTIONS}phone/disconnect/").status_code == 404


def test_a_connection_tells_its_rooms_and_what_can_be_done(panel, bob, kitchen, lobby):
    connect(bob)
    [row] = panel.get(CONNECTIONS).context["cl"].result_list
    assert row.rooms == 2
    about = panel.get(f"{CONNECTIONS}phone/change/")
    for words in ("Kitchen", "Lobby", f"{CONNECTIONS}phone/disconnect/", measure("kick", bob)):
        assertContains(about, words)


def test_one_connection_is_closed_from_its_page(client, charlie, bob):
    connect(bob, address="203.0.113.7")
    place = f"{CONNECTIONS}phone/disconnect/"
    staff(client, charlie, "view_connection", "can_kick")
    assert client.post(place, {"post": "yes"}).status_code == 403
    assert Connection.objects.get().close_code is None
    staff(client, charlie, "view_connection", "can_disconnect")
    assertContains(client.get(place), "203.0.113.7")
    assert client.post(place, {"post": "yes"}).status_code == 302
    assert Connection.objects.get().close_code == 4010
    assert entries() == [("disconnected", "bob", "")]


def test_a_connection_that_has_gone_meanwhile_is_told(panel, bob):
    chosen = {"action": "disconnect", "_selected_action": ["phone"], "post": "yes"}
    assertContains(panel.post(CONNECTIONS, chosen, follow=True), "not there any more")
    assert entries() == []


def test_who_may_hand_it_out_finds_the_button_on_a_persons_page(client, charlie, bob):
    for more, there in ((["can_export"], 1), ([], 0)):
        staff(client, charlie, "view_access", *more)
        assertContains(client.get(page(bob)), f'action="{measure("export", bob)}"', count=there)


# Whom to bring in


def test_whoever_may_bring_people_in_finds_them(client, alice, bob, charlie, kitchen):
    panel = staff(client, charlie, "view_room", "change_room", "view_membership", "add_membership")
    finder = "/admin/chat/membership/people/"
    for page in ("membership/add/", f"room/{quote(kitchen.pk)}/change/"):
        assertContains(panel.get(f"/admin/chat/{page}"), f'data-ajax--url="{finder}"')
    found = panel.get(finder, {"term": "al"}).json()
    assert found == {
        "results": [{"id": str(alice.pk), "text": "alice"}],
        "pagination": {"more": False},
    }
    for page in ("0", "999999", "9" * 5000, "x"):
        assert panel.get(finder, {"page": page}).status_code == 200


def test_whoever_may_not_bring_people_in_finds_nobody(client, alice, charlie):
    panel = staff(client, charlie, "view_membership", "change_membership")
    assert panel.get("/admin/chat/membership/people/").status_code == 403


@pytest.mark.parametrize("mute", [{"mute_reason": "Spam"}, {"muted_until_0": "2030-01-01"}])
def test_nobody_can_be_brought_in_to_be_silent(panel, kitchen, mute):
    answer = panel.post(
        "/admin/chat/membership/add/", {"room": kitchen.pk, "role": "member"} | mute
    )
    assert answer.status_code == 200
    assertContains(answer, "This field is required.")
