import pickle

import pytest

from napari_ae_denoise import DenoisingError


def test_error_says_both_sentences():
    error = DenoisingError("The cause.", "The remedy.")
    assert (error.cause, error.remedy) == ("The cause.", "The remedy.")
    assert str(error) == "The cause. The remedy."


def test_error_is_no_runtime_error():
    assert not issubclass(DenoisingError, RuntimeError)
    assert issubclass(DenoisingError, ValueError)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_error_survives_a_process_pool(protocol):
    error = pickle.loads(pickle.dumps(DenoisingError("Cause {} %s.", "Remedy."), protocol))
    assert type(error) is DenoisingError
    assert (error.cause, error.remedy) == ("Cause {} %s.", "Remedy.")
    assert str(error) == "Cause {} %s. Remedy."
