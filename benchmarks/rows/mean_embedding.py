import embedseg_ops
from benchmarks import checks, limits
from benchmarks.goals import at_most
from benchmarks.harness import Contender, Effort, Row, ours
from benchmarks.peers import embedding as peers
from benchmarks.scene import Scene


def rows(scene: Scene, effort: Effort) -> list[Row]:
    e, labels = scene.embedding, scene.labels
    expected = peers.index_add(e.double(), labels)
    check, rough = checks.close(expected), checks.close(expected, checks.ROUGHLY)
    contenders = [
        limits.read(e),
        ours("mean_embedding", lambda: embedseg_ops.mean_embedding(e, labels)[0], check, limits.traffic(e, labels)),
        Contender("index_add", lambda: peers.index_add(e, labels), check=rough),
        Contender("scatter_add", lambda: peers.scatter_add(e, labels), check=rough),
    ]
    if reference := checks.reference("mean_embedding"):
        contenders.append(Contender("reference", lambda: reference(peers.precise(e), labels)[0], check=rough))
    return [Row("mean_embedding", contenders, [at_most(2, limits.READ)])]
