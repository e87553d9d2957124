"""`loss`: values, elements and gradients of losses."""

EXAMPLES = (
    ("gradcli loss mse sse l2_norm --pred 1,2,3 --target 0,0,0", "mean, sum and root of the squares"),
    ("gradcli loss cross_entropy --pred 2,1,0.1 --target 0", "logits against a class index"),
    ("gradcli loss 'huber(delta=2)' --pred 3 --target 0 --reduction sum", "with an argument"),
)  # fmt: skip
PATHS = "losses.0.gradient.2"
