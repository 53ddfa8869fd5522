"""`python -m benchmarks.paper.table1 DATA`: neighbour distance d and dimension D (the paper's Table 1).

DATA is a folder with train/ and test/; in the paper, nuclei of BBBC006 and of the 2018 Data Science Bowl. Claims:
d = 10 is best, and D = 4 collapses at d = 100.
"""

import argparse
from pathlib import Path

from benchmarks.nuclei import score
from benchmarks.paper.runs import Budget, embedding_outputs, load_data, report, train_embedding
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.options import TUNED

# mean AP in the paper, by (D, d)
PUBLISHED = {(16, 10): 0.7720, (16, 30): 0.7543, (16, 100): 0.7549, (4, 10): 0.7537, (4, 30): 0.7335, (4, 100): 0.5063}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper.table1", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("out/paper/table1"), help="folder of the runs (%(default)s)")
    parser.add_argument("--steps", type=int, default=Budget.steps, help="of training (%(default)s)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/paper/table1.json"), help="(%(default)s)")
    options = parser.parse_args(arguments)

    data, budget = load_data(options.data), Budget(options.steps)
    scores = {}
    for (dim, distance), published in PUBLISHED.items():
        settings = Settings(dim=dim, foreground=False)
        run = options.runs / f"D{dim}-d{distance}"
        outputs = embedding_outputs(train_embedding(run, data, budget, settings, distance=float(distance)), data.test)
        name = f"D {dim}, d {distance}"
        scores[name] = {**score(outputs, TUNED), "published mean AP": published}
        scores[f"{name}, the paper's postprocessing"] = score(outputs, {})
        report(options.json, scores, steps=options.steps, **{"test images": len(data.test)})


if __name__ == "__main__":
    main()
