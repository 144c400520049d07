from dataclasses import replace

import pytest

from napari_ae_denoise.bundled import bundled_names
from napari_ae_denoise.camera_noise import CameraNoise
from napari_ae_denoise.glance import Glance
from napari_ae_denoise.proposal import COLOURS, GRAY, MICROSCOPY, propose

NAMES = ["microscopy", "natural-gray", "natural-rgb"]
GRAY_8 = Glance("YX", (64, 64), "uint8", (5.0, 5.0), None, (0.0, 0.0), 240.0)
CAMERA = CameraNoise(2.0, 100.0, 3.0)


@pytest.mark.parametrize(
    ("changed", "calibrated", "wanted"),
    [
        ({}, False, GRAY),
        ({"dtype": "float32", "largest": 0.9}, False, GRAY),
        ({"dtype": "float64", "largest": 255.0}, False, GRAY),
        ({"dtype": "float32", "largest": 3000.0}, False, MICROSCOPY),
        ({"dtype": "float32", "largest": float("nan")}, False, GRAY),
        ({"dtype": "uint16"}, False, MICROSCOPY),
        ({"dtype": ">u2"}, False, MICROSCOPY),
        ({"camera": CAMERA}, False, MICROSCOPY),
        ({}, True, MICROSCOPY),
        ({"axes": "YXC", "shape": (64, 64, 3)}, False, COLOURS),
        ({"axes": "YXC", "shape": (64, 64, 4), "camera": CAMERA}, True, COLOURS),
        ({"axes": "CYX", "shape": (3, 64, 64), "dtype": "uint16"}, False, MICROSCOPY),
    ],
)
def test_the_model_follows_the_image(changed, calibrated, wanted):
    proposal = propose(replace(GRAY_8, **changed), NAMES, calibrated=calibrated)
    assert proposal.name == wanted
    assert proposal.reason


def test_a_missing_model_is_stood_in_for_and_no_model_is_none():
    assert propose(GRAY_8, ["microscopy"]).name == "microscopy"
    assert "natural-gray is not there" in propose(GRAY_8, ["microscopy"]).reason
    assert propose(GRAY_8, []) is None


def test_the_names_are_those_of_the_bundled_models():
    assert {COLOURS, MICROSCOPY, GRAY} <= set(bundled_names())
