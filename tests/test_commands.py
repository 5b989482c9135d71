"""What an operator types."""

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command

from chat import access, messaging, rooms
from chat.models import Membership, Message, Room
from tests.failures import epoch


@pytest.fixture
def demo(db, settings):
    """Runs the command; it has run once."""
    settings.DEBUG = True

    def run():
        call_command("demo", verbosity=0)

    run()
    return run


def person(name):
    return get_user_model().objects.get(username=name)


def everything():
    models = (get_user_model(), Room, Membership, Message)
    return {model: list(model._default_manager.order_by("pk").values()) for model in models}


def test_demo_users_can_log_in(demo):
    for name in ("alice", "bob", "charlie"):
        assert authenticate(username=name, password="demo").get_full_name() == name.title()
    admin = authenticate(username="admin", password="admin")
    assert admin.is_staff
    assert admin.is_superuser


def test_demo_rooms_are_the_lobby_the_kitchen_and_a_direct_talk(demo):
    names = {seat.peer or seat.room.name for seat in seats("bob")}
    assert names == {"Lobby", "Kitchen", "alice"}
    assert [seat.room.name for seat in seats("charlie")] == ["Lobby"]


def seats(name):
    return access.standing(person(name).pk).seats.values()


def test_three_messages_in_the_kitchen_wait_for_bob(demo):
    kitchen = Membership.objects.get(room__name="Kitchen", user=person("bob"))
    assert kitchen.room.seq - kitchen.read_seq == 3


def test_a_second_demo_adds_and_changes_nothing(demo):
    before = everything()
    demo()
    assert everything() == before


def test_a_second_demo_leaves_alone_what_people_changed(demo):
    alice, bob = person("alice"), person("bob")
    alice.set_password("her own")
    alice.first_name = "Alicia"
    alice.save()
    kitchen = Room.objects.get(name="Kitchen")
    Room.objects.update(name="Elsewhere")
    messaging.delete(alice, kitchen.pk, 1)
    messaging.edit(alice, kitchen.pk, 3, "Changed.")
    rooms.leave(bob, kitchen.pk)
    before = everything()
    demo()
    assert everything() == before


def test_there_are_no_demo_users_in_production(db, settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG=1"):
        call_command("demo")
    assert not get_user_model().objects.exists()


def test_demo_users_that_got_into_production_cannot_log_in(demo, settings):
    settings.AUTHENTICATION_BACKENDS = ["project.backends.NoDemoUsers"]
    for name, password in (("alice", "demo"), ("admin", "admin")):
        assert authenticate(username=name, password=password) is None
    alice = person("alice")
    alice.set_password("her own")
    alice.save()
    assert authenticate(username="alice", password="her own") == alice


def test_new_epoch_begins_another_life_of_the_database(db, capsys):
    before = epoch()
    call_command("new_epoch")
    assert epoch() != before
    assert epoch() in capsys.readouterr().out
