"""Processes: the worker of one call, the pool of a batch, and the warm start, each built on fork,
signals, guards and wire.

They are given what to run, and know no command.
"""
