"""The API as it describes itself: complete, typed, true; and its page, in a real browser."""

import json
import re
import shutil
from uuid import uuid4

import pytest
from playwright.sync_api import expect, sync_playwright

from chat import api, conf, frames, leases, messaging
from tests.callers import Caller, messages
from tests.conftest import token
from tests.conversation import say

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture
def schema(client):
    return client.get("/api/openapi.json").json()


def operations(schema):
    return [
        (method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def properties(schema, name):
    return schema["components"]["schemas"][name]["properties"]


# Complete


def test_every_operation_says_what_it_is_for(schema):
    for _, path, operation in operations(schema):
        for field in ("summary", "description", "tags"):
            assert operation[field], path
    ids = [operation["operationId"] for *_, operation in operations(schema)]
    assert len(ids) == len({*ids}) > 7
    assert all(re.fullmatch(r"[a-z]+[A-Za-z]+", id) for id in ids)


def test_every_answer_and_every_refusal_has_a_type(schema):
    for _, path, operation in operations(schema):
        answers = operation["responses"]
        assert {"401", "403", "500", "503", "507"} <= answers.keys(), path
        for status, answer in answers.items():
            shape = answer["content"]["application/json"]["schema"]
            if int(status) >= 400:
                assert shape == {"$ref": "#/components/schemas/Problem"}
            else:
                assert "$ref" in shape.get("items", shape)


def test_what_has_a_body_says_which_and_how_it_may_be_refused(schema):
    for _, path, operation in operations(schema):
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= operation["responses"].keys(), path
            body = operation["requestBody"]
            assert body["required"]
            name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert properties(schema, name)


def test_every_place_in_an_address_is_described(schema):
    for _, path, operation in operations(schema):
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == {*re.findall(r"{(\w+)}", path)}
        assert all(p["schema"] and "description" in p for p in operation["parameters"] if named)


def test_whoever_may_ask_is_described(schema):
    schemes = schema["components"]["securitySchemes"]
    assert schemes["Bearer"]["scheme"] == "bearer"
    assert (schemes["Session"]["in"], schemes["Session"]["name"]) == ("cookie", "sessionid")
    open_to_all = [path for _, path, o in operations(schema) if "security" not in o]
    assert open_to_all == ["/api/token"]


def test_a_problem_tells_codes_and_when_to_come_back(schema):
    assert properties(schema, "Problem").keys() == {"code", "detail", "retry_after_ms"}


def test_limits_are_told(schema):
    assert properties(schema, "NewMessage")["body"]["maxLength"] == conf.BODY_CHARS
    assert properties(schema, "NewRoom")["name"]["maxLength"] == conf.ROOM_NAME_CHARS
    assert properties(schema, "NewRoom")["members"]["maxItems"] == api.INVITED


@pytest.mark.parametrize(
    "frame", [frames.Room, frames.Message, frames.Posted, frames.History, frames.User]
)
def test_what_frames_hold_is_described_without_being_written_twice(schema, frame):
    told = properties(schema, frame.__name__)
    of_connections = {"ref", "type"}
    assert told.keys() - {"type"} == {*frame.__struct_fields__} - of_connections


def test_a_description_names_no_machine(client, schema):
    assert schema["servers"] == []
    assert "testserver" not in json.dumps(schema)


# True


def test_the_answers_are_as_described(alice, bob, kitchen):
    leases.begin("one", {"b": leases.Link(bob.pk)})
    leases.end("one")
    say(alice, kitchen, "one", "two", "three")
    messaging.edit(alice, kitchen.pk, 1, "changed")
    messaging.delete(alice, kitchen.pk, 2)
    caller = Caller(token(alice))
    described = {
        api.UserShape: [caller.get("/api/me")],
        api.Ticket: [caller.post("/api/ticket")],
        api.RoomShape: [
            *caller.get("/api/rooms"),
            caller.post("/api/rooms", {"name": "Garden"}),
            caller.post("/api/direct", {"to": "bob"}),
        ],
        api.HistoryShape: [caller.history(kitchen)],
        api.MessageShape: caller.history(kitchen)["messages"],
        api.PostedShape: [caller.post(messages(kitchen), {"id": str(uuid4()), "body": "four"})],
    }
    for shape, answers in described.items():
        for answer in answers:
            assert answer.keys() <= shape.model_fields.keys()
            shape.model_validate_json(json.dumps(answer), strict=True)


# Its page


def test_the_page_is_served_by_ourselves(client):
    page = client.get("/api/docs").content.decode()
    assert "/static/ninja/swagger-ui-bundle.js" in page
    assert not re.search(r"(src|href)=.(https?:)?//", page)
    assert not re.search(r"<script>|<style|\bon\w+=|style=", page)


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def test_a_browser_shows_the_page_and_asks_from_it_within_our_policy(chromium, server):
    profile = chromium.new_context(base_url=f"http://127.0.0.1:{server.port}")
    page = profile.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto("/login/?next=/api/docs")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".opblock")).to_have_count(8, timeout=20_000)
    create = page.locator("#operations-Rooms-createRoom")
    create.locator(".opblock-summary-control").click()
    create.get_by_role("button", name="Try it out").click()
    create.locator("textarea").fill('{"name": "From the page"}')
    create.get_by_role("button", name="Execute").click()
    answer = create.locator(".live-responses-table .response-col_status").nth(1)
    expect(answer).to_contain_text("201", timeout=20_000)
    profile.close()
    assert complaints == []
