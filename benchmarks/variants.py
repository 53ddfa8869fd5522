"""The operators' rows once more, for other embeddings and in 3D."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType

import torch

from benchmarks.growth import VOXELS_PER_CELL
from benchmarks.harness import Effort, Row
from benchmarks.rows import (
    connected_components,
    distance_map,
    embedding_loss,
    mean_embedding,
    neighbor_pairs,
    postprocess,
)
from benchmarks.scene import Scene, crowded_cells

OF_EMBEDDINGS = [mean_embedding, embedding_loss, postprocess]
OF_SHAPES = [*OF_EMBEDDINGS, neighbor_pairs, distance_map, connected_components]
DIMENSIONS, DTYPES = (4, 8, 16, 32), {"float32": torch.float32, "bfloat16": torch.bfloat16}
DEFAULT = (16, "float32")


@dataclass(frozen=True)
class Variant:
    name: str
    draw: Callable[[], Scene]
    modules: list[ModuleType]

    def rows(self, only: str | None, effort: Effort) -> Iterator[Row]:
        chosen = [module for module in self.modules if only in (None, operator(module))]
        scene = self.draw() if chosen else None
        torch.compiler.reset()  # of many sizes and dtypes torch would at some point compile no more, and not say so
        for row in itertools.chain.from_iterable(module.rows(scene, effort) for module in chosen):
            yield replace(row, name=f"{row.name}, {self.name}" if self.name else row.name)


def everything(size: int, objects: int) -> list[Variant]:
    """All but the default; the volume has about as many voxels as the image has pixels."""

    def draw(dim: int, dtype: str) -> Scene:
        scene = crowded_cells(size, objects, dim)
        return replace(scene, embedding=scene.embedding.to(DTYPES[dtype]))

    flat = [each for each in itertools.product(DIMENSIONS, DTYPES) if each != DEFAULT]
    side = round(size ** (2 / 3) / 8) * 8
    volume = Variant(f"{side}³", lambda: crowded_cells((side,) * 3, side**3 // VOXELS_PER_CELL), OF_SHAPES)
    return [*(Variant(f"D = {d}, {t}", lambda d=d, t=t: draw(d, t), OF_EMBEDDINGS) for d, t in flat), volume]


def operator(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]
