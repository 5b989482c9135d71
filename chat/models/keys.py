"""Keys that nobody guesses."""

import secrets


def opaque_id() -> str:
    """Sixteen characters, 96 bits: clients cannot guess a room."""
    while (made := secrets.token_urlsafe(12)).startswith("-"):
        pass  # which a command would take for an option
    return made
