"""`softmax-jacobian`: probabilities and the Jacobian of softmax."""
