"""What requests share: kinds of values, common options, filling from words and from JSON."""
