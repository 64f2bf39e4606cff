"""φ, the vision encoder: SigLIP and the two-layer MLP that hands its tokens to ψ."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import SiglipVisionModel, initialization as init

from mstar import distributed
from mstar.errors import UserError
from mstar.hooks.run import TiledRun
from mstar.model.configuration import MstarConfig

#: Weights of red, green and blue in luminance (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


#: Of the positions a stem starts with; its output has a standard deviation of about 6.
POSITION_AMPLITUDE = 4.0


def sine_positions(side: int, dim: int) -> Tensor:
    """Sines and cosines of row and column, [side², dim], with periods from 4 to 8 · side tokens."""
    octaves = torch.arange(dim // 4) / (dim // 4)
    places = torch.arange(side)[:, None] * (torch.pi / 2) * (2 * side) ** -octaves
    one = torch.cat([places.sin(), places.cos()], dim=1)  # [side, dim / 2]
    rows, columns = one[:, None].expand(-1, side, -1), one[None].expand(side, -1, -1)
    return torch.cat([rows, columns], dim=-1).flatten(0, 1)


class _PaddedAfter(nn.Conv2d):
    """A 3×3 convolution padded at the right and at the bottom only, so that it looks ahead."""

    def forward(self, hidden: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(hidden, (0, 1, 0, 1)))


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm over the images of all processes: no result depends on how a batch is split.

    torch's SyncBatchNorm is that for GPUs alone.
    """

    def forward(self, hidden: Tensor) -> Tensor:  # [B, C, H, W]
        processes = distributed.processes()[1]
        if not self.training or processes == 1:
            return super().forward(hidden)
        count = processes * hidden.numel() // hidden.shape[1]
        values = hidden.to(self.weight.dtype)  # under autocast, sums in full precision
        mean = distributed.total(values.sum(dim=(0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = distributed.total(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(hidden.dtype)


class ConvStem(nn.Module):
    """Convolutions in the place of SigLIP's single patch convolution.

    On a CPU a small model learns to read much sooner with it. It standardises each image first, so
    its gain need not be learnt. The norm is BatchNorm (over all processes), although its value
    depends on the batch in training: all else equal (easy strips, batches of 32, lr 2.5e-3, one
    seed) the CTC loss after 800 steps was 1.13, and 2.95 with GroupNorm, which had not left its
    plateau.

    A token sees the middle of its own patch: strided convolutions with even padding would all look
    at its upper left corner, and every map over the image would lie half a token off.
    """

    def __init__(self, in_channels: int, layers: Sequence[tuple[int, int]], dim: int):
        super().__init__()
        convolutions: list[nn.Module] = []
        last = max((i for i, (_, stride) in enumerate(layers) if stride > 1), default=None)
        for index, (width, stride) in enumerate(layers):
            if index == last:  # one step ahead at this depth is half a patch
                convolution = _PaddedAfter(in_channels, width, 3, stride, bias=False)
            else:
                convolution = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
            convolutions += [convolution, BatchNorm(width), nn.ReLU(inplace=True)]
            in_channels = width
        self.layers = nn.Sequential(*convolutions)
        self.proj = nn.Conv2d(in_channels, dim, 3, padding=1)

    @property
    def weight(self) -> Tensor:
        """SigLIP reads its patch convolution's dtype here."""
        return self.proj.weight

    def forward(self, pixels: Tensor) -> Tensor:  # [B, 3, H, W] -> [B, D, H/p, W/p]
        mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
        std = pixels.std(dim=(1, 2, 3), keepdim=True)
        standard = ((pixels - mean) / (std + 1e-3)).contiguous(memory_format=torch.channels_last)
        return self.proj(self.layers(standard))  # in this layout a CPU convolves a fifth faster


class VisionEncoder(nn.Module):
    """φ of section 3: image tokens f₀, and the MLP that projects any f_t for ψ."""

    def __init__(self, config: MstarConfig):
        super().__init__()
        self.siglip = SiglipVisionModel(config.vision_config)
        dim, width = config.vision_config.hidden_size, config.qformer_config.encoder_hidden_size
        if config.conv_stem:
            self.siglip.embeddings.patch_embedding = ConvStem(
                config.vision_config.num_channels,
                config.conv_stem,
                dim,
            )
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, width))

    def forward(
        self,
        pixel_values: Tensor,
        run: TiledRun | None = None,
        window: tuple[int, int] | None = None,
    ) -> tuple[Tensor, tuple[int, int]]:
        """Encode images of any size that is a multiple of the patch.

        Args:
            pixel_values: float [B, 3, H, W], tiles one after another.
            run: listeners of this call.
            window: (row, column) in the position table at which to lay an image that is smaller
                than the native size; without it the table is interpolated to the image's grid.

        Returns:
            f₀ [B, N, D] and the grid (grid_h, grid_w), N = grid_h · grid_w, row-major.
        """
        if pixel_values.ndim != 4 or not len(pixel_values) or pixel_values.shape[1] != 3:
            raise UserError(
                "pixel_values should be images of three channels, [B, V, 3, H, W] or [B, 3, H, W]; "
                f"those of the tiles are {list(pixel_values.shape)}."
            )
        patch = self.siglip.config.patch_size
        height, width = pixel_values.shape[-2:]
        if height % patch or width % patch or not height or not width:
            raise UserError(
                f"image size {height}×{width} is not a multiple of the patch size {patch}."
            )
        grid = (height // patch, width // patch)
        hidden = self._embed(pixel_values, grid, window)
        for index, layer in enumerate(self.siglip.encoder.layers):
            hidden = layer(hidden, None)
            if run is not None:
                hidden = run(f"vision.layers.{index}.hidden", hidden)
        tokens = self.siglip.post_layernorm(hidden)
        if run is not None:
            tokens = run("vision.tokens", tokens)
        return tokens, grid

    def _embed(
        self, pixel_values: Tensor, grid: tuple[int, int], window: tuple[int, int] | None
    ) -> Tensor:
        embeddings = self.siglip.embeddings
        if window is None:
            return embeddings(pixel_values, interpolate_pos_encoding=True)
        side = embeddings.image_size // embeddings.patch_size
        if len(window) != 2:
            raise UserError(f"window should be (row, column); got {window}.")
        row, column = window
        if row < 0 or column < 0 or row + grid[0] > side or column + grid[1] > side:
            raise UserError(
                f"a {grid[0]}×{grid[1]} grid at {window} leaves the {side}×{side} position table."
            )
        table = embeddings.position_embedding.weight.view(side, side, -1)
        positions = table[row : row + grid[0], column : column + grid[1]].flatten(0, 1)
        patches = embeddings.patch_embedding(pixel_values.to(table.dtype))
        return patches.flatten(2).transpose(1, 2) + positions

    def init_from_scratch(self) -> None:
        """How a φ with a stem starts, which has to learn letters from nothing."""
        stem = self.siglip.embeddings.patch_embedding
        for child in stem.modules():
            if isinstance(child, nn.Conv2d):
                init.kaiming_normal_(child.weight, nonlinearity="relu")
        # Text is legible by its luminance: start there, and colour is learnt on top.
        first = stem.layers[0].weight
        grey = first.mean(dim=1, keepdim=True) * first.shape[1] ** 0.5
        init.copy_(first, grey * first.new_tensor(LUMA)[:, None, None] * len(LUMA))
        # Telling two words apart takes knowing where each is. Beside the stem's output SigLIP's
        # random positions are too weak for that, and have no order to learn from.
        table = self.siglip.embeddings.position_embedding.weight
        side = round(table.shape[0] ** 0.5)
        init.copy_(table, POSITION_AMPLITUDE * sine_positions(side, table.shape[1]))
        # The transformer starts as the identity, so that the stem learns letters first.
        for layer in self.siglip.encoder.layers:
            init.zeros_(layer.self_attn.out_proj.weight)
            init.zeros_(layer.mlp.fc2.weight)

    def project(self, tokens: Tensor) -> Tensor:
        """MLP: f_t [B, N, D] -> what ψ looks at, [B, N, encoder_hidden_size]."""
        return self.mlp(tokens)
