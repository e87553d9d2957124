"""Mistakes that leave the world of tensors: copies, NumPy, plain numbers, tensors without a way
back.
"""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

LEAVING = (
    Mistake(
        "tensor-copy",
        "torch.tensor(x) copies the value and loses the graph",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = torch.tensor(x ** 2)  # <--
            print(y.requires_grad)
        """,
        cause="torch.tensor creates a new leaf from plain values. A list of tensors, torch.tensor([a, b]), loses the "
        "graph in the same way, with a different warning or none.",
        cure="Use the tensor as it is; combine several with torch.stack or torch.cat.",
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
        vague=(
            Vague(
                "does not have a grad_fn",
                ("torch.tensor", "torch.Tensor", "torch.FloatTensor", "from_numpy"),
                alone=False,
            ),
        ),
        shown_by=(
            r"torch\.(?:(?:as_)?tensor|(?:Float)?Tensor)\(\[?(?!np|data|df|labels?|range|float|int|True|False|list)[A-Za-z_]|from_numpy\(",
        ),
        related=("scalar-of-grad", "detached"),
        in_training="torch.tensor(list_of_losses) or torch.tensor(prediction) is put into the loss: backward() fails, or,"
        " with another path left, the copied part is not trained.",
        run_finds="gradcli why --run train.py names the line of torch.tensor(), where the loss has no graph because "
        "of it, or parameters of the optimizer get no gradient.",
    ),
    Mistake(
        "numpy-on-grad",
        "NumPy cannot record operations, so PyTorch refuses to convert the tensor",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x.numpy()  # <--
        """,
        cause="A NumPy array shares the tensor's memory but is not tracked by autograd: whatever NumPy computed would "
        "be missing from the gradient. np.exp(x), np.asarray(x) and matplotlib's plot(x) call numpy() too.",
        cure="For printing and plotting use x.detach().numpy(). In a formula use PyTorch's function: torch.exp(x).",
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
        symptoms=(
            "numpy gradient",
            "numpy requires_grad",
        ),
        related=("scalar-of-grad",),
        in_training="The program stops where a prediction or a loss is plotted, appended to a list for matplotlib or "
        "passed to scikit-learn, usually after the first epoch.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that asks for the array.",
    ),
    Mistake(
        "scalar-of-grad",
        "a function from Python's math module turned the tensor into a number",
        program="""
            x = torch.tensor(1.0, requires_grad=True)
            y = math.exp(x)  # <--
            print(y)
        """,
        cause="math.exp takes a plain number, so the tensor is converted implicitly, and its history is lost. The "
        "result has no backward().",
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
        symptoms=("math exp gradient",),
        related=("item-breaks", "numpy-on-grad", "tensor-copy"),
        in_training="A formula with math.exp or math.log trains only its other terms; PyTorch warns once and goes on.",
        run_finds="gradcli why --run train.py names the line that turned a recorded tensor into a number, where "
        "backward() then fails (as item-breaks), or a parameter gets no gradient because of it.",
    ),
    Mistake(
        "inference-mode",
        "tensors created in inference mode can never enter a graph",
        program="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            with torch.inference_mode():  # <--
                features = torch.ones(2) * 3
            loss = (w * features).sum()
        """,
        cause="inference_mode is faster than no_grad because its tensors lack, permanently, the version counters that "
        "autograd needs to save them. Here w * features has to save features for the backward pass.",
        cure="Use torch.no_grad() if the results are used for training later, or use features.clone() outside the "
        "block.",
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
        in_training="Features are precomputed, or weights are loaded, under inference_mode, and the first forward pass of"
        " training fails.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that switched inference "
        "mode on.",
    ),
)
