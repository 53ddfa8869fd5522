import torch
from torch import Tensor

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import at_most, faster
from benchmarks.harness import Contender, Effort, Row, ours
from benchmarks.peers import embedding as peers
from benchmarks.peers import embedseg
from benchmarks.scene import Scene

NAIVE, CLOSED, COMPILED = "eager", "closed form, eager", "closed form, compiled"
CROP = 256  # side of what EmbedSeg's loss is asked for


def total(embedding: Tensor, labels: Tensor, pairs: Tensor) -> Tensor:
    return embedseg_ops.embedding_loss(embedding, labels, pairs).total


def rows(scene: Scene, effort: Effort) -> list[Row]:
    e, labels, pairs = scene.embedding, scene.labels, torch.as_tensor(scene.pairs)
    value, gradient = peers.forward_backward(peers.closed_form, e.double(), labels, pairs, scene.objects + 1)
    forward = [
        limits.read(e),
        ours("embedding_loss", lambda: total(e, labels, pairs), checks.close(value), limits.traffic(e, labels)),
        *_peers(lambda loss, *inputs: loss(*inputs), scene, checks.close(value, checks.ROUGHLY), effort),
    ]
    both = [
        limits.read(e),
        *limits.copies(e),
        _ours(e, labels, pairs, (value, gradient)),
        *_peers(peers.forward_backward, scene, checks.close((value, gradient), checks.ROUGHLY), effort),
    ]
    goals = [
        at_most(1.5, limits.READ, limits.WARM_COPY),
        at_most(1.5, limits.READ, limits.FRESH_COPY),  # the gradient is fresh memory
        faster(35, NAIVE),
        faster(8, COMPILED),
    ]
    return [
        Row("loss forward", forward, [at_most(2, limits.READ)]),
        Row("loss forward + backward", both, goals),
        *([_crop(scene)] if labels.ndim == 3 else []),
    ]


def _crop(scene: Scene) -> Row:
    """EmbedSeg's loss sorts the whole image for every object, and autograd keeps that: a crop has to do."""
    crop = scene.crop(CROP)
    e, labels, pairs = crop.embedding, crop.labels, embedseg_ops.neighbor_pairs(crop.labels)
    outputs = torch.randn(5, *labels.shape[1:], generator=torch.Generator().manual_seed(0))
    definition = checks.reference("embedding_loss")
    expected = peers.forward_backward(lambda *inputs: definition(*inputs).total, e.double(), labels, pairs)
    other = peers.forward_backward(embedseg.loss, outputs.double(), labels[0])
    theirs = Contender(
        "EmbedSeg's loss (another loss)",
        lambda: peers.forward_backward(embedseg.loss, outputs, labels[0]),
        check=checks.close(other, checks.ROUGHLY),
    )
    name = f"loss forward + backward, a crop of {labels.shape[-1]}²"
    return Row(name, [*limits.copies(e), _ours(e, labels, pairs, expected), theirs])


def _ours(e: Tensor, labels: Tensor, pairs: Tensor, expected: tuple[Tensor, Tensor]) -> Contender:
    """Forward and backward, which both read the embedding and the labels; the gradient is written."""
    check = checks.close(expected, max(1e-4, torch.finfo(e.dtype).eps))
    traffic = limits.traffic(e, labels, e, labels, e)
    return ours("embedding_loss", lambda: peers.forward_backward(total, e, labels, pairs), check, traffic)


def _peers(how, scene: Scene, check: checks.Check, effort: Effort) -> list[Contender]:
    inputs = (scene.embedding, scene.labels, torch.as_tensor(scene.pairs))
    objects = scene.objects + 1
    other = how(peers.discriminative_loss, scene.embedding.double(), scene.labels)
    found = [
        Contender(
            "discriminative loss (another loss)",
            lambda: how(peers.discriminative_loss, scene.embedding, scene.labels),
            check=checks.close(other, checks.ROUGHLY),
        ),
        Contender(NAIVE, lambda: how(peers.naive_loss, *inputs), check=check),
        Contender(CLOSED, lambda: how(peers.closed_form, *inputs, objects), check=check),
    ]
    compiled = Contender(
        COMPILED, lambda: how(peers.compiled_closed_form(), *inputs, objects), check=check, prepares=True
    )
    found.append(compiled if effort > Effort.QUICK else Contender(COMPILED, None, missing="left out by --quick"))
    if reference := checks.reference("embedding_loss"):

        def definition(embedding: Tensor, *rest: Tensor) -> Tensor:
            return reference(peers.precise(embedding), *rest).total

        found.append(Contender("reference", lambda: how(definition, *inputs), check=check))
    return found
