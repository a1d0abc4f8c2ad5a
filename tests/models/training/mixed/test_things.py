import numpy as np
import pytest
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, UNKNOWN, things


@pytest.mark.parametrize(
    ("label", "captions", "thing", "state"),
    [
        ("desert", [], "ship", ABSENT),
        ("port", [], "ship", UNKNOWN),
        ("port", ["many ships at a quay"], "ship", PRESENT),
        ("storage tanks", [], "storage tank", PRESENT),
        ("farmland", ["a plain of fields"], "airplane", ABSENT),
        ("airport", ["Two Planes near a terminal"], "airplane", PRESENT),
        ("solar_101", [], "building", PRESENT),
        ("wind_turbines_naip", [], "swimming pool", ABSENT),
    ],
)
def test_labels_and_captions_tell_what_an_image_shows(label, captions, thing, state):
    table = things()
    assert table.of_captions(label, captions)[table.number[thing]] == state


def test_names_in_boxes_are_those_of_the_table():
    table = things()
    assert table.number["harbor pier"] == table.number["harbor"]
    assert table.number["solar panel array"] == table.number["solar panels"]


def test_no_label_both_shows_and_may_show_a_thing_without_being_known():
    table = things()
    labels = {*label_prompts().labels, *table.sets}
    named = {label for thing in table.all for label in (*thing.shown, *thing.maybe)}
    scenes = {scene for one in table.sets.values() for scene in one.scenes}
    assert named | scenes <= labels


def test_boxes_cover_things_that_their_set_may_show():
    table = things()
    for name, one in table.sets.items():
        assert all(0 <= thing < len(table.all) for thing in one.boxed), name
        assert one.weight > 0


def test_a_plain_name_is_found_by_its_own_pattern():
    table = things()
    for number, thing in enumerate(table.all):
        assert table.named([thing.one[0]])[number], thing.name
        assert table.named([thing.many[0]])[number], thing.name
    assert not np.any(table.named(["nothing of that kind"]))
