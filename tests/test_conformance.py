"""RFC 6455 on the wire, octet by octet: what the server says back, and what it refuses."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

import pytest

from tests.asgi_servers import RudeClient
from tests.servers import Server

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

PROTOCOL_ERROR, INVALID_PAYLOAD = 1002, 1007

MASK = b"\x9d\x04\xe2\x7b"

ECHO = ("-m", "project.server", "tests.echo:application")

WHOLE = 1 << 20  # at a time: more than any test sends
OCTET = 1


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("echoing") / "log"
    with Server(log, dict(os.environ), ECHO) as server:
        yield server
    assert "Traceback" not in log.read_text()


@pytest.fixture
def client(echoing: Server) -> Iterator[RudeClient]:
    with RudeClient(echoing, "/") as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes = MASK
) -> bytes:
    first = bytes([fin << 7 | reserved << 4 | opcode])
    return first + coded(len(payload), bool(mask)) + mask + masked(payload, mask)


def coded(length: int, has_mask: bool) -> bytes:
    if length < 126:
        return bytes([has_mask << 7 | length])
    if length < 1 << 16:
        return bytes([has_mask << 7 | 126]) + length.to_bytes(2)
    return bytes([has_mask << 7 | 127]) + length.to_bytes(8)


def masked(payload: bytes, mask: bytes) -> bytes:
    if not mask:
        return payload
    return bytes(octet ^ key for octet, key in zip(payload, cycle(mask), strict=False))


def from_server(opcode: int, payload: bytes = b"") -> bytes:
    return frame(opcode, payload, mask=b"")


def fragments(opcode: int, payloads: list[bytes]) -> list[bytes]:
    last = len(payloads) - 1
    return [
        frame(CONTINUATION if number else opcode, payload, fin=number == last)
        for number, payload in enumerate(payloads)
    ]


def octets(payload: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in payload]


def closing(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2) + reason.encode()


def say(client: RudeClient, *frames: bytes, at_a_time: int = WHOLE) -> None:
    """Say it to the end, even if the server hangs up before."""
    said = b"".join(frames)
    with suppress(ConnectionError):
        for start in range(0, len(said), at_a_time):
            client.socket.sendall(said[start : start + at_a_time])
            if at_a_time == OCTET:
                time.sleep(0.0001)  # or they would arrive together


def hear(client: RudeClient, length: int = -1) -> bytes:
    """So many octets, or all there are until the server hangs up."""
    with suppress(ConnectionError):
        return client.file.read(length)
    return b""


def assert_hears(client: RudeClient, *answers: bytes) -> None:
    answer = b"".join(answers)
    assert hear(client, len(answer)) == answer


def assert_closes(client: RudeClient) -> None:
    """The server agrees to close, says nothing else, and hangs up."""
    assert_hears(client, from_server(CLOSE, closing(1000)))
    assert hear(client) == b""


def assert_answers(client: RudeClient, *answers: bytes) -> None:
    """The server answers so, says nothing else, and goes on."""
    assert_hears(client, *answers)
    say(client, frame(CLOSE, closing(1000)))
    assert_closes(client)


def assert_refuses(client: RudeClient, code: int) -> None:
    """The server hangs up, and says nothing, or nothing but why."""
    if beginning := hear(client, 4):
        assert (beginning[0], beginning[2:]) == (0x80 | CLOSE, closing(code))
        hear(client, beginning[1] - 2)  # the reason
        say(client, frame(CLOSE, closing(code)))
    assert hear(client) == b""


def name(opcode: int) -> str:
    names = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
    return names.get(opcode, f"opcode {opcode}")


def cases(**values: object) -> pytest.MarkDecorator:
    """One test for each value; its name says what is special about it."""
    return pytest.mark.parametrize(
        "case", [pytest.param(value, id=key.replace("_", " ")) for key, value in values.items()]
    )


each_size = pytest.mark.parametrize("at_a_time", [WHOLE, OCTET], ids=["whole", "by octets"])
each_kind = pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=name)


# Messages


def content(opcode: int, length: int) -> bytes:
    """Text that is ASCII, or data with every octet there is."""
    pattern = b"nothing is lost " if opcode == TEXT else bytes(range(256))
    return (pattern * (length // len(pattern) + 1))[:length]


@each_kind
@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 128, 65_535, 65_536, 262_144])
def test_a_message_of_any_length_comes_back(client, opcode, length):
    payload = content(opcode, length)
    say(client, frame(opcode, payload))
    assert_answers(client, from_server(opcode, payload))


@each_kind
@pytest.mark.parametrize(
    ("length", "at_a_time"),
    [(0, 1), (1, 1), (125, 1), (126, 1), (128, 1), (65_535, 997), (65_536, 997)],
)
def test_a_message_may_arrive_in_pieces(client, opcode, length, at_a_time):
    payload = content(opcode, length)
    say(client, frame(opcode, payload), at_a_time=at_a_time)
    assert_answers(client, from_server(opcode, payload))


def test_messages_that_arrive_together_come_back_in_order(client):
    payloads = [str(number).encode() for number in range(100)]
    say(client, *[frame(TEXT, payload) for payload in payloads])
    assert_answers(client, *[from_server(TEXT, payload) for payload in payloads])


def test_each_frame_has_a_mask_of_its_own(client):
    masks = [b"\0\0\0\0", b"\xff\xff\xff\xff", MASK]
    say(client, *[frame(TEXT, b"hello", mask=mask) for mask in masks])
    assert_answers(client, *[from_server(TEXT, b"hello")] * 3)


# Fragments


@each_size
@each_kind
@cases(
    two=[b"one", b"two"],
    empty_ones=[b"", b"", b""],
    empty_ones_around_another=[b"", b"one", b""],
    a_long_one=[b"x" * 126, b"y"],
)
def test_fragments_come_back_as_one_message(client, case, opcode, at_a_time):
    say(client, *fragments(opcode, case), at_a_time=at_a_time)
    assert_answers(client, from_server(opcode, b"".join(case)))


def test_a_message_may_have_many_fragments(client):
    payload = content(BINARY, 65_536)
    parts = [payload[start : start + 64] for start in range(0, len(payload), 64)]
    say(client, *fragments(BINARY, parts))
    assert_answers(client, from_server(BINARY, payload))


@each_size
@pytest.mark.parametrize("pings", [1, 3])
def test_a_ping_between_fragments_is_answered_before_them(client, pings, at_a_time):
    first, second, third = fragments(TEXT, [b"one", b"two", b"three"])
    asked = frame(PING, b"there?") * pings
    say(client, first, asked, second, frame(PONG), asked, third, at_a_time=at_a_time)
    answer = from_server(PONG, b"there?") * pings
    assert_answers(client, answer, answer, from_server(TEXT, b"onetwothree"))


@each_size
@cases(
    a_continuation_of_nothing=[frame(CONTINUATION, b"one")],
    a_continuation_of_nothing_that_goes_on=[frame(CONTINUATION, b"one", fin=False)],
    a_text_inside_a_text=[frame(TEXT, b"one", fin=False), frame(TEXT, b"two")],
    a_fragment_inside_a_text=[frame(TEXT, b"one", fin=False), frame(TEXT, b"two", fin=False)],
    data_inside_a_text=[frame(TEXT, b"one", fin=False), frame(BINARY, b"two")],
    a_text_inside_data=[frame(BINARY, b"one", fin=False), frame(TEXT, b"two")],
    a_ping_in_fragments=fragments(PING, [b"one", b"two"]),
    a_pong_in_fragments=fragments(PONG, [b"one", b"two"]),
    a_close_in_fragments=fragments(CLOSE, [closing(1000), b"two"]),
    a_ping_in_fragments_inside_a_text=[
        frame(TEXT, b"one", fin=False),
        *fragments(PING, [b"two", b"three"]),
    ],
)
def test_fragments_that_do_not_fit_are_refused(client, case, at_a_time):
    say(client, *case, at_a_time=at_a_time)
    assert_refuses(client, PROTOCOL_ERROR)


@pytest.mark.parametrize("fin", [False, True])
def test_a_message_that_has_ended_is_not_continued(client, fin):
    say(client, *fragments(TEXT, [b"one", b"two"]))
    assert_hears(client, from_server(TEXT, b"onetwo"))
    say(client, frame(CONTINUATION, b"three", fin=fin), frame(TEXT, b"four"))
    assert_refuses(client, PROTOCOL_ERROR)


# Frames that cannot be


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE], ids=name)
def test_reserved_bits_are_refused(client, opcode, reserved):
    payload = closing(1000) if opcode == CLOSE else b"hello"
    say(client, frame(opcode, payload, reserved=reserved))
    assert_refuses(client, PROTOCOL_ERROR)


@pytest.mark.parametrize("payload", [b"", b"hello"])
@pytest.mark.parametrize("opcode", [*range(3, 8), *range(11, 16)])
def test_reserved_opcodes_are_refused(client, opcode, payload):
    say(client, frame(opcode, payload))
    assert_refuses(client, PROTOCOL_ERROR)


def test_a_message_before_a_reserved_opcode_has_come_back(client):
    say(client, frame(TEXT, b"hello"))
    assert_hears(client, from_server(TEXT, b"hello"))
    say(client, frame(3), frame(PING))
    assert_refuses(client, PROTOCOL_ERROR)


@cases(
    text_without_a_mask=from_server(TEXT, b"hello"),
    a_ping_without_a_mask=from_server(PING),
    a_short_length_in_two_octets=b"\x81\xfe\x00\x7d" + MASK,
    a_short_length_in_eight_octets=b"\x81\xff" + bytes(6) + b"\xff\xff" + MASK,
    a_length_of_64_bits=b"\x82\xff\x80" + bytes(7) + MASK,
)
def test_other_frames_that_cannot_be_are_refused(client, case):
    say(client, case)
    assert_refuses(client, PROTOCOL_ERROR)


# Pings and pongs


@each_size
@cases(empty=b"", text=b"there?", data=b"\x00\xff\xfe\x80", long=content(BINARY, 125))
def test_a_ping_is_answered_with_what_it_carries(client, case, at_a_time):
    say(client, frame(PING, case), at_a_time=at_a_time)
    assert_answers(client, from_server(PONG, case))


@each_size
def test_pings_are_answered_in_order(client, at_a_time):
    payloads = [str(number).encode() for number in range(10)]
    say(client, *[frame(PING, payload) for payload in payloads], at_a_time=at_a_time)
    assert_answers(client, *[from_server(PONG, payload) for payload in payloads])


@each_size
@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE], ids=name)
def test_a_control_frame_that_is_too_long_is_refused(client, opcode, at_a_time):
    say(client, frame(opcode, closing(1000, "x" * 124)), at_a_time=at_a_time)
    assert_refuses(client, PROTOCOL_ERROR)


@each_size
@cases(empty=b"", text=b"here", long=content(BINARY, 125))
def test_a_pong_that_nobody_asked_for_is_not_answered(client, case, at_a_time):
    say(client, frame(PONG, case), frame(PING, b"there?"), at_a_time=at_a_time)
    assert_answers(client, from_server(PONG, b"there?"))


# Text


PLANES = range(17)

each_valid = cases(
    one_to_four_octets="nest, né, 巢, 🪺",
    first_and_last_of_each_length="\0\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff",
    around_the_surrogates="\ud7ff\ue000",
    marks_of_order_and_of_replacement="\ufeff\ufffd\ufffc",
    each_plane="".join(chr(plane << 16 | 0x2345) for plane in PLANES),
    last_two_of_each_plane="".join(
        chr(plane << 16 | 0xFFFE | n) for plane in PLANES for n in (0, 1)
    ),
    other_noncharacters="".join(map(chr, range(0xFDD0, 0xFDF0))),
)


@each_size
@each_valid
def test_text_comes_back(client, case, at_a_time):
    payload = case.encode()
    say(client, frame(TEXT, payload), at_a_time=at_a_time)
    assert_answers(client, from_server(TEXT, payload))


@each_valid
def test_text_sent_one_octet_a_frame_comes_back(client, case):
    payload = case.encode()
    say(client, *fragments(TEXT, octets(payload)))
    assert_answers(client, from_server(TEXT, payload))


# Each ends with the first octet that shows it.
each_invalid = cases(
    a_continuation=b"\x80",
    the_last_continuation=b"\xbf",
    a_continuation_too_many="é".encode() + b"\x80",
    a_slash_in_two_octets=b"\xc0",
    a_delete_in_two_octets=b"\xc1",
    two_octets_in_three=b"\xe0\x9f",
    three_octets_in_four=b"\xf0\x8f",
    the_first_surrogate=b"\xed\xa0",
    the_last_surrogate=b"\xed\xbf",
    beyond_the_last_plane=b"\xf4\x90",
    far_beyond_the_last_plane=b"\xf5",
    five_octets=b"\xf8",
    six_octets=b"\xfc",
    an_impossible_octet=b"\xfe",
    another_impossible_octet=b"\xff",
    a_letter_instead_of_the_second_octet=b"\xc3A",
    a_letter_instead_of_the_third_octet=b"\xe5\xb7A",
    a_letter_instead_of_the_fourth_octet=b"\xf0\x9f\xaaA",
    a_beginning_instead_of_the_second_octet=b"\xc3\xc3",
)

BEFORE, AFTER = "né".encode(), b" and so on"


@each_invalid
def test_invalid_text_is_refused(client, case):
    say(client, frame(TEXT, BEFORE + case + AFTER))
    assert_refuses(client, INVALID_PAYLOAD)


@each_invalid
def test_invalid_text_is_refused_before_its_frame_is_complete(client, case):
    say(client, frame(TEXT, BEFORE + case + AFTER)[: -len(AFTER)])
    assert_refuses(client, INVALID_PAYLOAD)


@each_invalid
def test_invalid_text_is_refused_before_its_message_is_complete(client, case):
    say(client, *fragments(TEXT, octets(BEFORE + case + AFTER))[: -len(AFTER)])
    assert_refuses(client, INVALID_PAYLOAD)


each_unfinished = cases(
    one_octet_of_two=b"\xc3",
    one_octet_of_three=b"\xe5",
    two_octets_of_three=b"\xe5\xb7",
    one_octet_of_four=b"\xf0",
    two_octets_of_four=b"\xf0\x9f",
    three_octets_of_four=b"\xf0\x9f\xaa",
)


@each_size
@each_unfinished
def test_text_that_ends_within_a_character_is_refused(client, case, at_a_time):
    say(client, frame(TEXT, BEFORE + case), at_a_time=at_a_time)
    assert_refuses(client, INVALID_PAYLOAD)


@each_unfinished
def test_fragmented_text_that_ends_within_a_character_is_refused(client, case):
    say(client, *fragments(TEXT, [BEFORE, case, b""]))
    assert_refuses(client, INVALID_PAYLOAD)


@each_unfinished
def test_data_need_not_be_text(client, case):
    say(client, frame(BINARY, case))
    assert_answers(client, from_server(BINARY, case))


# Closing


@each_size
@cases(
    nothing=b"",
    a_code=closing(1000),
    a_reason=closing(1000, "going"),
    a_reason_of_any_text=closing(1000, "nest, né, 巢, 🪺"),
    a_long_reason=closing(1000, "x" * 123),
)
def test_a_close_is_answered_whatever_it_carries(client, case, at_a_time):
    say(client, frame(CLOSE, case), at_a_time=at_a_time)
    assert_closes(client)


VALID_CODES = [*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", VALID_CODES)
def test_a_valid_code_is_answered(client, code):
    say(client, frame(CLOSE, closing(code)))
    assert_closes(client)


@pytest.mark.parametrize("code", INVALID_CODES)
def test_an_invalid_code_is_refused(client, code):
    say(client, frame(CLOSE, closing(code)))
    assert_refuses(client, PROTOCOL_ERROR)


def test_half_a_code_is_refused(client):
    say(client, frame(CLOSE, b"\x03"))
    assert_refuses(client, PROTOCOL_ERROR)


@cases(a_continuation=b"\x80", a_surrogate=b"\xed\xa0\x80", an_impossible_octet=b"\xff")
def test_a_reason_that_is_no_text_is_refused(client, case):
    say(client, frame(CLOSE, closing(1000) + BEFORE + case + AFTER))
    assert_refuses(client, INVALID_PAYLOAD)


@each_unfinished
def test_a_reason_that_ends_within_a_character_is_refused(client, case):
    say(client, frame(CLOSE, closing(1000) + BEFORE + case))
    assert_refuses(client, INVALID_PAYLOAD)


@each_size
@cases(
    a_ping=frame(PING, b"there?"),
    a_message=frame(TEXT, b"hello"),
    another_close=frame(CLOSE, closing(1001)),
    what_cannot_be=frame(3, reserved=7),
)
def test_what_follows_a_close_is_ignored(client, case, at_a_time):
    say(client, frame(CLOSE, closing(1000)), case, at_a_time=at_a_time)
    assert_closes(client)


def test_a_close_ends_a_message_that_is_not_complete(client):
    first, second = fragments(TEXT, [b"one", b"two"])
    say(client, first, frame(CLOSE, closing(1000)), second)
    assert_closes(client)


CLOSED_BY_SERVER = from_server(CLOSE, closing(4000, "as you wish"))


def test_the_server_hangs_up_when_its_close_is_answered(client):
    say(client, frame(TEXT, b"close"))
    assert_hears(client, CLOSED_BY_SERVER)
    say(client, frame(CLOSE, closing(4000)))
    assert hear(client) == b""


def test_what_comes_before_the_answer_to_its_close_does_not_come_back(client):
    say(client, frame(TEXT, b"close"))
    assert_hears(client, CLOSED_BY_SERVER)
    say(client, frame(TEXT, b"hello"), frame(CLOSE, closing(4000)))
    assert hear(client) == b""


def test_the_server_says_close_only_once(client):
    say(client, frame(TEXT, b"close"), frame(CLOSE, closing(1000)))
    assert_closes(client)
