"""What a page needs to name, so that no module waits for another."""

import re

from django.contrib.staticfiles import finders

from chat import modules


def test_all_modules_of_the_page_are_known():
    found = modules.needed_by("chat/app.js")
    assert {"chat/client.js", "chat/stretch.js"} <= set(found)
    assert len(found) == len(set(found))
    for module in ["chat/app.js", *found]:
        with open(finders.find(module), encoding="utf-8") as file:
            imported = re.findall(r'from "\./(\w+\.js)";', file.read())
        assert {f"chat/{name}" for name in imported} <= {*found}


def test_the_page_names_them_after_its_styles(client, alice):
    client.force_login(alice)
    page = client.get("/").content.decode()
    for module in modules.needed_by("chat/app.js"):
        assert f'<link rel="modulepreload" href="/static/{module}">' in page
    assert page.rindex('rel="stylesheet"') < page.index('rel="modulepreload"')


def test_what_is_not_there_needs_nothing():
    assert modules.needed_by("chat/nowhere.js") == []
