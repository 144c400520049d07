"""Arrays that are not in memory, as tests need them."""


class Lazy:
    """An array that counts the pixels read of it, as a zarr array might."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.ndim = (
            values,
            values.shape,
            values.dtype,
            values.ndim,
        )
        self.pixels_read = 0

    def __getitem__(self, index):
        window = self.values[index]
        self.pixels_read += window.size
        return window
