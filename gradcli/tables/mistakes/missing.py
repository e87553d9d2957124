"""Mistakes that cut the way from the result back to the input: no gradient, or None."""

from gradcli.tables.mistakes.entry import Mistake, Vague

_NO_GRAPH = (
    "element 0 of tensors does not require grad and does not have a grad_fn",
    "element 0 of variables does not require grad and does not have a grad_fn",
)
"""What PyTorch says wherever there is nothing to go back along; the second is an older wording."""

MISSING = (
    Mistake(
        "no-grad",
        "nothing was asked to record: no input has requires_grad",
        program="""
            x = torch.tensor(2.0)  # <--
            y = x ** 2
            y.backward()
        """,
        cause="PyTorch records operations only on tensors that have requires_grad=True, and none of the inputs has it. "
        "So y holds the number 4 and nothing of how it came about: there is no way back. The parameters of a module have it "
        "from the start. Where a module is trained and this is said, they are all frozen, or the loss "
        "was computed under no_grad.",
        cure="Say requires_grad=True where the input is made, before anything is computed from it. In a training loop: "
        "unfreeze what is to learn, and call backward() outside of the evaluation loop, whose losses have no graph. A "
        "Trainer that checkpoints gradients of a frozen model with adapters needs model.enable_input_require_grads(). Where "
        "print(loss.requires_grad) says False, print the same of each step before, up to the one that lost it.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            y.backward()
            print(x.grad)
        """,
        fragments=_NO_GRAPH,
        symptoms=("loss requires_grad false", "no grad_fn"),
        related=("wrong-cure", "grad-of-plain-input", "second-derivative"),
    ),
    Mistake(
        "late-flag",
        "requires_grad was set when the graph had been built already",
        program="""
            w = torch.tensor(2.0)
            loss = (w - 1) ** 2
            w.requires_grad_()  # <--
            loss.backward()
        """,
        cause="The graph is made while the loss is being computed, and at that time w was a plain number. Setting the "
        "flag later changes w, not the graph that is there. Where another input was recorded there is not even an "
        "error: w.grad simply stays None.",
        cure="Set the flag first, or compute the loss again after setting it.",
        cured="""
            w = torch.tensor(2.0)
            w.requires_grad_()
            loss = (w - 1) ** 2
            loss.backward()
            print(w.grad)
        """,
        fragments=_NO_GRAPH,
        related=("wrong-cure", "unused-input"),
    ),
    Mistake(
        "no-grad-block",
        "the forward pass ran under torch.no_grad()",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            with torch.no_grad():  # <--
                y = x ** 2
            y.backward()
        """,
        cause="Inside torch.no_grad() nothing is recorded, whatever the inputs say. The block is meant for evaluation "
        "and for updating weights.",
        cure="Compute outside the block what is to be differentiated.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            y.backward()
            print(x.grad)
        """,
        fragments=_NO_GRAPH,
        related=("inference-mode",),
    ),
    Mistake(
        "detached",
        "detach() cut the tensor off from its history",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x.detach() ** 2  # <--
            y.backward()
        """,
        cause="detach() returns the same numbers without their history: for autograd they are constants. Where only one "
        "of several paths is detached there is no error, and the gradient lacks that path.",
        cure="Leave detach() for what is to be printed, plotted or held constant.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            y.backward()
            print(x.grad)
        """,
        fragments=_NO_GRAPH,
        related=("item-breaks", "carried-state"),
    ),
    Mistake(
        "not-differentiable",
        "argmax, a comparison or a cast to integers lies on the way",
        program="""
            scores = torch.tensor([0.2, 0.9], requires_grad=True)
            correct = (scores > 0.5).float().sum()  # <--
            correct.backward()
        """,
        cause="A comparison answers true or false, argmax a position: nothing that changes smoothly with its input. "
        "Their results carry no history, and .float() does not bring one back.",
        cure="Optimise something smooth that stands for it: a sigmoid for a threshold, softmax for argmax. Keep the count "
        "of correct answers for reporting.",
        cured="""
            scores = torch.tensor([0.2, 0.9], requires_grad=True)
            soft = torch.sigmoid(scores - 0.5).sum()
            soft.backward()
            print(scores.grad)
        """,
        fragments=_NO_GRAPH,
        related=("step-activation",),
    ),
    Mistake(
        "step-activation",
        "the step has no derivative to learn by",
        program="""
            z = torch.tensor([-1.0, 2.0], requires_grad=True)
            y = torch.heaviside(z, torch.tensor(0.0))  # <--
            y.sum().backward()
        """,
        cause="The slope of a step is 0 wherever it has one, and at 0 it has none, so gradient descent cannot move the "
        "weights. For heaviside PyTorch refuses; round, floor and sign return a gradient of zeros without a word.",
        cure="Use sigmoid in place of the step. To keep the step in the forward pass, let the gradient pass through a "
        "sigmoid (straight-through); for one layer there is the perceptron rule.",
        cured="""
            z = torch.tensor([-1.0, 2.0], requires_grad=True)
            smooth = torch.sigmoid(z)
            step = (z > 0).float()
            y = smooth + (step - smooth).detach()
            y.sum().backward()
            print(y.detach(), z.grad)
        """,
        fragments=(
            "derivative for ...<heaviside|argmax|argmin|argsort|bucketize|searchsorted|floor_divide|histc|bincount> is not "
            "implemented",
        ),
        symptoms=("step derivative", "heaviside gradient", "round gradient zero", "sign gradient zero"),
        related=("not-differentiable", "kink"),
    ),
    Mistake(
        "item-breaks",
        "item() left the world of tensors",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x.item() ** 2  # <--
            y.backward()
        """,
        cause="item(), float() and tolist() return plain Python numbers, which know nothing of gradients.",
        cure="Stay with tensors up to the loss; call item() only on what is printed.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            y.backward()
            print(y.item(), x.grad)
        """,
        fragments=(
            "'<float|int|numpy.float64|numpy.float32|ndarray>' object has no attribute '<backward|detach|requires_grad|"
            "requires_grad_|retain_grad|grad_fn>'",
        ),
        vague=(
            Vague("'<float|int>' object has no attribute '<clone|cpu|cuda|grad|item>'"),
            Vague("'float' object is not iterable", ("torch.autograd.grad", "autograd.grad"), alone=False),
        ),
        related=("detached", "scalar-of-grad"),
    ),
    Mistake(
        "int-dtype",
        "integers cannot have a gradient",
        program="""
            x = torch.tensor([1, 2], requires_grad=True)  # <--
        """,
        cause="A derivative asks what an arbitrarily small change does, and integers have no small changes. "
        "torch.tensor([1, 2]) holds int64, because the numbers are written without a point.",
        cure="Write a point, or convert: torch.tensor([1.0, 2.0]), x.float().",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            (x ** 2).sum().backward()
            print(x.grad)
        """,
        fragments=(
            "only Tensors of floating point and complex dtype can require gradients",
            "only Tensors of floating point dtype can require gradients",
        ),
        related=("integer-mean", "dtype-mix"),
    ),
    Mistake(
        "unused-input",
        "the result does not depend on this input",
        program="""
            x = torch.tensor(3.0, requires_grad=True)
            w = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            dx, dw = torch.autograd.grad(y, [x, w])  # <--
        """,
        cause="w was never used on the way to y, so there is no path from y back to it. That is often a slip: a layer that "
        "is never called, or a name that was bound anew.",
        cure="If it is no slip, allow_unused=True returns None for such an input, materialize_grads=True returns zeros.",
        cured="""
            x = torch.tensor(3.0, requires_grad=True)
            w = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            dx, dw = torch.autograd.grad(y, [x, w], materialize_grads=True)
            print(dx, dw)
        """,
        fragments=(
            "appears to not have been used in the graph",
            "Set allow_unused=True if this is the desired behavior",
        ),
        related=("late-flag", "grad-none"),
    ),
    Mistake(
        "grad-of-plain-input",
        "one of the inputs asked for has no requires_grad",
        program="""
            x = torch.tensor(3.0)  # <--
            w = torch.tensor(2.0, requires_grad=True)
            dx, dw = torch.autograd.grad(x * w, [x, w])
        """,
        cause="w was recorded and x was not, so the graph knows x as a constant.",
        cure="Say requires_grad=True for every input that you differentiate by.",
        cured="""
            x = torch.tensor(3.0, requires_grad=True)
            w = torch.tensor(2.0, requires_grad=True)
            dx, dw = torch.autograd.grad(x * w, [x, w])
            print(dx, dw)
        """,
        fragments=(
            "One of the differentiated Tensors does not require grad",
            "One of the differentiated Variables does not require grad",
        ),
        related=("no-grad", "late-flag"),
    ),
    Mistake(
        "wrong-cure",
        "loss.requires_grad = True silences the error and computes nothing",
        program="""
            w = torch.tensor(2.0)
            loss = (w - 1) ** 2
            loss.requires_grad = True  # <--
            loss.backward()
            print(w.grad)
        """,
        cause="The flag makes the loss an input of its own: backward now starts and ends there. The error is gone, and "
        "so is any chance that w gets a gradient.",
        cure="The flag belongs on what is differentiated by, before the loss is computed.",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            loss = (w - 1) ** 2
            loss.backward()
            print(w.grad)
        """,
        related=("no-grad", "late-flag"),
    ),
    Mistake(
        "flag-typo",
        "a misspelt flag is a new attribute, and nobody complains",
        program="""
            w = torch.tensor(2.0)
            w.require_grad = True  # <--
            print(w.requires_grad)
        """,
        cause="Python lets any attribute be set on a tensor, so require_grad becomes one and requires_grad stays False. "
        "Called as a function, w.requires_grad(True), it is an error, because requires_grad is a plain bool.",
        cure="w.requires_grad_(), with the s and the underscore: a method that does not exist cannot be called in silence.",
        cured="""
            w = torch.tensor(2.0)
            w.requires_grad_()
            print(w.requires_grad)
        """,
        vague=(Vague("'bool' object is not callable", (".requires_grad",), alone=False),),
        related=("no-grad",),
    ),
    Mistake(
        "grad-none",
        "grad is None: nothing has been put there yet",
        program="""
            w = torch.tensor(2.0, requires_grad=True)
            w.grad.zero_()  # <--
        """,
        cause="A tensor's grad is None until the first backward() reaches it. It stays None after torch.autograd.grad, "
        "which returns the gradients instead, for a frozen parameter, and for one that the loss does not depend on: a layer "
        "that is made and not called, or a branch that was not taken.",
        cure="Call backward() first. optimizer.zero_grad() and w.grad = None work at any time. A loop over all parameters "
        "skips those without a gradient: if p.grad is not None. Which they are, this shows after backward(): "
        "[name for name, p in model.named_parameters() if p.grad is None].",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            w.grad = None
            (w ** 2).backward()
            print(w.grad)
        """,
        fragments=(
            "'NoneType' object has no attribute '<zero_|add_|sub_|mul_|div_|copy_|clamp_|fill_|detach_|requires_grad_|detach|"
            "numel|is_sparse>'",
        ),
        vague=(
            Vague("'NoneType' object has no attribute '<data|clone|norm>'"),
            Vague("'NoneType' object has no attribute", (".grad",), alone=False),
            Vague("'NoneType' object is not subscriptable", (".grad",), alone=False),
        ),
        symptoms=("grad none", "gradient none", "gradients none", "grad nonetype"),
        related=("unused-input", "non-leaf-grad", "reassigned-leaf"),
    ),
    Mistake(
        "non-leaf-grad",
        "grad of an intermediate result is not kept",
        program="""
            x = torch.tensor(3.0, requires_grad=True)
            h = x * 2
            (h ** 2).backward()
            print(h.grad)  # <--
        """,
        cause="Only leaves, tensors that you made yourself, keep their gradient; those of intermediate results are used and "
        "thrown away. What .double(), .to(device) or * 0.1 returns is an intermediate result too, even in the line that "
        "makes a weight.",
        cure="Call h.retain_grad() before backward(). Give dtype and device where the tensor is made.",
        cured="""
            x = torch.tensor(3.0, requires_grad=True)
            h = x * 2
            h.retain_grad()
            (h ** 2).backward()
            print(h.grad)
        """,
        fragments=(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed",
            "Its .grad attribute won't be populated during autograd.backward()",
            "If you indeed want the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf",
            "If you indeed want the gradient for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor",
        ),
        symptoms=("grad none intermediate", "grad none non-leaf", "gradient intermediate", "grad non-leaf"),
        related=("reassigned-leaf", "optimizer-leaf", "grad-none"),
    ),
)
