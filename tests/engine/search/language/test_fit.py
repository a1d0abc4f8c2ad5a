"""What a language adapter is fitted to, and the command that does it."""

import numpy as np
import pytest
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.inference import language_adapter
from rs_text_search_plugin.models.training import language_adapter as training

from rs_text_search_plugin.engine.__main__ import main
from rs_text_search_plugin.engine.search.language import fit
from rs_text_search_plugin.engine.search.language.dictionary import dictionary
from tests.engine.fakes import ColourEncoder


def test_word_list_pairs_hold_the_terms_and_qualities_with_nouns_in_their_own_order():
    pairs = dict(fit.word_list_pairs(dictionary("fr"), np.random.default_rng(0)))
    assert pairs["toits rouges"] == "red roofs"
    assert any(text.endswith(" blanche") and english.startswith("white ") for text, english in pairs.items())


@pytest.fixture
def _small(monkeypatch, tmp_path):
    """A colour encoder, few texts, and sentences that are the encoder's own vectors."""
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "load", lambda name: ColourEncoder(name=name))
    monkeypatch.setattr(fit, "encode", lambda texts: ColourEncoder().texts(list(texts)))
    monkeypatch.setattr(fit, "LANGUAGES", ("de",))
    monkeypatch.setattr(fit, "MADE_UP", 20)
    quick = training.FitSettings(keys=8, steps=20, batch=16)
    monkeypatch.setattr(training, "FitSettings", lambda: quick)


@pytest.mark.usefixtures("_small")
def test_one_command_fits_the_adapter_of_a_model(tmp_path, monkeypatch, capsys):
    data = tmp_path / "d.jsonl"
    data.write_text('{"image": "a", "split": "train", "label": "x", "captions": ["a red roof"]}\n')
    (tmp_path / "d").mkdir()
    out = tmp_path / "adapters"
    assert main(["train", "languages", "--base", "tint", "--data", str(data), "--out", str(out)]) == 0
    assert "tint-languages.safetensors" in capsys.readouterr().out
    adapter = language_adapter.load(out / "tint-languages.safetensors")
    assert adapter.fits(ColourEncoder(name="tint"))
