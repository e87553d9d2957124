"""What the requests of several commands share: kinds of values, common options, filling from words
and from JSON.
"""
