"""`check`: the user's own function, module or backward pass against differences and autograd."""

EXAMPLES = (
    ("gradcli check layers.py:affine_forward,affine_backward x=1,2 w='1,2;3,4'", "your backward pass"),
    ("gradcli check ops.py:Swish x=-1,0,2", "a torch.autograd.Function"),
    ("gradcli check net.py:Net x='randn(5,3)' --like 'x @ weight.T + bias'", "a module, compared with an expression"),
)  # fmt: skip
PATHS = "check.x.reason"
