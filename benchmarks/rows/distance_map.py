import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import Faster
from benchmarks.harness import ALL_THREADS, Contender, Effort, Row, ours, peer
from benchmarks.peers.labels import edt_normalised
from benchmarks.scene import Scene, normalised_distance

EDT = "edt + normalisation"


def rows(scene: Scene, effort: Effort) -> list[Row]:
    labels = scene.labels[0].numpy()
    check = checks.close(normalised_distance(labels))
    traffic = limits.traffic(scene.labels, scene.distance)
    contenders = [
        *limits.copies(scene.labels),
        ours("distance_map", lambda: embedseg_ops.distance_map(scene.labels), check, traffic),
        peer(EDT, "edt", lambda: edt_normalised(labels, ALL_THREADS), check=check),
        peer("SciPy, object by object", "scipy", lambda: normalised_distance(labels), threads=(1,), check=check),
    ]
    if reference := checks.reference("distance_map"):
        contenders.append(Contender("reference", lambda: reference(scene.labels), check=check))
    return [Row("distance_map", contenders, [Faster(2, (EDT,))])]
