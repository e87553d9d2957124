"""The command line: its commands, how words become requests, and the one place that prints
`error:`.
"""
