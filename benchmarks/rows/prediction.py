import torch
from torch import Tensor, nn

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import Share
from benchmarks.harness import ONE_AND_ALL, Contender, Effort, Row
from benchmarks.peers.definition import reference_operators
from benchmarks.rows.network import SMALL
from benchmarks.scene import Scene
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.network import predict_network

PART = "ours, postprocess"


def rows(scene: Scene, effort: Effort) -> list[Row]:
    image = scene.picture
    network, settings = scene.model or drawn(scene, len(image))
    truth = scene.labels[0].numpy()

    def postprocess() -> Tensor:
        return embedseg_ops.postprocess(scene.embedding, scene.distance, **settings.postprocess)

    def whole() -> Tensor:
        return embedseg_ops.segment(image, (network, settings))

    def with_reference() -> Tensor:
        with reference_operators():
            return whole()

    check = checks.scored(truth, postprocess())
    contenders = [
        Contender(limits.NETWORK, lambda: predict_network(image, network)),
        Contender("ours", whole, ONE_AND_ALL, check),
        Contender(PART, postprocess, check=check),
    ]
    if effort is Effort.FULL:  # a quick run's scene is small
        contenders.append(Contender("reference", None, missing="only with --slow"))
    else:
        contenders.append(Contender("reference", with_reference, check=check))
    name = f"prediction, {settings.filters} filters"
    return [Row(name, contenders, [Share(PART, 5)], amount=truth.size / 1e6, unit="Mpx")]


class Answering(nn.Module):
    """A network that does all its work and answers with the scene: random weights would leave nothing to grow."""

    def __init__(self, network: EmbeddingModel, scene: Scene) -> None:
        super().__init__()
        self.network, self.divisor = network, network.divisor
        self.answer = scene.embedding, scene.distance

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self.network(image)
        return self.answer


def drawn(scene: Scene, channels: int) -> tuple[nn.Module, Settings]:
    """For a scene that no network predicted."""
    settings = Settings(channels, scene.embedding.shape[1], spatial_dims=scene.labels.ndim - 1, **SMALL)
    torch.manual_seed(0)
    return Answering(settings.build().eval(), scene), settings
