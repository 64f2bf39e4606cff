"""What a step minimises, as one module, so that data-parallel training sees every parameter."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from mstar import distributed
from mstar.model.losses import assigned_loss, attention_entropy, idle_loss
from mstar.model.modeling import MstarModel
from mstar.training import reading
from mstar.training.recipes import Recipe


class Objective(nn.Module):
    """The losses of a batch.

    Args:
        head: of the reading warm-up; None where no stage has one.
        assigned_weight: see `Recipe`.
    """

    def __init__(self, model: MstarModel, head: reading.ReadingHead | None, assigned_weight: float):
        super().__init__()
        self.model, self.head, self.assigned_weight = model, head, assigned_weight

    def forward(
        self,
        pixel_values: Tensor,
        window: tuple[int, int] | None,
        transcriptions: Sequence[str] | None = None,
        idle_weight: float = 0.0,
        entropy_weight: float = 0.0,
        matching_weight: float = 1.0,
        **batch: Tensor | int | bool,
    ) -> dict[str, Tensor]:
        """`loss` and its parts.

        Args:
            pixel_values: this process's images, in tiles [B, V, 3, H, W] or whole [B, 3, H, W].
            window: see `VisionEncoder.forward`.
            transcriptions: what is written on each; asks for the reading loss.
            idle_weight, entropy_weight, matching_weight: see `Stage`.
            batch: what else `MstarModel.forward` takes.
        """
        if transcriptions is not None:
            return {
                "loss": reading.reading_loss(
                    self.model.vision, self.head, pixel_values, transcriptions, window
                )
            }
        with ExitStack() as stack:
            heard = stack.enter_context(_heard(self.model)) if entropy_weight else []
            out = self.model(pixel_values=pixel_values, window=window, **batch)
        losses = {"loss": out.loss, "L_c": out.contrastive_loss}
        cosine, assignment = out.similarity.cosine, out.similarity.assignment
        is_word, temperature = batch["is_word"], self.model.temp
        excluded = batch["positives"] & ~is_word
        if batch.get("unknown") is not None:
            excluded = excluded | batch["unknown"]
        if self.assigned_weight:
            losses["L_a"] = assigned_loss(cosine, assignment, excluded, temperature)
            losses["loss"] = losses["loss"] + self.assigned_weight * losses["L_a"]
        if idle_weight:
            words = batch["own"] & is_word
            losses["L_i"] = idle_loss(cosine, assignment, words, excluded, temperature)
            losses["loss"] = losses["loss"] + idle_weight * losses["L_i"]
        if entropy_weight:
            looks = len(out.images.looks) * len(_cross_attentions(self.model))
            of_looks = heard[:looks]  # after them comes the pass of L_m
            entropy = torch.stack([attention_entropy(one) for one in of_looks], dim=1)
            losses["H_C"] = distributed.gather(entropy).mean()
            losses["loss"] = losses["loss"] + entropy_weight * losses["H_C"]
        if out.matching_loss is not None:
            losses["L_m"] = out.matching_loss
            losses["loss"] = losses["loss"] + (matching_weight - 1) * losses["L_m"]
        return losses


def _cross_attentions(model: MstarModel) -> list[nn.Module]:
    layers = model.multimodal.qformer.encoder.layer
    return [layer.crossattention.attention for layer in layers if layer.has_cross_attention]


@contextmanager
def _heard(model: MstarModel) -> Iterator[list[Tensor]]:
    """Inside, every call of a cross-attention of ψ adds its probabilities, with a gradient.

    The hook points of a run are for looking: a run they listen to reads texts padded to one length
    and leaves out the released stop-gradients. Nothing is computed in the hook, as a layer whose
    activations are computed twice is heard once.
    """
    heard: list[Tensor] = []

    def hear(module: nn.Module, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        heard.append(output[1])

    handles = [module.register_forward_hook(hear) for module in _cross_attentions(model)]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def optimizer(objective: Objective, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over what is trained: weight decay on matrices, a rate of its own for φ.

    `factor` of each group multiplies the stage's learning rate.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            key = (parameter.ndim > 1, name.startswith("model.vision.siglip."))
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if matrix else 0.0,
                "factor": recipe.vision_lr_factor if vision else 1.0,
            }
            for (matrix, vision), parameters in groups.items()
        ],
        lr=0.0,
        betas=recipe.betas,
        fused=torch.cuda.is_available(),
    )
