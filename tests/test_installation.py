"""The chat as an app that a browser installs."""

from django.contrib.staticfiles import finders
from django.templatetags.static import static


def test_whoever_installs_the_chat_gets_a_name_a_beginning_and_icons(client):
    answer = client.get("/manifest.webmanifest")
    assert answer["Content-Type"] == "application/manifest+json"
    app = answer.json()
    assert (app["name"], app["start_url"], app["display"]) == ("Roost", "/", "standalone")
    places = [icon["src"].removeprefix(static("")) for icon in app["icons"]]
    assert all(finders.find(place) for place in places)
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in app["icons"]}


def test_the_page_names_its_manifest(client, alice):
    client.force_login(alice)
    assert b'<link rel="manifest" href="/manifest.webmanifest">' in client.get("/").content
