"""Mistakes that cut the way from the result back to the input: no gradient, or None."""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

_NO_GRAPH = (
    "element 0 of tensors does not require grad and does not have a grad_fn",
    "element 0 of variables does not require grad and does not have a grad_fn",
)
"""What PyTorch says wherever there is nothing to go back along; the second is an older wording."""

MISSING = (
    Mistake(
        "no-grad",
        "nothing was recorded: no input has requires_grad",
        program="""
            x = torch.tensor(2.0)  # <--
            y = x ** 2
            y.backward()
        """,
        cause="PyTorch records operations only on tensors that have requires_grad=True, and none of the inputs does. "
        "So y contains the value 4 but no history of how it was computed: there is nothing to backpropagate through. "
        "The parameters of a module have requires_grad=True from the start. If this error occurs while a module is "
        "trained, all its parameters are frozen, or the loss was computed under torch.no_grad().",
        cure="Set requires_grad=True when you create the input, before anything is computed from it. In a training "
        "loop: unfreeze the parameters to train, and call backward() outside the evaluation loop, whose losses have "
        "no graph. A Trainer that uses gradient checkpointing on a frozen model with adapters needs "
        "model.enable_input_require_grads(). If print(loss.requires_grad) shows False, print the same for each "
        "earlier step until you find the one that lost it.",
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
        "requires_grad was set after the graph had been built",
        program="""
            w = torch.tensor(2.0)
            loss = (w - 1) ** 2
            w.requires_grad_()  # <--
            loss.backward()
        """,
        cause="The graph is built while the loss is computed, and at that time w did not require a gradient. Setting "
        "the flag later changes w, but not the existing graph. If another input was recorded, there is not even an "
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
        cause="Inside torch.no_grad() nothing is recorded, even if the inputs have requires_grad=True. The block is "
        "meant for evaluation and for updating weights.",
        cure="Move the computation that you want to differentiate out of the block.",
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
        "detach() cut the tensor off from the graph",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x.detach() ** 2  # <--
            y.backward()
        """,
        cause="detach() returns a tensor with the same values but no history: autograd treats it as a constant. If "
        "only one of several paths is detached, there is no error, and the gradient lacks the contribution of that "
        "path.",
        cure="Use detach() only for values to print, to plot or to treat as constants.",
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
        "argmax, a comparison or an integer cast breaks the graph",
        program="""
            scores = torch.tensor([0.2, 0.9], requires_grad=True)
            correct = (scores > 0.5).float().sum()  # <--
            correct.backward()
        """,
        cause="A comparison returns true or false, argmax returns a position: neither changes smoothly with its "
        "input. Their results have no history, and .float() does not restore it.",
        cure="Optimise a smooth substitute: a sigmoid instead of a threshold, softmax instead of argmax. Use the "
        "number of correct answers only for reporting.",
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
        "the derivative of a step function is zero or undefined",
        program="""
            z = torch.tensor([-1.0, 2.0], requires_grad=True)
            y = torch.heaviside(z, torch.tensor(0.0))  # <--
            y.sum().backward()
        """,
        cause="The slope of a step function is 0 everywhere except at the jump, where it is undefined, so gradient "
        "descent cannot move the weights. For heaviside PyTorch raises an error; round, floor and sign silently "
        "return a gradient of zeros.",
        cure="Use sigmoid instead of the step. To keep the step in the forward pass, use the gradient of a sigmoid in "
        "the backward pass (straight-through estimator); a single layer can be trained with the perceptron rule.",
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
        symptoms=(
            "step derivative",
            "heaviside gradient",
            "round gradient zero",
            "sign gradient zero",
        ),
        related=("not-differentiable", "kink"),
    ),
    Mistake(
        "item-breaks",
        "item() returns a Python number without a graph",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x.item() ** 2  # <--
            y.backward()
        """,
        cause="item(), float() and tolist() return plain Python numbers, which carry no gradient information.",
        cure="Keep everything a tensor up to the loss; call item() only on values to print.",
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
            Vague(
                "'float' object is not iterable",
                ("torch.autograd.grad", "autograd.grad"),
                alone=False,
            ),
        ),
        related=("detached", "scalar-of-grad"),
    ),
    Mistake(
        "int-dtype",
        "integer tensors cannot have a gradient",
        program="""
            x = torch.tensor([1, 2], requires_grad=True)  # <--
        """,
        cause="A derivative measures the effect of an arbitrarily small change, and integers cannot change by "
        "arbitrarily small amounts. torch.tensor([1, 2]) has dtype int64, because the numbers are written without a "
        "decimal point.",
        cure="Write a decimal point, or convert: torch.tensor([1.0, 2.0]), x.float().",
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
        cause="w was not used to compute y, so there is no path from y back to w. Often this is a mistake: a layer "
        "that is never called, or a name that was assigned again.",
        cure="If it is intended, allow_unused=True returns None for such an input, and materialize_grads=True returns "
        "zeros.",
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
        "one of the requested inputs does not have requires_grad",
        program="""
            x = torch.tensor(3.0)  # <--
            w = torch.tensor(2.0, requires_grad=True)
            dx, dw = torch.autograd.grad(x * w, [x, w])
        """,
        cause="w was recorded and x was not, so x is a constant in the graph.",
        cure="Set requires_grad=True on every input that you differentiate with respect to.",
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
        cause="The flag makes the loss itself a leaf: backward now starts and ends there. The error is gone, but w "
        "still gets no gradient.",
        cure="Set the flag on the inputs, before the loss is computed.",
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
        "a misspelt flag creates a new attribute without an error",
        program="""
            w = torch.tensor(2.0)
            w.require_grad = True  # <--
            print(w.requires_grad)
        """,
        cause="Python allows any attribute to be set on a tensor, so require_grad becomes a new attribute and "
        "requires_grad stays False. Calling it, w.requires_grad(True), is an error, because requires_grad is a plain "
        "bool.",
        cure="Call w.requires_grad_(), with the s and the underscore: a misspelt method raises an error.",
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
        "grad is None: no gradient has been stored yet",
        program="""
            w = torch.tensor(2.0, requires_grad=True)
            w.grad.zero_()  # <--
        """,
        cause="A tensor's grad is None until the first backward() reaches it. It stays None after "
        "torch.autograd.grad, which returns the gradients instead, for a frozen parameter, and for a parameter that "
        "the loss does not depend on: a layer that is created but not called, or a branch that was not taken.",
        cure="Call backward() first. optimizer.zero_grad() and w.grad = None work at any time. In a loop over all "
        "parameters, skip those without a gradient: if p.grad is not None. This lists them after backward(): [name "
        "for name, p in model.named_parameters() if p.grad is None].",
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
        "the grad of an intermediate result is not kept",
        program="""
            x = torch.tensor(3.0, requires_grad=True)
            h = x * 2
            (h ** 2).backward()
            print(h.grad)  # <--
        """,
        cause="Only leaves, the tensors that you create yourself, keep their gradient; the gradients of intermediate "
        "results are freed after use. The result of .double(), .to(device) or * 0.1 is an intermediate result too, "
        "even in the line that creates a weight.",
        cure="Call h.retain_grad() before backward(). Set dtype and device when you create the tensor.",
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
        symptoms=(
            "grad none intermediate",
            "grad none non-leaf",
            "gradient intermediate",
            "grad non-leaf",
        ),
        related=("reassigned-leaf", "optimizer-leaf", "grad-none"),
    ),
)
