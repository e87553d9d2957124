"""`softmax-jacobian`: probabilities and the Jacobian of softmax."""

EXAMPLES = (
    ("gradcli softmax-jacobian 2,1,0.1", "the whole Jacobian"),
    ("gradcli softmax-jacobian 2,1,0.1 --row 1", "the gradient of p_1 alone"),
    ("gradcli softmax-jacobian 2,1,0.1 --get label", "the predicted class"),
)
PATHS = "label or jacobian.0.1"
