"""`--expect`: what the user expects beside what came out."""
