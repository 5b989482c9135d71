"""`python -m tests.catalogue`: gathers the texts of pages and code into the Chinese catalogue.

As `makemessages` and `compilemessages` do, but without gettext's programs, which few machines have.
What is new is left empty, for somebody to translate; what nobody says any more is dropped.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polib
from django.template.base import Lexer, Token, TokenType

from tests.servers import ROOT

CATALOGUE = ROOT / "chat" / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
PYTHON = ("chat", "project")
TEMPLATES = ("chat/templates", "templates")
SINGULAR = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLURAL = {"ngettext", "ngettext_lazy"}
QUOTED = r"""(?:"([^"]*)"|'([^']*)')"""


class Text(NamedTuple):
    """What is to be translated."""

    singular: str
    plural: str = ""


LACKING = (  # in Django's own catalogue
    Text(
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
    ),
)


def texts() -> dict[Text, list[str]]:
    """All of them, each with what says it."""
    found: dict[Text, list[str]] = {text: ["Django"] for text in LACKING}
    for file in _files():
        name = file.relative_to(ROOT).as_posix()
        said = _of_python(file) if file.suffix == ".py" else _of_template(file)
        for text in dict.fromkeys(said):
            found.setdefault(text, []).append(name)
    return found


def _files() -> Iterator[Path]:
    for folder in PYTHON:
        yield from (p for p in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in p.parts)
    for folder in TEMPLATES:
        yield from sorted((ROOT / folder).rglob("*.html"))


def _of_python(file: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(said)), *others]):
                if name in SINGULAR:
                    yield Text(said)
                elif name in PLURAL and isinstance(others[0], ast.Constant):
                    yield Text(said, str(others[0].value))


def _of_template(file: Path) -> Iterator[Text]:
    tokens = iter(Lexer(file.read_text()).tokenize())
    for token in tokens:
        if token.token_type not in (TokenType.BLOCK, TokenType.VAR):
            continue
        for said in re.finditer(rf"^(?:translate|trans)\s+{QUOTED}|_\({QUOTED}\)", token.contents):
            words = next(words for words in said.groups() if words is not None)
            yield Text(words.replace("%", "%%"))  # as the tag looks it up
        if re.match(r"blocktrans(?:late)?\b", token.contents):
            yield _block(tokens, is_trimmed="trimmed" in token.split_contents())


def _block(tokens: Iterator[Token], *, is_trimmed: bool) -> Text:
    forms = [""]
    for token in tokens:
        if token.token_type == TokenType.BLOCK and token.contents.strip() == "plural":
            forms.append("")
        elif token.token_type == TokenType.BLOCK:  # its end
            break
        elif token.token_type == TokenType.VAR:
            forms[-1] += f"%({token.contents})s"
        else:
            forms[-1] += token.contents.replace("%", "%%")
    return Text(*(_trimmed(form) if is_trimmed else form for form in forms))


def _trimmed(form: str) -> str:
    return " ".join(line.strip() for line in form.strip().splitlines())


def main() -> None:
    catalogue = polib.pofile(str(CATALOGUE), wrapwidth=100)
    known = {Text(entry.msgid, entry.msgid_plural): entry for entry in catalogue}
    catalogue.clear()
    for text, files in texts().items():
        entry = known.get(text) or polib.POEntry(msgid=text.singular, msgid_plural=text.plural)
        if text.plural and not entry.msgstr_plural:
            entry.msgstr_plural = {0: ""}
        entry.occurrences = [(file, "") for file in files]
        entry.flags = ["python-format"] if re.search(r"%(?:\(\w+\))?[sd]", text.singular) else []
        catalogue.append(entry)
    catalogue.save(str(CATALOGUE))
    catalogue.save_as_mofile(str(CATALOGUE.with_suffix(".mo")))
    missing = [entry.msgid for entry in catalogue if not entry.translated()]
    print(f"{len(catalogue)} texts; not translated yet: {len(missing)}", *missing, sep="\n  ")


if __name__ == "__main__":
    main()
