"""Mistakes of changing a tensor in place, and of the update of weights."""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

_SAVED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation",
    "enable anomaly detection to find the operation that failed to compute its gradient",
    "the backtrace further above shows the operation that failed to compute its gradient",
)

IN_PLACE = (
    Mistake(
        "inplace-saved",
        "a value that backward needs was overwritten",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x.exp()
            y += 1  # <--
            y.sum().backward()
        """,
        cause="The derivative of exp is its own result, so exp saves y for the backward pass, and y += 1 changes it. "
        "PyTorch tracks the version of every tensor and detects the change.",
        cure="Write y = y + 1, which creates a new tensor and leaves the old one unchanged. nn.ReLU(inplace=True) and "
        "x[i] = ... can cause the same error.",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x.exp()
            y = y + 1
            y.sum().backward()
            print(x.grad)
        """,
        fragments=_SAVED,
        symptoms=(
            "inplace",
            "inplace operation",
            "modified inplace",
        ),
        related=("inplace-leaf", "data-attribute"),
        in_training="backward() fails with the shape and the version of a tensor but no line. Usual places are x += "
        "residual, F.relu(x, inplace=True), masks written with x[mask] = 0 and dropout with inplace=True.",
        run_finds="gradcli why --run train.py names the write that changed the tensor and the operation that had saved "
        "it.",
    ),
    Mistake(
        "step-before-backward",
        "the optimizer changed the weights between two backward passes",
        program="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            first, second = (w ** 2).sum(), (w ** 3).sum()
            first.backward()
            optimizer.step()  # <--
            second.backward()
        """,
        cause="step() changes the weights in place, but the second loss was computed with the old weights. Its "
        "gradient would be right for neither. The message names no operation that produced the tensor, because a "
        "weight is not the result of one (or it names TBackward0 or AsStridedBackward0: the transposed weight of "
        "nn.Linear).",
        cure="Call backward() on all losses before step(), or compute the second loss after it: in a GAN, with the "
        "fake samples detached for the discriminator. If there is no optimizer step in between, a buffer was changed: "
        "BatchNorm that runs twice under DistributedDataParallel needs broadcast_buffers=False.",
        cured="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            first, second = (w ** 2).sum(), (w ** 3).sum()
            first.backward()
            second.backward()
            optimizer.step()
            print(w.grad, w.detach())
        """,
        fragments=(
            *_SAVED,
            f"{_SAVED[0]}: [...Tensor [2]] is at version 2; expected version 1",
            f"{_SAVED[0]}: [...Tensor [2]], which is output 0 of <TBackward0|AsStridedBackward0>, is at version",
        ),
        symptoms=(
            "two losses two optimizers",
            "two optimizers",
        ),
        shown_by=(r"\.step\(\)[^\n]*\n(?:[^\n]*\n){0,6}?[^\n]*\.backward\(",),
        related=("shared-graph",),
        in_training="Losses of a GAN or an actor-critic are computed together, and the optimizers step one after the "
        "other: the second backward() fails.",
        run_finds="gradcli why --run train.py names the step() that changed the weights and the line that had used "
        "them.",
    ),
    Mistake(
        "inplace-leaf",
        "a weight was changed in place while it was being recorded",
        program="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            w -= 0.1  # <--
        """,
        cause="w is a leaf: the place where gradients are stored. Recording an in-place change would make it the "
        "result of an operation, and there would be no leaf left to hold the gradient. w[0] = 1 does the same to a "
        "part of it.",
        cure="Do the update inside torch.no_grad(), where nothing is recorded, or use an optimizer from torch.optim.",
        cured="""
            w = torch.tensor([1.0, 2.0], requires_grad=True)
            with torch.no_grad():
                w -= 0.1
            print(w)
        """,
        fragments=(
            "a leaf Variable that requires grad is being used in an in-place operation",
            "a view of a leaf Variable that requires grad is being used in an in-place operation",
            "a leaf Variable that requires grad has been used in an in-place operation",
            "leaf variable has been moved into the graph interior",
            "leaf variable was used in an inplace operation",
        ),
        symptoms=(
            "leaf inplace",
            "leaf variable",
        ),
        related=("reassigned-leaf", "inplace-saved"),
        in_training="An update or an initialisation of your own, such as w -= lr * w.grad or model.weight[0] = 1, fails "
        "in its first line.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the update.",
    ),
    Mistake(
        "reassigned-leaf",
        "w = w - lr * w.grad creates a new w that is not a leaf",
        program="""
            w = torch.tensor(2.0, requires_grad=True)
            for step in range(2):
                (w ** 2).backward()
                w = w - 0.1 * w.grad  # <--
        """,
        cause="The right-hand side is a new tensor, the result of a recorded operation. In the second iteration the "
        "gradient flows to the old w, and the grad of the new one is None.",
        cure="Update the same tensor, inside torch.no_grad(), and clear its gradient.",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            for step in range(2):
                (w ** 2).backward()
                with torch.no_grad():
                    w -= 0.1 * w.grad
                w.grad = None
                print(w.detach())
        """,
        fragments=(
            "unsupported operand type(s) for <times|minus|plus|over>: 'Tensor' and 'NoneType'",
            "unsupported operand type(s) for <times|minus|plus|over>: 'NoneType' and 'Tensor'",
        ),
        vague=(
            Vague("unsupported operand type(s) for <times|minus>: 'float' and 'NoneType'"),
            Vague("unsupported operand type(s) for <times|minus>: 'NoneType' and 'float'"),
            Vague("'NoneType' object has", (".grad",), alone=False),
        ),
        shown_by=(r"\b(\w+)(?:\.data)?\s*=\s*\1(?:\.data)?\s*-[^\n]*\.grad\b",),
        related=("non-leaf-grad", "grad-none", "inplace-leaf"),
        in_training="Gradient descent written by hand makes one step and fails in the second, or, where None is skipped, "
        "does not move any more.",
        run_finds="gradcli why --run train.py names the line that replaced the parameter by a result.",
    ),
    Mistake(
        "inplace-view",
        "one of several views of the same tensor was changed",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            a, b = x.unbind()
            a.add_(1)  # <--
        """,
        cause="unbind, split and chunk return several views that share memory. PyTorch would have to rewrite the "
        "history of all of them, and raises an error instead.",
        cure="Create a new tensor: a = a + 1.",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            a, b = x.unbind()
            a = a + 1
            (a * b).backward()
            print(x.grad)
        """,
        fragments=(
            "is a view and is being modified inplace",
            "This view is the output of a function that returns multiple views",
            "Such functions do not allow the output views to be modified inplace",
            "You should replace the inplace operation by an out-of-place one",
        ),
        related=("inplace-saved", "inplace-expanded"),
        in_training="Columns of an output, taken apart with unbind, split or chunk, are normalised or clamped in place.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the write.",
    ),
    Mistake(
        "inplace-expanded",
        "an expanded tensor repeats one number and cannot be written to",
        program="""
            x = torch.ones(1).expand(3)
            x.add_(1)  # <--
        """,
        cause="expand copies nothing: all three elements share one memory location. Writing to them could add 1 once "
        "or three times.",
        cure="Call .clone() first, or use x.repeat(3), which copies.",
        cured="""
            x = torch.ones(1).expand(3).clone()
            x.add_(1)
            print(x)
        """,
        fragments=(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location",
            "Please clone() the tensor before performing the operation",
        ),
        related=("inplace-view",),
        in_training="A mask or a bias that was expanded to the size of the batch is written to.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of expand().",
    ),
    Mistake(
        "data-attribute",
        "changing .data bypasses autograd: a wrong gradient, no error",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x.sigmoid()
            y.data.zero_()  # <--
            y.sum().backward()
            print(x.grad)
        """,
        cause="The derivative of the sigmoid is computed from its result, y (1 - y), and y was overwritten. PyTorch "
        "does not track changes made through .data, so it cannot detect this; changes made through .detach() are "
        "tracked.",
        cure="Do not use .data: use detach() to read values, torch.no_grad() to update weights, and clone() for a "
        "copy that you can modify.",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x.sigmoid()
            copy = y.detach().clone()
            copy.zero_()
            y.sum().backward()
            print(x.grad)
        """,
        related=("inplace-saved", "detached"),
        in_training="Nothing is reported. The loss falls less well than it should, or a check with finite differences "
        "fails.",
        run_finds="gradcli why --run train.py names the write through .data and the operation that needs the old "
        "value.",
    ),
)
