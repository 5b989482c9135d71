"""The Chinese catalogue: complete, and what is installed is what was written."""

import re

import polib
import pytest
from django.utils.translation import gettext, override

from tests.catalogue import CATALOGUE, Text, texts


@pytest.fixture(scope="module")
def catalogue():
    return polib.pofile(str(CATALOGUE))


def test_each_text_is_in_it_and_no_other_is(catalogue):
    told = {Text(entry.msgid, entry.msgid_plural) for entry in catalogue}
    assert told == set(texts()), "python -m tests.catalogue"
    assert len(told) > 100


def test_each_is_translated_by_somebody_who_was_sure(catalogue):
    assert [entry.msgid for entry in catalogue if not entry.translated()] == []
    assert catalogue.fuzzy_entries() == []


def test_what_is_filled_in_stays(catalogue):
    for entry in catalogue:
        said = entry.msgstr or entry.msgstr_plural[0]
        for mark in (r"%(?:\(\w+\))?[sd]", r"</?\w+>"):
            assert sorted(re.findall(mark, said)) == sorted(re.findall(mark, entry.msgid)), said


def test_what_is_compiled_is_what_was_written(catalogue):
    compiled = CATALOGUE.with_suffix(".mo").read_bytes()
    assert compiled == catalogue.to_binary(), "python -m tests.catalogue"


def test_nobody_elses_words_are_said_for_ours(catalogue):
    with override("zh-hans"):
        said = {entry.msgid: gettext(entry.msgid) for entry in catalogue if not entry.msgid_plural}
    assert said == {entry.msgid: entry.msgstr for entry in catalogue if not entry.msgid_plural}
