"""`--expect`: the user's expected values compared with the computed ones."""
