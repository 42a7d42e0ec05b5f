"""Contradictions among attributes: the rules, where answers or labels break them, and the answers that do not."""
