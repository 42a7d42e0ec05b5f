"""Sides for the tests of turns; a process imports this module."""

import time


def sleeper(milliseconds):
    return lambda: time.sleep(milliseconds / 1000)


def failing():
    raise ValueError("no such device")


def double(number):
    return 2 * number
