"""Mistakes that leave the world of tensors: copies, NumPy, plain numbers, tensors without a way back."""

from gradcli.tables.mistakes.entry import Mistake

LEAVING = (
    Mistake(
        "tensor-copy",
        "torch.tensor(x) copies the number and loses the graph",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = torch.tensor(x ** 2)  # <--
            print(y.requires_grad)
        """,
        cause="torch.tensor makes a new leaf from plain values. A list of tensors, torch.tensor([a, b]), loses the graph "
        "in the same way, with another warning or none.",
        cure="Use the tensor as it is; put several together by torch.stack or torch.cat.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            y = torch.stack([x ** 2, x ** 3])
            y.sum().backward()
            print(x.grad)
        """,
        fragments=(
            "To copy construct from a tensor, it is recommended to use",
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor)",
        ),
        related=("scalar-of-grad", "detached"),
    ),
    Mistake(
        "numpy-on-grad",
        "NumPy cannot record, so PyTorch refuses to hand over the tensor",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x.numpy()  # <--
        """,
        cause="A NumPy array shares the tensor's memory and knows nothing of autograd: whatever NumPy did would be "
        "missing from the gradient. np.exp(x), np.asarray(x) and matplotlib's plot(x) call numpy() too.",
        cure="For printing and plotting x.detach().numpy(). In a formula use PyTorch's function: torch.exp(x).",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = torch.exp(x)
            y.sum().backward()
            print(x.detach().numpy(), x.grad)
        """,
        fragments=(
            "Can't call numpy() on Tensor that requires grad",
            "Can't call numpy() on Variable that requires grad",
            "Use tensor.detach().numpy() instead",
            "Use var.detach().numpy() instead",
        ),
        related=("scalar-of-grad",),
    ),
    Mistake(
        "scalar-of-grad",
        "a function of Python's math turned the tensor into a number",
        program="""
            x = torch.tensor(1.0, requires_grad=True)
            y = math.exp(x)  # <--
            print(y)
        """,
        cause="math.exp takes a plain number, so the tensor is converted without a word of code, and the history is lost. "
        "The result has no backward().",
        cure="Use PyTorch's function of the same name.",
        cured="""
            x = torch.tensor(1.0, requires_grad=True)
            y = torch.exp(x)
            y.backward()
            print(x.grad)
        """,
        fragments=(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior",
            "Consider using tensor.detach() first",
        ),
        related=("item-breaks", "numpy-on-grad", "tensor-copy"),
    ),
    Mistake(
        "inference-mode",
        "tensors made in inference mode can never enter a graph",
        program="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            with torch.inference_mode():  # <--
                features = torch.ones(2) * 3
            loss = (w * features).sum()
        """,
        cause="inference_mode is quicker than no_grad because its tensors lack what autograd needs to keep them safe, "
        "for as long as they live. Here w * features has to save them for the backward pass.",
        cure="Use torch.no_grad() where the results go on into training, or take features.clone() outside the block.",
        cured="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            with torch.no_grad():
                features = torch.ones(2) * 3
            loss = (w * features).sum()
            loss.backward()
            print(w.grad)
        """,
        fragments=(
            "Inference tensors cannot be saved for backward",
            "you can make a clone to get a normal tensor",
            "Inplace update to inference tensor outside InferenceMode is not allowed",
        ),
        related=("no-grad-block",),
    ),
)
