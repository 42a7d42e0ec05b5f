"""Local server that implements TF Serving's contract in Python, for development and tests."""
