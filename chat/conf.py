"""Limits of the chat: fixed ones as constants, adjustable ones read from Django's settings.

What the settings mean to an operator is told in docs/settings.md; what makes no sense raises
TypeError or ValueError here, and is refused by `chat/checks.py` before anybody connects.
"""

from operator import index

from django.conf import settings

MESSAGE_BYTES = 64 * 1024  # one WebSocket message from a client
PAYLOAD_BYTES = 256 * 1024  # one WebSocket message to a client
BODY_CHARS = 4_000
ROOM_NAME_CHARS = 80
REASON_CHARS = 1_000  # of a report
OPEN_REPORTS = 100  # of one user, at which nobody has looked yet
PAGE = 200  # messages in one replay or history frame
WINDOW = 400  # replayed messages that a client has not acknowledged yet
OUTBOX_BYTES = 1024 * 1024  # what waits for one slow reader before its socket is put behind
IN_FLIGHT = 256  # writes of one socket that wait for their commit before we stop reading it
LINES_RATE = 1_000  # that one socket may say a second, each of 8 KiB; ten times as many at once
SMALL_ROOM = 50  # members up to which a room shows everybody's receipts
ARRIVALS_RATE = 20  # sockets that one user may open a second, with those that are refused
ARRIVALS_BURST = 500  # at once: many tabs come back together
BURST_SECONDS = 5  # of `post_rate` may come at once
TOKENS = {"bearer": 1_000, "ticket": 50}  # of one user that are good; another ends the oldest
ROOMS_OWNED = 500  # groups and feeds of one user
CONNECTIONS = 50  # open sockets of one user; of one address as many times its people

PRIVATE = (  # loopback, and networks that the internet does not reach
    *("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    *("169.254.0.0/16", "fc00::/7", "fe80::/10"),
)


def post_rate() -> float:
    """Posts per second and user; 0 means no limit."""
    return float(getattr(settings, "CHAT_POST_RATE", 10))


def post_burst() -> float:
    """Posts of a user that may come at once, after a while without any."""
    return max(1.0, post_rate() * BURST_SECONDS) if post_rate() else 0.0


def people_per_address() -> int:
    """How many share an address at most: its limits are those of a user times this; 0: none."""
    return index(getattr(settings, "CHAT_PEOPLE_PER_ADDRESS", 10))


def heartbeat() -> float:
    """Seconds of silence after which a client hears from us."""
    return float(getattr(settings, "CHAT_HEARTBEAT", 15))


def keep_days() -> int:
    """After how many days messages may be let go of; 0: never."""
    return index(getattr(settings, "CHAT_KEEP_DAYS", 0))


def open_signup() -> bool:
    """Whether strangers may make themselves an account."""
    return bool(getattr(settings, "CHAT_OPEN_SIGNUP", True))


def allowed_origins() -> list[str]:
    """Full origins (scheme, host, port) besides the request's own that may open a WebSocket."""
    return list(getattr(settings, "CHAT_ALLOWED_ORIGINS", []))


def metrics_from() -> list[str]:
    """Addresses and networks that may read /metrics."""
    return list(getattr(settings, "CHAT_METRICS_FROM", None) or PRIVATE)


def release() -> str:
    """Which release of the site this is, as the dashboard names it."""
    return str(getattr(settings, "CHAT_RELEASE", ""))


def workers() -> int:
    """Processes that serve this site, over all machines."""
    return index(getattr(settings, "CHAT_WORKERS", 1))


def machines() -> int:
    """Machines that they run on."""
    return index(getattr(settings, "CHAT_MACHINES", 1))
