"""Whether a server can be reached at all: the first question, whatever it speaks."""

import socket

PATIENCE = 3.0  # seconds


def obstacle(host: str, port: int) -> str:
    """Why nobody gets through to this address, in words; empty if somebody takes connections."""
    try:
        with socket.create_connection((host, port), PATIENCE):
            return ""
    except socket.gaierror:
        return f"nobody knows the name {host}"
    except TimeoutError:
        return f"nothing answered within {PATIENCE:g} seconds: a firewall, or a machine that is off"
    except ConnectionRefusedError:
        return "the connection is refused: nothing listens there"
    except OSError as error:
        return f"the way there is closed ({error.strerror})"
