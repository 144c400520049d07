"""Models of other programs: files that can be opened here, and files that can be opened there."""
