"""Processes: the worker of one call, the pool of a batch, and the server of warm calls.

They are built on fork, signals, guards and wire, are given what to run, and know no command.
"""
