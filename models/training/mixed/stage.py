"""Puts the last stage of `compact` together: which data it takes, and what it is measured by."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from rs_text_search_plugin.models.evaluation.retrieval import embed_images, embed_texts, recalls
from rs_text_search_plugin.models.evaluation.things import Pool, plain_names, pooled, precision
from rs_text_search_plugin.models.inference.encoder import SystemTowers, TorchEncoder
from rs_text_search_plugin.models.systems.base import INPUT_PX
from rs_text_search_plugin.models.systems.compact import Compact
from rs_text_search_plugin.models.training.datasets import Dataset, ImageStore
from rs_text_search_plugin.models.training.pairs import TrainingPairs
from rs_text_search_plugin.models.training.recipe import MixedRecipe
from rs_text_search_plugin.models.training.trainer import TrainingRun

from .batches import Mix, MixedBatches
from .chips import ObjectChips
from .scenes import SceneImages
from .things import things
from .tuning import MixedTuning


def scenes_of(datasets: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Those of captioned or labelled scenes."""
    return tuple(data for data in datasets if not _has_sets(data))


def objects_of(datasets: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Those of sets of things with boxes."""
    return tuple(data for data in datasets if _has_sets(data))


def _has_sets(data: Dataset) -> bool:
    return any(row.set for row in data.rows)


def mixed_tuning(
    run: TrainingRun, objects: Sequence[Dataset], found: TrainingPairs, recipe: MixedRecipe, system: Compact
) -> MixedTuning:
    """Train; `run.datasets` are those of scenes, the first gives the figures together with all that have boxes."""
    table = things()
    chips = ObjectChips(_together(objects), table, found.labels)
    scenes = SceneImages(run.datasets, found, table, recipe)
    batches = MixedBatches(
        scenes, chips, Mix(recipe.scenes, recipe.things), recipe.image_size, recipe.texts_per_image
    )
    measure = Measured(run, run.datasets[0], pooled(objects, run.datasets[:1], table))
    tuning = MixedTuning(run, system, batches, recipe, measure)
    tuning.fit()
    return tuning


class Measured:
    """Figures on the val parts: recall of the first data set, precision of plain names."""

    def __init__(self, run: TrainingRun, data: Dataset, pool: Pool) -> None:
        self.run, self.data, self.pool = run, data, pool
        self.names = plain_names(things(), pool.things())

    def __call__(self, system: Compact) -> dict[str, float]:
        """`mr` by the cosine, and `things`: mean precision at 10, both in percent."""
        copied = copy.deepcopy(system)  # an encoder changes the precision of the backbone it is given
        towers = SystemTowers(copied, self.run.device)
        entry = {"name": "compact", "size_px": INPUT_PX}
        encoder = TorchEncoder(entry, towers, "", dim=system.dim, device=str(self.run.device))
        similarity = encoder.images(self.pool.images) @ encoder.texts([name for _, name in self.names]).T
        found = [
            precision(s, self.pool.known[:, t]) for s, (t, _) in zip(similarity.T, self.names, strict=True)
        ]
        return {"mr": self._recall(encoder), "things": 100 * float(np.mean(found))}

    def _recall(self, encoder: TorchEncoder) -> float:
        rows = [row for row in self.data.split("val") if row.captions]
        captions = [caption for row in rows for caption in row.captions]
        owners = np.repeat(np.arange(len(rows)), [len(row.captions) for row in rows])
        images = embed_images(encoder, self.data, rows)
        return float(recalls(images, embed_texts(encoder, captions), owners)["mr"])


def _together(objects: Sequence[Dataset]) -> Dataset:
    """Several data sets of things as one."""
    images = ImageStore(())
    for data in objects:
        images.take(data.images)
    return Dataset("objects", tuple(row for data in objects for row in data.rows), images)
