"""What the command line is made of; the commands themselves are in `cli`."""
