"""The local server: TF Serving's contract in Python, for development and tests."""
