"""The plain script's work as a LightningModule, with what slows it down for nothing switched off."""

from __future__ import annotations

import logging
import warnings

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cells import Job, network
from benchmarks.peers.clock import Times, Watch, report
from benchmarks.peers.plain import loaders


class Classifier(lightning.LightningModule):
    """A network with its loss, accuracy and optimizer."""

    def __init__(self, model: nn.Module, job: Job, watch: Watch) -> None:
        super().__init__()
        self.model, self.job, self.watch = model, job, watch

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        logits = self.model(x)
        loss = F.cross_entropy(logits, y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        self.log("train_accuracy", (logits.argmax(1) == y).float().mean(), on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self._log(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self._log(batch, "test")

    def on_train_epoch_end(self) -> None:
        self.watch.epoch()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.job.lr, momentum=self.job.momentum)

    def _log(self, batch: tuple[Tensor, Tensor], name: str) -> None:
        x, y = batch
        logits = self.model(x)
        self.log(f"{name}_loss", F.cross_entropy(logits, y))
        self.log(f"{name}_accuracy", (logits.argmax(1) == y).float().mean())


def train(job: Job) -> Times:
    """One run."""
    train_loader, val_loader, test_loader, shape, classes = loaders(job)
    watch = Watch()
    module = Classifier(network(job, shape, classes), job, watch)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=job.measured,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    watch.built()
    trainer.fit(module, train_loader, val_loader)
    trainer.test(module, test_loader, verbose=False)
    return watch.tested()


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # advice on worker processes, which are slower for images this small
    report(train)
