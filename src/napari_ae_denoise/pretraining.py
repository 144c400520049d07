"""Layerwise pretraining: a deep network as a stack of shallow autoencoders, trained in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_ae_denoise.errors import DenoisingError
from napari_ae_denoise.networks import build_empty
from napari_ae_denoise.objectives import Objective

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_ae_denoise.networks import ConvAutoencoder

PRETRAINED = 0.5  # of the training; the rest fine-tunes the whole network


class Stage(nn.Module):
    """One level of a network as an autoencoder of its own; the weights are the network's."""

    def __init__(self, encoder: Iterable[nn.Module], decoder: Iterable[nn.Module]) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)

    def forward(self, code_before: Tensor) -> Tensor:
        """Make the code of the stage before (for the first one: the image) from itself."""
        return self.decoder(self.encoder(code_before))  # type: ignore[no-any-return]


def stages(network: ConvAutoencoder) -> list[Stage]:
    """Return the levels of a network as autoencoders, the finest first.

    Each takes the encoder's layers of a level, and those of the decoder that lead from the level's
    code back to the code before it: where the decoder's features last have that code's shape.

    Parameters
    ----------
    network : ConvAutoencoder
        Without skips.
    """
    encoders = _encoder_levels(network)
    decoder = _decoder_layers(network)
    twin = build_empty(network.spec)
    spec = network.spec
    h = torch.empty(1, spec.channels, 2 * network.stride, 2 * network.stride, device="meta")
    shapes = []  # of the code after each level
    for level in _encoder_levels(twin):
        for layer in level:
            h = layer(h)
        shapes.append(h.shape)
    h = h[:, : spec.code_width]
    passed = [h.shape]  # of the decoder's features before each layer, and at the end
    for layer in _decoder_layers(twin):
        h = layer(h)
        passed.append(h.shape)
    cuts = [len(decoder)]
    merged = [encoders[0]]
    for encoder, before in zip(encoders[1:], shapes, strict=False):
        places = [i for i, shape in enumerate(passed[: cuts[-1]]) if shape == before]
        if places and places[-1] > 0:
            cuts.append(places[-1])
            merged.append(encoder)
        else:  # the decoder has nothing that undoes this level alone
            merged[-1] = [*merged[-1], *encoder]
    cuts.append(0)
    return [Stage(encoder, decoder[cuts[k + 1] : cuts[k]]) for k, encoder in enumerate(merged)]


def stage_at(fraction: float, count: int) -> int | None:
    """Return the stage that is trained at a fraction of the training; None for the whole."""
    number = int(fraction / PRETRAINED * count)
    return number if number < count else None


def stage_loss(
    before: Iterable[Stage],
    stage: Stage,
    objective: Objective,
    noisy: Tensor,
    target: Tensor,
    scored: Tensor | None = None,
    usual_error: Tensor | None = None,
) -> Tensor:
    """Return the loss of one stage on the code of the stages before it [1]_.

    The stage sees the code of the noisy image and should make that of the target: noise that is
    drawn once, at the image, is carried up through the stages. Penalties wait for the fine-tuning.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P.-A. Manzagol, "Stacked denoising
       autoencoders: learning useful representations in a deep network with a local denoising
       criterion", JMLR 11, 2010.
    """
    first = True
    with torch.no_grad():
        for done in before:
            noisy, target, first = done.encoder(noisy), done.encoder(target), False
    score = Objective(objective.reconstruction)
    return score(stage, noisy, target, scored if first else None, usual_error)


def check_stackable(network: ConvAutoencoder) -> None:
    """Refuse networks that have no stages to train in turn."""
    spec = network.spec
    for wrong, name in ((spec.skips, "skip connections"), (spec.variational, "a variational code")):
        if wrong:
            raise DenoisingError(
                f"A network with {name} cannot be pretrained layer by layer.",
                'Choose a network without, or pretraining="none".',
            )
    if len(stages(network)) < 2:
        raise DenoisingError(
            f"A network of widths {spec.widths} has one stage only: there is nothing to stack.",
            'Choose more depth, or pretraining="none".',
        )


def _encoder_levels(network: ConvAutoencoder) -> list[list[nn.Module]]:
    levels = [list(pair) for pair in zip(network.features, network.down, strict=True)]
    if any(True for _ in network.to_code.parameters()):
        levels.append([network.to_code])
    levels[0].insert(0, network.stem)
    return levels


def _decoder_layers(network: ConvAutoencoder) -> list[nn.Module]:
    parts = [network.from_code]
    for up, refine in zip(network.up, network.refine, strict=True):
        parts += [up, refine]
    return [layer for part in [*parts, network.head] for layer in _leaves(part)]


def _leaves(part: nn.Module) -> list[nn.Module]:
    if isinstance(part, nn.Sequential):
        return [leaf for layer in part for leaf in _leaves(layer)]
    return [] if isinstance(part, nn.Identity) else [part]
