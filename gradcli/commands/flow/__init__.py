"""`flow`: how large the gradient is in every layer of a deep stack."""

EXAMPLES = (
    ("gradcli flow --activation sigmoid --activation relu --layers 20", "why deep sigmoid networks do not learn"),
    ("gradcli flow --activation relu --init kaiming --layers 50", "Kaiming's rule keeps the gradient steady"),
    ("gradcli flow --net 'nn.Sequential(nn.Linear(4,9), nn.Sigmoid(), nn.Linear(9,1))' --x 'randn(64,4)'",
     "your own network, and what cures it"),
)  # fmt: skip
PATHS = "factors.relu or layers.0.gradient_norm"
