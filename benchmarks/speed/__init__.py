"""The measurements of `make bench`: each row of the table of goals, measured beside what it is compared with.

`rows` names the rows and their goals, `sides` lets processes take turns, `ratios` turns their times into a ratio with
an interval, and `results` and `report` write what was found. `benchmarks/README.md` says what each row means.
"""
