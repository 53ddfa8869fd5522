import torch
from torch import Tensor

import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import at_most, faster
from benchmarks.harness import Contender, Effort, Row, ours
from benchmarks.peers import embedding as peers
from benchmarks.scene import Scene

NAIVE, CLOSED, COMPILED = "eager", "closed form, eager", "closed form, compiled"


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
    both_checked = checks.close((value, gradient), max(1e-4, torch.finfo(e.dtype).eps))
    there_and_back = limits.traffic(e, labels, e, labels, e)  # the last is the gradient
    both = [
        limits.read(e),
        *limits.copies(e),
        ours("embedding_loss", lambda: peers.forward_backward(total, e, labels, pairs), both_checked, there_and_back),
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
    ]


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
