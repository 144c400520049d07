import dataclasses
import json
import math

import numpy as np
import pytest

from napari_ae_denoise.card import FORMAT, Card, now, versions_now
from napari_ae_denoise.network_spec import NetworkSpec
from napari_ae_denoise.normalization import Normalization
from napari_ae_denoise.penalty_spec import Penalty

FULL = Card(
    network=NetworkSpec("residual", widths=(8, 16), code_channels=3, skips=True, stem=2),
    normalization=Normalization("fixed", offset=3, scale=7),
    name="Zellkern μ",
    description="for tests",
    objective="l1",
    penalties=(Penalty("weights-l2", 1e-5), Penalty("sparsity", 0.1, target=0.2)),
    data_kind="clean",
    sigma=(0.5, 20.0),
    sigma_relative=True,
    axes="TZYX",
    metrics={"validation_psnr": 31.5},
    training={"steps": 10, "patch_size": [32, 64]},
    versions={"torch": "2"},
    licence="CC0-1.0",
    created="2025-01-01T00:00:00+00:00",
)


def through_json(record):
    return json.loads(json.dumps(record, allow_nan=False))


DENSE = NetworkSpec("dense", widths=(), code_channels=2, image_size=(28, 20), linear=True)


@pytest.mark.parametrize("card", [FULL, Card(network=NetworkSpec("plain")), Card(network=DENSE)])
def test_card_comes_back_from_its_record(card):
    assert Card.from_record(through_json(card.to_record())) == card


@pytest.mark.parametrize("value", [31, 31.5, math.nan])
def test_measured_numbers_stay_as_they_are(value):
    card = Card.from_record(FULL.to_record() | {"metrics": {"validation_psnr": value}})
    assert card.metrics["validation_psnr"] is value
    assert not card.makes_worse


def test_card_is_read_only():
    card = Card.from_record(through_json(FULL.to_record()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.name = "other"
    with pytest.raises(TypeError):
        card.metrics["psnr"] = 99


def test_record_shares_nothing_with_the_card():
    record = FULL.to_record()
    record["metrics"]["validation_psnr"] = 0
    assert FULL.metrics["validation_psnr"] == 31.5


def test_what_is_not_there_has_its_default_and_what_is_unknown_is_left_out():
    record = {"network": {"style": "plain", "widths": [4]}, "later": {"a": 1}}
    card = Card.from_record(record)
    assert card.network == NetworkSpec("plain", widths=(4,))
    assert card.name == "untitled"
    assert card.format == FORMAT


@pytest.mark.parametrize("number", [FORMAT + 1, 10**9])
def test_a_newer_format_is_refused_before_anything_else_is_read(refused, number):
    with refused(number, FORMAT, remedy="Update"):
        Card.from_record({"format": number, "network": "unheard of"})


def without(name):
    return {k: v for k, v in FULL.to_record().items() if k != name}


@pytest.mark.parametrize(
    "record",
    [
        {},
        without("network"),
        FULL.to_record() | {"network": None},
        FULL.to_record() | {"network": {}},
        FULL.to_record() | {"network": {"style": "plain"}},
        FULL.to_record() | {"network": {"style": "plain", "widths": 4}},
        FULL.to_record() | {"network": {"style": "plain", "widths": ["4"]}},
        FULL.to_record() | {"network": {"style": "plain", "widths": [4], "unknown": 1}},
        FULL.to_record() | {"network": {"style": ["plain"], "widths": [4]}},
        FULL.to_record() | {"network": {"style": "os.system", "widths": [4]}},
        FULL.to_record() | {"network": {"style": "plain", "widths": [10**12]}},
        FULL.to_record()
        | {"network": {"style": "plain", "widths": [4], "code_activation": "exec"}},
        FULL.to_record() | {"network": {"style": "dense", "widths": [4], "image_size": 28}},
        FULL.to_record() | {"network": {"style": "dense", "widths": [4], "image_size": [10**9, 1]}},
        FULL.to_record() | {"network": {"style": "plain", "widths": [4], "variational": "yes"}},
        FULL.to_record() | {"penalties": None},
        FULL.to_record() | {"penalties": "all"},
        FULL.to_record() | {"penalties": [{"name": "os.system", "weight": 1}]},
        FULL.to_record() | {"penalties": [{"name": "sparsity", "weight": "1"}]},
        FULL.to_record() | {"penalties": [{"name": "sparsity", "weight": 1, "more": 1}]},
        FULL.to_record() | {"penalties": [{"name": "sparsity", "weight": 10**400}]},
        FULL.to_record() | {"penalties": [["sparsity", 1]]},
        FULL.to_record() | {"normalization": None},
        FULL.to_record() | {"normalization": {"kind": "eval"}},
        FULL.to_record() | {"normalization": {"scale": 0}},
        FULL.to_record() | {"normalization": {"scale": "1"}},
        FULL.to_record() | {"normalization": {"low": []}},
        FULL.to_record() | {"normalization": {"offset": 10**400}},
        FULL.to_record() | {"sigma": 4},
        FULL.to_record() | {"sigma": [1, 2, 3]},
        FULL.to_record() | {"sigma": ["a", "b"]},
        FULL.to_record() | {"sigma": [1, 10**400]},
        FULL.to_record() | {"name": 7},
        FULL.to_record() | {"created": 5},
        FULL.to_record() | {"licence": ["MIT"]},
        FULL.to_record() | {"metrics": "good"},
        FULL.to_record() | {"metrics": 5},
        FULL.to_record() | {"metrics": {"validation_psnr": "x"}},
        FULL.to_record() | {"metrics": {"validation_psnr": "31.5"}},
        FULL.to_record() | {"metrics": {"validation_psnr": None}},
        FULL.to_record() | {"metrics": {"validation_psnr": True}},
        FULL.to_record() | {"metrics": {"validation_psnr": [31.5]}},
        FULL.to_record() | {"metrics": {"validation_psnr": math.inf}},
        FULL.to_record() | {"training": [1, 2]},
    ],
)
def test_cards_that_cannot_be_used_are_refused(refused, record):
    with refused(remedy="Choose a file" if "network" not in str(record) else "") as caught:
        Card.from_record(record)
    assert len(str(caught.value)) < 2000


def test_numbers_of_numpy_are_kept_in_records():
    from napari_ae_denoise.model_file import _plain_number

    text = json.dumps({"seed": np.int64(3), "psnr": np.float32(0.5)}, default=_plain_number)
    assert json.loads(text) == {"seed": 3, "psnr": 0.5}


def test_versions_and_time_are_plain_text():
    assert {"napari-ae-denoise", "torch", "numpy", "python"} <= set(versions_now())
    assert all(isinstance(v, str) for v in versions_now().values())
    assert now().endswith("+00:00")
