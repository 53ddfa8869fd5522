"""Training: one process or many, on CPU or GPU, interrupted and resumed without a trace in the losses."""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from embedseg_ops.data.crops import CropDataset, crop_shape
from embedseg_ops.data.processes import Group
from embedseg_ops.data.sample_files import AnySample
from embedseg_ops.data.writing import remove_leftovers
from embedseg_ops.evaluate.metrics import average_precision
from embedseg_ops.model.devices import choose_device, has_bf16
from embedseg_ops.model.files import save_model, start_from
from embedseg_ops.model.networks import LAYOUTS, EmbeddingModel
from embedseg_ops.model.registry import ModelName, find_model
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.postprocess import postprocess
from embedseg_ops.predict.checks import check_postprocess
from embedseg_ops.predict.scale import predict_scaled
from embedseg_ops.train.batch_norm import check_batch_norm, share_batch_norm
from embedseg_ops.train.checkpoints import read_checkpoint, restore, save_checkpoint
from embedseg_ops.train.identity import differences, identity
from embedseg_ops.train.interruption import Interruption
from embedseg_ops.train.lock import locked
from embedseg_ops.train.log import RunLog
from embedseg_ops.train.losses import TrainingLoss, training_loss
from embedseg_ops.train.optimizer import make_optimizer
from embedseg_ops.train.options import Options
from embedseg_ops.train.targets import make_targets


