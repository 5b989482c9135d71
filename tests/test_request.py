"""What a request's body takes."""

import pytest

from project.places import Places
from project.request import IN_MEMORY, Body


@pytest.mark.parametrize(("size", "taken"), [(IN_MEMORY, 0), (IN_MEMORY + 1, 1)])
def test_a_large_body_takes_a_place_until_it_is_closed(size, taken):
    places = Places()
    body = Body(places)
    body.write(b"x" * size)
    body.write(b"")
    body.seek(0)
    assert len(body.read()) == size
    assert places.taken == taken
    body.close()
    body.close()
    assert places.taken == 0
