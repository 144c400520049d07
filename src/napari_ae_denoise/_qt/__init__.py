"""The panels: the only part that knows napari and Qt."""