class Trainer:
    """A training run: the network, how it is trained, and the folder where it is kept.

    The folder receives ``checkpoint.pt``, ``losses.csv``, ``best.safetensors`` (highest mean AP on the validation
    samples), ``last.safetensors``, and TensorBoard's files if it is installed. A run whose folder holds a checkpoint
    continues there.

    Args:
        out: the folder.
        settings: describes the network and its use; see `embedseg_ops.model.settings.Settings`.
        train: samples to train on, in memory or in files; see `embedseg_ops.data.sample_files.open_folder`.
        validation: samples to measure on; none: the last network is the best.
        options: how to train.
        device: None: CUDA where there is one, else the CPU.
        model: train this network instead of `settings.build()`; resuming needs the same one.
        init: the model whose weights a new run starts from, as `embedseg_ops.load_model` takes it; see
            `embedseg_ops.model.files.start_from`.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: `init` does not exist.
        TypeError: an option of the postprocessing has the wrong type.
        ValueError: the batch cannot be divided among the processes, no samples, an option of the postprocessing that
            there is not, a checkpoint of another run (other options that the weights depend on, fewer steps, other
            images, another `init`), or `init` has another architecture.
    """

    def __init__(
        self, out: str | Path, settings: Settings, train: Sequence[AnySample], validation: Sequence[AnySample],
        options: Options, device: str | torch.device | None = None, model: EmbeddingModel | None = None,
        progress: bool = False, init: ModelName | None = None,
    ):  # fmt: skip
        self.out, self.settings, self.validation = Path(out), settings, validation
        init = None if init is None else find_model(init)
        self.options = options = options.for_start(init)
        check_postprocess(settings)
        self.device = choose_device(device)
        self.group = Group.join(self.device)
        if not train:
            raise ValueError("there are no samples to train on")
        if options.batch % self.group.size:
            raise ValueError(f"batch {options.batch} cannot be divided among {self.group.size} processes")
        self.out.mkdir(parents=True, exist_ok=True)
        crop = crop_shape(options.crop, settings.spatial_dims, settings.spacing)
        self.crops = CropDataset(train, crop, options.seed, options.augmentation, options.steps * options.batch,
                                 settings.diameter, settings.spacing)  # fmt: skip
        torch.manual_seed(options.seed)
        self.model = (model or settings.build()).to(self.device)
        self.model.to(memory_format=LAYOUTS[settings.spatial_dims])  # type: ignore[call-overload]
        check_batch_norm(self.model, options.batch, crop)
        if init is not None:
            start_from(self.model, init)
        if self.group.size > 1:
            share_batch_norm(self.model)
        self.network = DistributedDataParallel(self.model) if self.group.size > 1 else self.model
        self.optimizer, self.schedule = make_optimizer(
            options.optimizer, self.model, options.learning_rate or 0.0, options.weight_decay, options.steps
        )
        self.identity = identity(settings, options, train, init)
        self.step, self.best = 0, -1.0
        self.resume(init)
        self.progress = progress
        self.log: RunLog | None = None
        self.interruption = Interruption()

    def resume(self, init: Path | None) -> None:
        """Continue from the folder's checkpoint, if there is one; `init` is what the run started from."""
        path = self.out / "checkpoint.pt"
        checkpoint = read_checkpoint(path)
        if checkpoint is None:
            return
        different = differences(checkpoint["identity"], self.identity, self.crops.samples, init)
        if different:
            raise ValueError(
                f"{self.out} holds a run with other options ({', '.join(different)}): choose another folder"
            )
        restore(checkpoint, path, self.model, self.optimizer, self.schedule)
        self.step, self.best = checkpoint["step"], checkpoint["best"]
        if checkpoint.get("postprocess", self.settings.postprocess) != self.settings.postprocess:
            self.best = -1.0  # measured with another

    def run(self) -> None:
        """Train to the last step.

        SIGINT and SIGTERM end the step that is being done, and write a checkpoint.

        Raises:
            ValueError: another run is at work in the folder; or the loss or its gradient is not finite, in which case
                the last checkpoint stays.
            KeyboardInterrupt: a signal came.
        """
        first = self.group.rank == 0
        with self.interruption, locked(self.out) if first else nullcontext():
            if first:
                remove_leftovers(self.out)
            try:
                self.train()
            finally:
                if self.log:
                    self.log.close()

    def train(self) -> None:
        """Do the steps that are left."""
        if self.group.rank == 0:
            self.log = RunLog(self.out, self.step, self.options.steps, self.progress)
        loader = DataLoader(
            self.crops,
            batch_sampler=self.group.share(self.step, self.options.steps, self.options.batch),
            num_workers=self.options.workers,
            pin_memory=self.device.type == "cuda",
        )
        for crops in loader:
            losses = self.train_step(*crops)
            self.step += 1
            self.after_step(losses)
            if self.group.any(self.interruption.asked, self.device):
                self.write_checkpoint()
                raise KeyboardInterrupt
        self.finish()

    def train_step(self, image: Tensor, labels: Tensor, inside: Tensor) -> TrainingLoss:
        """Make one optimiser step on a batch of crops; return its losses."""
        self.network.train()
        loss = self.loss(image.to(self.device), labels.to(self.device), inside.to(self.device))
        self.optimizer.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.check_finite(loss, norm)
        self.optimizer.step()
        self.schedule.step()
        return loss

    def check_finite(self, loss: TrainingLoss, norm: Tensor) -> None:
        """Raise a ValueError, in all processes, before a loss or a gradient that is not finite spoils the weights."""
        if not self.group.any(not bool((loss.total.detach() + norm).isfinite()), self.device):
            return
        parts = ", ".join(f"{name} {float(part.detach()):g}" for name, part in loss._asdict().items())
        raise ValueError(
            f"the loss of step {self.step + 1} is not finite ({parts}; norm of the gradient {float(norm):g}). "
            f"{self.out} keeps its last checkpoint; a learning rate below {self.options.learning_rate:g} may help"
        )

    def loss(self, image: Tensor, labels: Tensor, inside: Tensor) -> TrainingLoss:
        """Return the losses of a batch of crops."""
        options = self.options
        targets = make_targets(labels, inside, options.distance, self.settings.spacing)
        with self.autocast():
            embedding, distance, *foreground = self.network(image)
        return training_loss(
            embedding, distance, targets, *foreground, embedding_weight=options.embedding_weight,
            weights=options.weights, target_scale=options.target_scale, sparsity_weight=options.sparsity_weight,
            foreground_weight=options.foreground_weight, object_weights=options.object_weights,
        )  # fmt: skip

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which the network computes."""
        chosen = self.options.bf16
        bf16 = has_bf16(self.device) if chosen is None else chosen
        return torch.autocast(self.device.type, torch.bfloat16) if bf16 else nullcontext()

    def after_step(self, losses: TrainingLoss) -> None:
        """Log, validate and write a checkpoint, each when it is time."""
        values = self.group.mean(torch.stack([part.detach() for part in losses])).tolist()
        if self.log:
            self.log.losses(
                self.step, dict(zip(losses._fields, values, strict=True)), float(self.schedule.get_last_lr()[-1])
            )
        last = self.step == self.options.steps
        if self.validation and (last or self.step % self.options.validate_every == 0):
            self.validate()
        if last or self.step % self.options.checkpoint_every == 0:
            self.write_checkpoint()

    def write_checkpoint(self) -> None:
        """Write the checkpoint, after the losses up to it."""
        if self.log:
            self.log.flush()
            save_checkpoint(
                self.out / "checkpoint.pt", self.model, self.optimizer, self.schedule, self.step,
                best=self.best, identity=self.identity, postprocess=self.settings.postprocess,
            )  # fmt: skip

    def validate(self) -> None:
        """Measure AP on the validation samples, shared among the processes; keep the best network."""
        self.model.eval()
        sums = torch.zeros(2)
        for sample in self.validation[self.group.rank :: self.group.size]:
            labels = self.segment(sample)
            precision = average_precision([sample.labels], [labels])
            sums += torch.tensor([precision.mean, precision.values[0]])
        mean_ap, ap50 = (self.group.mean(sums) * self.group.size / len(self.validation)).tolist()
        if self.log:
            self.log.scores(self.step, {"mean AP": mean_ap, "AP50": ap50})
            if mean_ap > self.best:
                self.save("best", {"mean AP": mean_ap, "AP50": ap50})
        self.best = max(self.best, mean_ap)

    def segment(self, sample: AnySample) -> Tensor:
        """Return the labels of a validation sample; draw the first."""
        with self.autocast():
            embedding, distance = predict_scaled(sample.image, self.model, self.settings)
        dims, options = self.settings.spatial_dims, self.settings.postprocess
        labels = postprocess(embedding, distance, spatial_dims=dims, **options)[0]
        if self.log and sample is self.validation[0]:
            self.log.pictures(self.step, sample, embedding[0], distance[0], labels)
        return labels

    def finish(self) -> None:
        """Write the last network."""
        if self.log:
            self.save("last", {})
            if not self.validation:
                self.save("best", {})

    def save(self, name: str, scores: dict[str, float]) -> None:
        """Write the network as a model file."""
        training = {**self.identity["options"], "step": self.step}
        scores = {f"validation {measure}": round(value, 4) for measure, value in scores.items()}
        settings = dataclasses.replace(self.settings, training=training, scores={**self.settings.scores, **scores})
        save_model(self.out / f"{name}.safetensors", self.model, settings)
