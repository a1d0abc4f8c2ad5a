import numpy as np
import pytest
from PIL import Image
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, UNKNOWN
from rs_text_search_plugin.models.training.mixed.windows import (
    Box,
    Chip,
    Square,
    View,
    either,
    empty_patch,
    half_empty,
    joined,
    part_only,
    pasted,
    shown,
    twice_the_ground,
    window,
)

SHIP, CAR, TREE = range(3)


@pytest.fixture
def chip():
    """A red ship of 20 px at the left of a grey chip of 100 px; cars are not labelled, trees are absent."""
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    image.paste((255, 0, 0), (10, 40, 30, 60))
    return Chip(
        image, (Box(SHIP, 10, 40, 30, 60),), (SHIP,), np.array([PRESENT, UNKNOWN, ABSENT], np.int8), 1.0
    )


@pytest.mark.parametrize(
    ("square", "side", "state", "count"),
    [
        (Square(0, 0, 100), 160, PRESENT, 1),
        (Square(50, 0, 50), 160, ABSENT, 0),
        (Square(15, 30, 50), 160, PRESENT, 1),  # three quarters of the ship
        (Square(25, 30, 50), 160, UNKNOWN, 0),  # one quarter of it
        (Square(29, 30, 50), 160, ABSENT, 0),  # a twentieth
        (Square(0, 0, 100), 16, UNKNOWN, 0),  # too small to be told
    ],
)
def test_boxes_tell_what_a_window_shows(chip, square, side, state, count):
    known, counts = shown(chip, square, side)
    assert known.tolist() == [state, UNKNOWN, ABSENT]
    assert counts == {SHIP: count}


def test_most_windows_hold_a_box(chip):
    rng = np.random.default_rng(0)
    states = [window(chip, rng, 64).known[SHIP] for _ in range(200)]
    assert 140 < states.count(PRESENT) < 200


def test_a_window_stays_inside_its_chip(chip):
    rng = np.random.default_rng(1)
    for _ in range(50):
        pixels = np.asarray(window(chip, rng, 32).image)
        assert pixels.shape == (32, 32, 3)
        assert (
            pixels.min(initial=255, where=np.array([True, False, False])) >= 85
        )  # nothing from beyond the edge


def test_a_small_part_keeps_only_what_boxes_tell(chip):
    known = np.array([PRESENT, PRESENT, PRESENT], np.int8)
    assert part_only(chip, View(chip.image, known, {}, 0.3)).known.tolist() == [PRESENT, UNKNOWN, UNKNOWN]
    assert part_only(chip, View(chip.image, known, {}, 0.8)).known.tolist() == [PRESENT, PRESENT, PRESENT]


def test_of_several_images_one_shows_what_any_does():
    known = np.array([[PRESENT, ABSENT, UNKNOWN], [ABSENT, ABSENT, ABSENT]], np.int8)
    assert either(known).tolist() == [PRESENT, ABSENT, UNKNOWN]
    assert either(known, cut=True).tolist() == [UNKNOWN, ABSENT, UNKNOWN]


def test_joined_images_lie_side_by_side():
    views = [View(Image.new("RGB", (40, 40), colour), np.zeros(1, np.int8)) for colour in ("red", "blue")]
    pixels = np.asarray(joined(views, np.random.default_rng(0)).image)
    assert pixels[20, 2].tolist() == [255, 0, 0]
    assert pixels[20, 37].tolist() == [0, 0, 255]


def test_an_empty_side_makes_present_things_unknown_and_never_absent():
    view = View(Image.new("RGB", (40, 40), "red"), np.array([PRESENT, ABSENT], np.int8))
    found = [half_empty(view, np.random.default_rng(seed)).known.tolist() for seed in range(30)]
    assert {tuple(states) for states in found} == {(PRESENT, ABSENT), (UNKNOWN, ABSENT)}


def test_a_pasted_thing_is_present_and_what_may_come_with_it_unknown(chip):
    view = View(Image.new("RGB", (160, 160), "white"), np.array([ABSENT, ABSENT, ABSENT], np.int8))
    made = pasted(view, chip, chip.boxes[0], np.random.default_rng(0))
    assert made.known.tolist() == [PRESENT, UNKNOWN, ABSENT]
    red, green, _ = np.asarray(made.image).reshape(-1, 3).T
    assert ((red > 200) & (green < 60)).sum() > 50


def test_an_empty_patch_meets_no_box(chip):
    patch = empty_patch(chip, chip.boxes[0], np.random.default_rng(0))
    assert patch is not None
    assert patch.thing == -1
    assert patch.x0 > 30 or patch.y0 > 60 or patch.y1 < 40


def test_twice_the_ground_keeps_what_is_known(chip):
    view = View(chip.image, chip.known, {SHIP: 1})
    made = twice_the_ground(view)
    assert made.known.tolist() == chip.known.tolist()
    assert made.counts == {}  # mirror images cannot be counted
    assert made.image.size == (100, 100)
