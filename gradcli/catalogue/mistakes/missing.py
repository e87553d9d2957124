"""Mistakes that cut the way from the result back to the input: no gradient, or None."""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

_NO_GRAPH = (
    "element 0 of tensors does not require grad and does not have a grad_fn",
    "element 0 of variables does not require grad and does not have a grad_fn",
    "element 0 of variables tuple is volatile",
    "there are no graph nodes that require computing gradients",
)
"""What PyTorch says wherever there is nothing to go back along; the first is today's wording."""

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
        symptoms=(
            "loss requires_grad false",
            "output requires_grad false",
            "not grad_fn",
            "no grad_fn",
            "grad_fn none",
        ),
        related=("wrong-cure", "grad-of-plain-input", "second-derivative"),
        in_training="The first backward() fails. Usual places are a frozen model whose new head was never added, an input"
        " that is optimised itself, such as an adversarial image, and a validation loop that was copied from "
        "the training loop.",
        run_finds="gradcli why --run train.py names the line that made a tensor of the loss which should require a "
        "gradient and does not.",
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
        shown_by=(r"^(?:[^\w\n]|\d)*[\w.]+\.requires_grad(?:_\(|\s*=\s*True)",),
        related=("wrong-cure", "unused-input"),
        in_training="The flag is set after the forward pass, often as loss.requires_grad_() or on the input just before "
        "backward(): either the error comes, or an input stays without a gradient although the loss falls.",
        run_finds="gradcli why --run train.py names the line that set the flag and the earlier line that had "
        "already used the tensor or made the loss.",
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
        shown_by=(
            r"^(?:[^\w\n]|\d)*(?:with\s+)?(?:torch\.)?(?:no_grad\(|inference_mode\(|set_grad_enabled\(False)",
        ),
        related=("inference-mode",),
        in_training="A helper that was written for evaluation, with @torch.no_grad() on it, computes the loss; or "
        "features are extracted under no_grad and the layers behind them are in the block too.",
        run_finds="gradcli why --run train.py names the line that switched recording off and the operation in there "
        "that the loss needs.",
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
        symptoms=(
            "gradient not flow",
            "gradient stops",
            "gradient lost",
            "graph broken",
            "gradient broken",
            "detach gradient",
        ),
        shown_by=(r"\.detach\(|=\s*[\w.]+\.data\s*$",),
        related=("item-breaks", "carried-state"),
        in_training="Training runs and the loss falls a little: only the layers behind detach() learn. If every path is "
        "cut, the first backward() fails.",
        run_finds="gradcli why --run train.py names the line with detach() or .data; where the program ends well, "
        "also the optimizer's parameters that no gradient reached because of it.",
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
        symptoms=(
            "argmax gradient",
            "argmax differentiable",
            "threshold gradient",
            "accuracy loss",
            "accuracy gradient",
        ),
        shown_by=(
            r"\.?arg(?:max|min|sort)\(|\.(?:long|int|bool|byte)\(\)|\.max\((?:dim=)?-?\d\)\[1\]",
            r"[^=<>]\s*(?:[<>]=?|[!=]=)[^\n]*\)\.(?:float|double|sum|mean|to|type)\(",
        ),
        related=("step-activation",),
        in_training="The loss is built from accuracy, predicted labels or a thresholded mask, so that the first "
        "backward() fails; as one term of several it has no effect at all, and nothing says so.",
        run_finds="gradcli why --run train.py names the line of argmax, of the comparison or of the integer cast that "
        "cut the graph.",
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
        related=("not-differentiable", "kink"),
        in_training="heaviside fails in the first backward(). With round, floor or sign the loss stays where it is: every"
        " layer before the step gets a gradient of exactly 0.",
        run_finds="gradcli why --run train.py names the line of sign(), round() or floor() in a training loop, if "
        "what is computed before it has a gradient of exactly 0 in every pass.",
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
            Vague("not require grad and does not have a grad_fn", (".item",), alone=False),
            Vague("'<float|int>' object has no attribute '<clone|cpu|cuda|grad|item>'"),
            Vague(
                "'float' object is not iterable",
                ("torch.autograd.grad", "autograd.grad"),
                alone=False,
            ),
        ),
        symptoms=(
            "item gradient",
            "item backward",
        ),
        shown_by=(
            r"^(?!.*(?:print|append|write|log|[-+*/]=|\b(\w+) = \1 \+)).*=.*(?:\.item\(\)\s*[-+*/)]|[-+*/(]\s*[\w.]+\.item\()",
        ),
        related=("detached", "scalar-of-grad"),
        in_training="Losses are summed with loss.item() and the sum is used for backward(): it fails in the first "
        "iteration. A value that passes through item() and comes back as a tensor cuts the graph in silence.",
        run_finds="gradcli why --run train.py names the line of item(), float() or tolist() that made a plain "
        "number, where the loss has no graph or a parameter no gradient because of it, or the number is added to "
        "the loss.",
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
        in_training="Labels, token ids or pixels from 0 to 255 are given requires_grad, or a layer of a quantised model "
        "whose weights are int8 is unfrozen.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that sets the flag.",
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
        symptoms=("gradient unused",),
        related=("late-flag", "grad-none"),
        in_training="Gradient penalties and physics-informed losses call autograd.grad with all inputs, and one of them "
        "is not used, because the network was given a copy or a slice that was made before.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that asks for the "
        "gradient.",
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
        in_training="A gradient penalty or a saliency map is computed for a batch from the data loader, which has no "
        "requires_grad.",
        run_finds="gradcli why --run train.py names the line that asks for the gradient of a tensor without requires_grad.",
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
        symptoms=("loss requires_grad true",),
        related=("no-grad", "late-flag"),
        in_training="The error is gone, the loss does not fall, and every p.grad is None: the line was added to silence "
        "the error of backward().",
        run_finds="gradcli why --run train.py names the line that set the flag on the loss, and the line at which "
        "its graph was lost.",
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
        shown_by=(r"\.require_grad\b|\.requires_grad\(",),
        related=("no-grad",),
        in_training="Weights of your own stay as they were initialised, or backward() fails as if the flag had never been"
        " set, because it was not.",
        run_finds="gradcli why --run train.py names the line of the misspelt flag, in a program that calls "
        "backward().",
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
            Vague("type(s) for <times|minus>: 'float' and 'NoneType'", (".grad",), alone=False),
        ),
        symptoms=(
            "grad none",
            "not gradient",
            "weight gradient none",
            "gradient empty",
            "no gradient",
            "grad nonetype",
        ),
        shown_by=(r"-=[^\n]*\.grad\b",),
        related=("unused-input", "non-leaf-grad", "reassigned-leaf"),
        in_training="A loop over model.parameters() that prints norms, clips or clears gradients stops at the first "
        "parameter without one: before the first backward(), at a frozen layer, or at a layer that forward() "
        "does not call.",
        run_finds="gradcli why --run train.py lists the parameters of the optimizer that no gradient reached in two "
        "steps or more, with the line that cut them off, or that made the optimizer.",
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
        vague=(Vague("'NoneType' object has no", (".grad",), alone=False),),
        symptoms=(
            "grad none intermediate",
            "grad none non-leaf",
            "gradient intermediate",
            "grad non-leaf",
            "leaf gradient none",
            "hidden gradient none",
        ),
        shown_by=(r"not a leaf|won't be|populated",),
        related=("reassigned-leaf", "optimizer-leaf", "grad-none"),
        in_training="h.grad of an activation is None after backward(), or weights that were moved with .to(device) in the"
        " line that created them never get a gradient and never change.",
        run_finds="gradcli why --run train.py names the line that made the tensor a result of an operation, if the "
        "program stops because its grad is None; PyTorch's own warning names the line that reads it.",
    ),
)
