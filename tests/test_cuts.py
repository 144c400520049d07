import numpy as np
import pytest
import torch

from napari_ae_denoise.cuts import Cuts
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.networks import PRESETS, build_empty

SPECS = {
    "classic": PRESETS["classic"],
    "three levels": NetworkSpec("residual", widths=(4, 6, 8), blocks=1, skips=True, stem=2),
    "one level": NetworkSpec("residual", widths=(6,), blocks=3, skips=True, stem=2),
    "no stem": NetworkSpec("residual", widths=(4, 6), blocks=2, skips=True, stem=1),
    "differences": PRESETS["residual"],
    "bottleneck": NetworkSpec("residual", widths=(6, 8), blocks=1, code_channels=3, stem=2),
    "plain with skips": NetworkSpec("plain", widths=(5, 4, 3), skips=True),
    "many levels": NetworkSpec("plain", widths=(3,) * 5),
}


@pytest.mark.parametrize("more", [0, 1, 3], ids="halo and {} strides".format)
@pytest.mark.parametrize("name", SPECS)
def test_the_inside_is_that_of_the_whole_pass(far_sighted, name, more):
    network = far_sighted(SPECS[name])
    stride, context = network.stride, network.halo + more * network.stride
    shape = (1, network.spec.channels, 2 * context + 3 * stride, 2 * context + 2 * stride)
    x = torch.from_numpy(np.random.default_rng(0).random(shape, np.float32))
    with torch.inference_mode():
        whole, whole_code = network.image_and_code(x)
        made, code = network.image_and_code(x, context)
        encoded = network.encode(x, context)
    edge = context // stride
    torch.testing.assert_close(made, whole[..., context:-context, context:-context])
    torch.testing.assert_close(code, whole_code[..., edge:-edge, edge:-edge])
    torch.testing.assert_close(encoded, code)


@pytest.mark.parametrize("name", SPECS)
def test_without_context_nothing_is_cut(name):
    cuts = Cuts.of(build_empty(SPECS[name]), 0)
    assert not any((cuts.image, cuts.code, cuts.made, cuts.code_up))
    assert not any((*cuts.down, *cuts.skipped, *cuts.up))


def test_less_and_less_is_needed_on_the_way_to_the_image():
    network = build_empty(PRESETS["residual-large"])
    cuts = Cuts.of(network, network.halo)
    assert all(n > 0 for n in (*cuts.down, *cuts.skipped, cuts.code_up))
    # 40 pixels are read; the code is needed 12 pixels around, the image not at all
    assert cuts.code_up * network.stride >= 12
    assert cuts.made <= 12


@pytest.mark.parametrize("context", [36, 42, 4])
def test_a_context_that_is_too_small_or_off_the_grid_is_refused(context):
    network = build_empty(PRESETS["residual-large"])
    assert (network.halo, network.stride) == (40, 4)
    with pytest.raises(ValueError, match=str(context)):
        Cuts.of(network, context)
