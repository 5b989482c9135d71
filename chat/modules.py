"""The page's JavaScript modules: which ones a page needs in all, so that it can name them.

A browser learns what a module imports when it has that module: level by level, each one a journey
to the server and back. A page that names all of them lets them be fetched side by side.
"""

import re
from functools import cache
from pathlib import Path
from posixpath import join, normpath

from django.conf import settings
from django.contrib.staticfiles import finders

IMPORT = re.compile(r"""^(?:import|export)\s[^"'();=]*["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)


def needed_by(module: str) -> list[str]:
    """What this static file imports, and what those do: names of static files."""
    return list(_needed_by(module) if settings.DEBUG else _known(module))


def _needed_by(module: str) -> tuple[str, ...]:
    names = {module: None}  # in the order in which they were found
    waiting = [module]
    while waiting:
        name = waiting.pop(0)
        new = [other for other in _imports(name) if other not in names]
        names.update(dict.fromkeys(new))
        waiting += new
    return tuple(names)[1:]


_known = cache(_needed_by)  # files do not change while they are served


def _imports(module: str) -> list[str]:
    file = finders.find(module)
    if not isinstance(file, str):
        return []
    source = Path(file).read_text(encoding="utf-8")
    return [normpath(join(module, "..", name)) for name in IMPORT.findall(source)]
