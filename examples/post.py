"""Say something, from a script or a cron job, so that it is said once however often it is tried.

    ROOST_PASSWORD=demo python examples/post.py alice Kitchen "The backup is done"
    uptime | ROOST_PASSWORD=demo python examples/post.py alice @bob

Standard library only. Instead of a password, a token of `POST /api/token` may be in ROOST_TOKEN.
"""

import argparse
import json
import os
import sys
import time
import uuid
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TRIES = 8


def main():
    parser = argparse.ArgumentParser(description="Say something in a room, or to @somebody.")
    parser.add_argument("user", help="who says it")
    parser.add_argument("where", help="the name of a room, or @ and a username")
    parser.add_argument("text", nargs="?", help="what to say; without it, standard input")
    parser.add_argument("--site", default="http://127.0.0.1:8000")
    options = parser.parse_args()
    text = options.text or sys.stdin.read().strip()

    def ask(path, body=None, token=""):
        return insist(options.site + path, body, token)

    password = os.environ.get("ROOST_PASSWORD", "")
    token = (
        os.environ.get("ROOST_TOKEN")
        or ask("/api/token", {"username": options.user, "password": password})["token"]
    )
    room = find_room(ask, options.where, token)
    # The id makes it one message: if an answer is lost, the same id is answered with the same seq.
    message = {"id": str(uuid.uuid4()), "body": text}
    posted = ask(f"/api/rooms/{room}/messages", message, token)
    print(f"{options.where}: message {posted['seq']}, {posted['at']}")


def find_room(ask, where, token):
    if where.startswith("@"):
        return ask("/api/direct", {"to": where[1:]}, token)["room"]
    found = [room["room"] for room in ask("/api/rooms", token=token) if room["name"] == where]
    if len(found) != 1:
        sys.exit(f"{len(found)} of your rooms are called {where}.")
    return found[0]


def insist(url, body, token):
    """Ask until there is an answer; after a pause as long as the server says, or a growing one."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = Request(url, json.dumps(body).encode() if body is not None else None, headers)
    for attempt in range(TRIES):
        try:
            with urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code not in (429, 502, 503, 504):
                sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')}")
            pause = float(error.headers.get("Retry-After") or 2**attempt)
        except (URLError, OSError) as error:
            print(f"{url}: {error}; trying again", file=sys.stderr)
            pause = 2**attempt
        time.sleep(min(pause, 60))
    sys.exit(f"{url} did not answer.")


if __name__ == "__main__":
    main()
