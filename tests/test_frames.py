"""The wire: whatever a client says is a request or an error that says what is wrong with it."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chat import conf, frames
from chat.errors import BadFrame, BadJSON, ChatError, InvalidText, TooLarge, UnknownType

ID = "00000000-0000-4000-8000-000000000001"
REQUESTS = [
    {"type": "resume"},
    {"type": "resume", "cursors": {"kitchen": 7, "lobby": 0}, "limit": 100, "epoch": "e"},
    {"type": "post", "room": "kitchen", "id": ID, "body": "Hello"},
    {"type": "post", "to": "bob", "id": ID, "body": "Hello"},
    {"type": "edit", "room": "kitchen", "seq": 1, "body": "Goodbye"},
    {"type": "delete", "room": "kitchen", "seq": 1},
    {"type": "ack", "cursors": {"kitchen": 7}},
    {"type": "read", "room": "kitchen", "seq": 1},
    {"type": "open", "to": "bob"},
    {"type": "join", "room": "kitchen"},
    {"type": "leave", "room": "kitchen"},
    {"type": "create", "name": "Attic"},
    {"type": "create", "name": "News", "kind": "feed", "members": ["bob"], "open": True},
    {"type": "rename", "room": "kitchen", "name": "Galley"},
    {"type": "archive", "room": "kitchen", "archived": True},
    {"type": "invite", "room": "kitchen", "users": ["bob", "charlie"]},
    {"type": "remove", "room": "kitchen", "user": "bob"},
    {"type": "appoint", "room": "kitchen", "user": "bob", "role": "moderator"},
    {"type": "notify", "room": "kitchen", "level": "none"},
    {"type": "unread", "room": "kitchen", "seq": 3},
    {"type": "unread", "room": "kitchen"},
    {"type": "members", "room": "kitchen", "after": "alice", "limit": 100},
    {"type": "find", "query": "ali", "limit": 10},
    {"type": "block", "user": "bob", "blocked": False},
    {"type": "report", "room": "kitchen", "seq": 1, "reason": "Spam"},
    {"type": "report", "user": "bob", "reason": "A bot"},
    {"type": "prefer", "theme": "dark", "enter_sends": False},
    {"type": "history", "room": "kitchen", "before": 7, "limit": 50},
    {"type": "ping"},
]


def line(**fields):
    return json.dumps(fields)


def post(**fields):
    return line(**{"type": "post", "room": "kitchen", "id": ID, "body": "Hello"} | fields)


def read(seq):
    """A `read` with this piece of JSON as its place."""
    return f'{{"type": "read", "room": "kitchen", "seq": {seq}}}'


def ping(unknown):
    """A `ping` with this piece of JSON in a field that it does not have."""
    return f'{{"type": "ping", "unknown": {unknown}}}'


# What is right


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request["type"])
def test_every_request_is_understood(request_):
    for ref in ({}, {"ref": "r1"}):
        assert msgspec.to_builtins(frames.parse(line(**request_, **ref))) == request_ | ref


def test_a_request_carries_values_of_our_types():
    assert frames.parse(post(ref="r1")) == frames.Post(
        ref="r1", room="kitchen", id=UUID(ID), body="Hello"
    )


def test_the_order_of_fields_does_not_matter():
    assert frames.parse('{"room": "kitchen", "type": "join"}') == frames.Join(room="kitchen")


def test_unknown_fields_are_ignored():
    assert frames.parse(line(type="ping", sender="admin", seq=9, is_admin=True)) == frames.Ping()


@pytest.mark.parametrize(
    "value", ["null", "1e999", "-0.0", "9" * 5000, '"\\u0000"', "[[], {}]", "[" * 200 + "]" * 200]
)
def test_unknown_fields_are_ignored_whatever_they_hold(value):
    assert frames.parse(ping(value)) == frames.Ping()


@pytest.mark.parametrize("blank", [" ", "\t", "\r"])
def test_blanks_around_a_frame_do_not_matter(blank):
    assert frames.parse(f'{blank}{{"type": "ping"}}{blank}') == frames.Ping()


@pytest.mark.parametrize("body", ["字", "😀", "\\ud83d\\ude00", "\u202e", "a\u0301", "__proto__"])
def test_any_text_that_can_be_stored_comes_through(body):
    text = f'{{"type": "post", "room": "kitchen", "id": "{ID}", "body": "{body}"}}'
    assert frames.parse(text).body == json.loads(f'"{body}"')


def test_a_backslash_that_somebody_wrote_before_u0000_is_no_nul():
    body = r"print('\u0000')"
    assert frames.parse(post(body=body)).body == body


@pytest.mark.parametrize("number", [0, 1, 2**53 + 1, 2**63 - 1])
def test_numbers_go_up_to_what_the_database_can_hold(number):
    assert frames.parse(read(number)).seq == number


@pytest.mark.parametrize("body", ["", " ", "x" * 4001])
def test_how_long_a_body_may_be_is_not_decided_here(body):
    assert frames.parse(post(body=body)).body == body


@pytest.mark.parametrize(
    "text", [ID, ID.upper(), ID.replace("-", ""), str(UUID(int=0)), str(UUID(int=2**128 - 1))]
)
def test_an_id_is_any_uuid(text):
    assert frames.parse(post(id=text)).id == UUID(text)


def test_of_a_field_given_twice_the_last_one_counts():
    assert frames.parse('{"type": "join", "room": "a", "room": "b"}') == frames.Join(room="b")


# What is wrong


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        "{",
        "{'type': 'ping'}",
        '{"type": "ping"',
        '{"type": "ping",}',
        '{"type": "ping"} x',
        '{"type": "ping"} {"type": "ping"}',
        '\ufeff{"type": "ping"}',
        '{"type": "ping"}\0',
        '{"type": "ping", "x": "\t"}',
        '{"type": "ping", "x": "\0"}',
        ping("NaN"),
        ping("Infinity"),
        ping("-Infinity"),
        ping("01"),
        ping("+1"),
        ping("'x'"),
        read("NaN"),
        read("-Infinity"),
        read("0x10"),
        read("9" * 5000),
        "9" * 5000,
        "-" * 1000,
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(BadJSON):
        frames.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 60_000,
        '{"a":' * 12_000,
        "[" * 30_000 + "]" * 30_000,
        ping("[" * 30_000 + "]" * 30_000),
        ping('{"a":' * 10_000 + "1" + "}" * 10_000),
        read("[" * 30_000 + "]" * 30_000),
    ],
    ids=range(7),
)
def test_depth_is_refused_and_does_no_harm(text):
    with pytest.raises(BadJSON):
        frames.parse(text)
    assert frames.ref_of(text) is None


@pytest.mark.parametrize("text", ["[]", "1", "null", "true", '"ping"', '[{"type": "ping"}]'])
def test_what_is_no_object_is_no_frame(text):
    with pytest.raises(BadFrame):
        frames.parse(text)


@pytest.mark.parametrize("fields", [{}, {"room": "kitchen"}, {"Type": "ping"}])
def test_a_frame_has_a_type(fields):
    with pytest.raises(BadFrame, match="type"):
        frames.parse(line(**fields))


@pytest.mark.parametrize("kind", [None, 1, True, [], {}, ["ping"]])
def test_a_type_is_a_text(kind):
    with pytest.raises(BadFrame):
        frames.parse(line(type=kind))


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "nope",
        "Ping",
        "ping ",
        "ping\x00",
        "message",
        "posted",
        "close",
        "disconnect",
        "send",
        "websocket.receive",
        "websocket.disconnect",
        "chat.announcement",
        "__class__",
        "__init__",
        "decode",
        "encode_hex",
        "_x",
        "Post",
        "constructor",
        "__proto__",
    ],
)
def test_any_other_type_is_unknown_however_python_calls_its_own(kind):
    with pytest.raises(UnknownType):
        frames.parse(line(type=kind))


def test_two_types_are_one_too_many():
    with pytest.raises(BadFrame):
        frames.parse('{"type": "ping", "type": "join", "room": "kitchen"}')


REQUIRED = [
    (request, field)
    for request in REQUESTS
    for field in request
    if field not in ("type", "limit", "epoch", "before", "kind", "members", "open", "after")
    and (request["type"], field) not in (("resume", "cursors"), ("unread", "seq"))
    and request["type"] != "prefer"  # whatever is to change
]


@pytest.mark.parametrize(("request_", "field"), REQUIRED)
def test_what_is_missing_is_named(request_, field):
    rest = {name: value for name, value in request_.items() if name != field}
    with pytest.raises(BadFrame, match=field):
        frames.parse(line(**rest))


FIELDS = [(request, field) for request in REQUESTS for field in request if field != "type"]


@pytest.mark.parametrize(("request_", "field"), FIELDS)
def test_what_has_another_type_is_named(request_, field):
    right = type(request_[field])
    for wrong in (True, False, 1.0, 1.5, -1, 2**63, 2**64, "1", [], [1], {}, {"a": "1"}):
        if type(wrong) is not right or (right is int and not 0 <= wrong < 2**63):
            if right is dict and wrong == {}:
                continue
            with pytest.raises(BadFrame, match=field):
                frames.parse(line(**request_ | {field: wrong}))


@pytest.mark.parametrize("seq", ["true", "1.0", '"1"', "1e3", "1e999", "-1", "null", "[1]", "{}"])
def test_what_looks_like_a_number_is_none(seq):
    with pytest.raises(BadFrame, match="seq"):
        frames.parse(read(seq))


@pytest.mark.parametrize("rev", ["true", "1.0", '"1"', "-1", "null", str(2**63), "1e999"])
def test_a_cursor_is_a_number(rev):
    for kind in ("resume", "ack"):
        with pytest.raises(BadFrame, match="cursors"):
            frames.parse(f'{{"type": "{kind}", "cursors": {{"kitchen": {rev}}}}}')


@pytest.mark.parametrize("limit", [0, -1, 2**63])
def test_a_piece_of_history_has_a_length(limit):
    with pytest.raises(BadFrame, match="limit"):
        frames.parse(line(type="history", room="kitchen", limit=limit))


def test_one_place_in_history_at_a_time():
    with pytest.raises(BadFrame, match="`before`, `after`, `around`"):
        frames.parse(line(type="history", room="kitchen", before=0, after=0))


@pytest.mark.parametrize("where", [{"room": "kitchen", "to": "bob"}, {"room": None, "to": None}])
def test_a_post_has_either_a_room_or_a_person(where):
    with pytest.raises(BadFrame, match="either `room` or `to`"):
        frames.parse(post(**where))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "x",
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID[:-1],
        f"{ID}0",
        ID.replace("0", "０"),
        1,
        1.5,
        True,
        None,
        [],
        {},
        [ID],
    ],
    ids=str,
)
def test_an_id_of_any_other_shape_is_refused(value):
    with pytest.raises(BadFrame, match="id"):
        frames.parse(post(id=value))


@pytest.mark.parametrize("field", ["ref", "room"])
def test_names_have_a_length(field):
    assert frames.parse(post(**{field: "x" * 64}))
    with pytest.raises(BadFrame, match=field):
        frames.parse(post(**{field: "x" * 65}))


# Text that cannot be stored


@pytest.mark.parametrize(
    "request_",
    [
        line(type="post", room="kitchen", id=ID, body="a\0b"),
        line(type="post", room="kitchen\0", id=ID, body="Hello"),
        line(type="post", to="bob\0", id=ID, body="Hello"),
        line(type="edit", room="kitchen", seq=1, body="\0"),
        line(type="join", room="\0"),
        line(type="ack", cursors={"kitchen": 1, "\0": 1}),
        line(type="resume", cursors={"\0": 1}),
        line(type="resume", epoch="\0"),
        line(type="ping", ref="\0"),
    ],
)
def test_a_nul_is_refused_wherever_it_would_be_used(request_):
    with pytest.raises(InvalidText):
        frames.parse(request_)


@pytest.mark.parametrize("lone", [r"\ud800", r"\udfff", r"\udc00\ud800", r"x\udbff y"])
def test_a_lone_surrogate_is_refused_in_every_field(lone):
    for text in (
        f'{{"type": "post", "room": "kitchen", "id": "{ID}", "body": "{lone}"}}',
        f'{{"type": "join", "room": "{lone}"}}',
        f'{{"type": "ack", "cursors": {{"{lone}": 1}}}}',
        f'{{"type": "ping", "ref": "{lone}"}}',
        f'{{"type": "ping", "unknown": "{lone}"}}',
        f'{{"type": "ping", "{lone}": 1}}',
        f'{{"type": "{lone}"}}',
    ):
        with pytest.raises(InvalidText):
            frames.parse(text)


def test_a_lone_surrogate_is_refused_even_unescaped():
    with pytest.raises(InvalidText):
        frames.parse('{"type": "ping", "unknown": "\ud800"}')


# Whatever comes


def json_values(leaves):
    return st.recursive(
        leaves | st.none() | st.booleans() | st.integers(),
        lambda children: st.lists(children) | st.dictionaries(st.text(), children),
        max_leaves=8,
    )


surrogates_and_controls = st.text(st.characters(categories=["Cs", "Cc"]))
telling = st.sampled_from([ID, "kitchen", "\0", 2**63 - 1])
harmless_values = json_values(st.text() | st.floats(allow_nan=False, allow_infinity=False))
values = json_values(st.text() | st.floats() | surrogates_and_controls | telling)
names = st.sampled_from(
    ["ref", "room", "to", "id", "body", "seq", "cursors", "limit", "before", "epoch"]
)
kinds = st.sampled_from([request["type"] for request in REQUESTS])
bad_frames = st.builds(
    lambda kind, fields: line(**fields | {"type": kind}),
    kinds | values,
    st.dictionaries(names | st.text(), values, max_size=6),
)


def parses_or_explains(text):
    """Raises nothing but a ChatError, which can be told to the client."""
    try:
        outcome = frames.parse(text)
    except ChatError as error:
        outcome = frames.Error(code=error.code, detail=str(error))
    assert frames.encode(outcome)
    assert len(frames.ref_of(text) or "") <= 64


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Po", "Nd"])))
def test_no_text_raises_anything_but_an_error_for_the_client(text):
    parses_or_explains(text)


@given(bad_frames)
def test_no_frame_raises_anything_but_an_error_for_the_client(text):
    parses_or_explains(text)


@given(st.sampled_from(REQUESTS), st.data())
def test_no_damage_raises_anything_but_an_error_for_the_client(request, data):
    text = line(**request)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    parses_or_explains(text[:start] + data.draw(st.text(max_size=8)) + text[end:])


@given(st.sampled_from(REQUESTS), st.dictionaries(st.text(), harmless_values, max_size=4))
def test_a_good_request_stays_good_whatever_stands_beside_it(request, beside):
    fields = type(frames.parse(line(**request))).__struct_fields__
    assume(not beside.keys() & {"type", *fields})
    assert frames.parse(line(**request, **beside)) == frames.parse(line(**request))


# Whose question was it


@pytest.mark.parametrize(
    "text",
    ['{"ref": "r1"}', '{"type": "nope", "ref": "r1"}', '{"ref": "r1", "type": 1}', post(ref="r1")],
)
def test_the_ref_of_a_bad_frame_is_recovered(text):
    assert frames.ref_of(text) == "r1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '"ref"',
        "{}",
        '["ref"]',
        '{"ref": 1}',
        '{"ref": null}',
        '{"ref": ["r"]}',
        '{"ref": "\\ud800"}',
        '{"ref": "\\u0000"}',
        line(ref="x" * 65),
        '{"ref": "r1"',
        f'{{"ref": "r1", "seq": {"9" * 5000}}}',
    ],
    ids=lambda text: text[:30],
)
def test_where_no_ref_can_be_told_there_is_none(text):
    assert frames.ref_of(text) is None


# Lines and WebSocket messages


def test_a_websocket_message_is_one_or_more_lines():
    assert frames.split("a\nb\n\n \r\nc\n", limit=100) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "\n", " \n\t\r\n "])
def test_a_websocket_message_without_a_line_is_refused(text):
    with pytest.raises(BadJSON):
        frames.split(text, limit=100)


@pytest.mark.parametrize("character", ["x", "é", "字", "😀"])
def test_a_websocket_message_is_measured_in_bytes(character):
    fitting = conf.MESSAGE_BYTES // len(character.encode())
    assert frames.split(character * fitting, conf.MESSAGE_BYTES) == [character * fitting]
    with pytest.raises(TooLarge):
        frames.split(character * (fitting + 1), conf.MESSAGE_BYTES)


some_lines = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), max_size=30)


@given(some_lines, st.integers(1, 60))
def test_packed_lines_keep_their_order_and_the_limit(texts, limit):
    lines = [text.encode() for text in texts]
    payloads = list(frames.pack(lines, limit))
    assert "\n".join(payloads).split("\n") == (texts or [""])
    assert all(len(p.encode()) <= limit or p.encode() in lines for p in payloads)


def test_a_line_that_is_too_long_goes_alone():
    assert list(frames.pack([b"a", b"b", b"x" * 50, b"c", b"d"], 10)) == ["a\nb", "x" * 50, "c\nd"]


def test_nothing_to_say_is_no_websocket_message():
    assert list(frames.pack([], 10)) == []


# What we say


def test_fields_at_their_default_do_not_travel():
    assert frames.encode(frames.Ok()) == b'{"type":"ok"}'
    assert frames.encode(frames.Ok(ref="r1")) == b'{"type":"ok","ref":"r1"}'


def test_a_frame_is_one_line_whatever_was_said():
    frame = message(body='a\nb\r\n\0"\\\u2028字')
    encoded = frames.encode(frame)
    assert b"\n" not in encoded
    assert json.loads(encoded)["body"] == frame.body


def test_what_another_worker_encoded_is_read_as_it_was():
    for frame in (message(), message(deleted=True, body=None), message(sender=None)):
        assert frames.decode_message(frames.encode(frame)) == frame


def message(**fields):
    return frames.Message(
        **{"room": "r", "seq": 1, "rev": 2, "id": UUID(ID), "sender": "alice", "at": "2026"}
        | {"body": "Hello"}
        | fields
    )


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 20, 10, 0, 0, 0, UTC), "2026-11-20T10:00:00.000Z"),
        (datetime(2026, 11, 20, 10, 0, 0, 123_999, UTC), "2026-11-20T10:00:00.123Z"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=8))), "2025-12-31T17:00:00.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(moment, text):
    assert frames.timestamp(moment) == text
