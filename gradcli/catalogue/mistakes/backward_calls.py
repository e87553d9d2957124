"""Mistakes of backward itself: what it starts from, and how often it runs."""

from gradcli.catalogue.mistakes.entry import Mistake

_TWICE = (
    "Trying to backward through the graph a second time",
    "Trying to backward through the graph second time",
    "or directly access saved tensors after they have already been freed",
    "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad()",
    "Specify retain_graph=True if you need to backward through the graph a second time",
    "but the saved intermediate results have already been freed",
    "but the buffers have already been freed",
    "Specify retain_graph=True when calling backward the first time",
)

START = (
    Mistake(
        "non-scalar",
        "the result has several elements, but backward needs one number",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x ** 2
            y.backward()  # <--
        """,
        cause="A gradient is the derivative of ONE number with respect to many. y has two elements, so there are two "
        "gradients, and PyTorch does not guess which one, or which sum of them, you mean.",
        cure="Reduce it to one number: y.sum(), y.mean() or y[0]. Or give a weight for each element: "
        "y.backward(gradient=v). All gradients at once are the Jacobian: torch.func.jacrev.",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x ** 2
            y.sum().backward()
            print(x.grad)
        """,
        fragments=(
            "grad can be implicitly created only for scalar outputs",
            "backward should be called only on a scalar",
        ),
        symptoms=(
            "loss vector backward",
            "backward vector",
        ),
        related=("vjp-shape", "softmax-sum", "func-grad-scalar", "jacobian-shape"),
        in_training="The loss was made with reduction='none', or the model's output itself is differentiated; with "
        "DataParallel each GPU returns one loss, so that there are several.",
        run_finds="gradcli why --run train.py names the line that made the loss of several elements.",
    ),
    Mistake(
        "complex-loss",
        "the result is a complex number",
        program="""
            z = torch.tensor(1.0 + 2.0j, requires_grad=True)
            y = z * z
            y.backward()  # <--
        """,
        cause="Complex numbers have no order, so a complex loss cannot be minimised. PyTorch differentiates real "
        "results; their inputs may be complex.",
        cure="Use a real quantity instead: y.real, y.abs() or y.abs() ** 2.",
        cured="""
            z = torch.tensor(1.0 + 2.0j, requires_grad=True)
            y = z.abs() ** 2
            y.backward()
            print(z.grad)
        """,
        fragments=("grad can be implicitly created only for real scalar outputs but got",),
        related=("non-scalar",),
        in_training="A loss on the output of torch.fft is complex until its absolute value or its real part is taken.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of backward().",
    ),
    Mistake(
        "vjp-shape",
        "the upstream gradient and the output have different shapes",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x ** 2
            y.backward(gradient=torch.ones(3))  # <--
        """,
        cause="backward(gradient=v) computes the product of v and the Jacobian: v contains one weight for each "
        "element of the output.",
        cure="Give v the shape of the output, for example torch.ones_like(y).",
        cured="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            y = x ** 2
            y.backward(gradient=torch.tensor([1.0, 10.0]))
            print(x.grad)
        """,
        fragments=(
            "Mismatch in shape: grad_output[0] has a shape of ... and output[0] has a shape of",
            "grad_outputs and outputs do not have the same shape",
        ),
        related=("non-scalar",),
        in_training="backward(gradient=...) or grad_outputs=torch.ones(n) was written for a full batch and fails at the "
        "last, smaller one.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of backward(); the message "
        "has both shapes.",
    ),
    Mistake(
        "second-derivative",
        "the first derivative was not recorded",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            first = torch.autograd.grad(x ** 3, x)[0]  # <--
            second = torch.autograd.grad(first, x)[0]
        """,
        cause="The computation of a gradient is itself recorded only with create_graph=True. A linear function fails "
        "even then: its gradient is a constant, which does not depend on x.",
        cure="Pass create_graph=True in every differentiation but the last.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            first = torch.autograd.grad(x ** 3, x, create_graph=True)[0]
            second = torch.autograd.grad(first, x)[0]
            print(first.detach(), second)
        """,
        fragments=("element 0 of tensors does not require grad and does not have a grad_fn",),
        symptoms=(
            "second derivative",
            "double backward",
            "hessian none",
            "higher order derivative",
        ),
        shown_by=(
            r"autograd\.grad\(\s*\(?(?:outputs=)?(?:g|d\w?_?d?\w|[a-z]_[a-z]|\w*grads?\w*|\w*first\w*|\w*jac\w*)\b",
        ),
        related=("create-graph-leak",),
        in_training="Physics-informed networks, gradient penalties and meta-learning need derivatives of derivatives: the"
        " second autograd.grad fails, or the penalty has no effect on the weights.",
        run_finds="gradcli why --run train.py names the first differentiation, which was not recorded.",
    ),
    Mistake(
        "create-graph-leak",
        "backward(create_graph=True) keeps the graph alive forever",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            (x ** 3).backward(create_graph=True)  # <--
        """,
        cause="The gradient in x.grad now references the graph, and the graph references x: a reference cycle that is "
        "not freed while x.grad is set. In a loop, memory use grows.",
        cure="Use torch.autograd.grad(..., create_graph=True), which returns the gradient instead of storing it in "
        "x.grad.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            first = torch.autograd.grad(x ** 3, x, create_graph=True)[0]
            second = torch.autograd.grad(first, x)[0]
            print(second)
        """,
        fragments=("Using backward() with create_graph=True will create a reference cycle",),
        symptoms=("memory create_graph",),
        related=("second-derivative",),
        in_training="Memory grows from step to step until the GPU is full, although every tensor of the loop is replaced.",
        run_finds="gradcli why --run does not look for this: PyTorch's own warning names the line.",
    ),
    Mistake(
        "softmax-sum",
        "the gradient of softmax(a).sum() is zero",
        program="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            p = torch.softmax(a, dim=0)
            p.sum().backward()  # <--
            print(a.grad)
        """,
        cause="The probabilities add up to 1 for every a, so their sum does not change with a: its gradient is 0, up "
        "to rounding. The usual .sum() before backward() is the wrong choice here.",
        cure="Differentiate one probability, p[1], or a loss, for example -log p[1].",
        cured="""
            a = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            p = torch.softmax(a, dim=0)
            p[1].backward()
            print(a.grad)
        """,
        symptoms=(
            "softmax gradient zero",
            "gradient softmax sum zero",
            "softmax sum gradient",
        ),
        related=("non-scalar", "jacobian-shape"),
        in_training="An attention map or a policy is summed for a quick test, and all its gradients are zero or about "
        "1e-9.",
        run_finds="gradcli why --run does not look for this: print the largest element of the gradient, which is 0 "
        "up to rounding.",
    ),
    Mistake(
        "custom-function",
        "a custom backward returns too few gradients",
        program="""
            class Scale(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, factor):
                    ctx.factor = factor
                    return x * factor

                @staticmethod
                def backward(ctx, upstream):
                    return upstream * ctx.factor  # <--

            x = torch.tensor(3.0, requires_grad=True)
            Scale.apply(x, 2.0).backward()
        """,
        cause="backward must return one gradient for each argument of forward, in order. Here forward takes x and "
        "factor, so backward must return two.",
        cure="Return None for an argument that needs no gradient.",
        cured="""
            class Scale(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, factor):
                    ctx.factor = factor
                    return x * factor

                @staticmethod
                def backward(ctx, upstream):
                    return upstream * ctx.factor, None

            x = torch.tensor(3.0, requires_grad=True)
            Scale.apply(x, 2.0).backward()
            print(x.grad)
        """,
        fragments=("returned an incorrect number of gradients",),
        related=("unused-input",),
        in_training="The first backward() fails after an argument, such as a flag or a number, was added to forward().",
        run_finds="gradcli why --run train.py names the return of the backward; gradcli check FILE.py:NAME compares "
        "what it returns with the inputs one by one.",
    ),
)

TWICE = (
    Mistake(
        "backward-twice",
        "the graph was freed by the first backward",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            y = x ** 2
            y.backward()
            y.backward()  # <--
        """,
        cause="To save memory, backward() frees the values that the graph has saved. x + 1 saves nothing, so with it "
        "the second call succeeds and x.grad silently doubles.",
        cure="Compute y again before the second call. If you really need two calls, retain_graph=True keeps the "
        "graph; the two gradients then add up in x.grad.",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            for step in range(2):
                x.grad = None
                y = x ** 2
                y.backward()
                print(x.grad)
        """,
        fragments=_TWICE,
        symptoms=(
            "backward twice",
            "retain_graph",
            "second backward",
        ),
        related=("accumulate",),
        in_training="The second iteration fails: something that the loss needs was computed before the loop, or "
        "backward() is called for the same loss twice, for example in a metric.",
        run_finds="gradcli why --run train.py names the line whose graph is needed twice and the backward() that "
        "freed it, or the first of the two calls.",
    ),
    Mistake(
        "shared-graph",
        "two losses share part of the graph, and the first backward frees it",
        program="""
            x = torch.tensor(1.0, requires_grad=True)
            h = x.exp()
            (2 * h).backward()
            (3 * h).backward()  # <--
        """,
        cause="Both losses backpropagate through h = exp(x). The first backward() frees what exp saved.",
        cure="Add the losses and call backward() once: the gradient of a sum is the sum of the gradients. Or pass "
        "retain_graph=True in all calls but the last.",
        cured="""
            x = torch.tensor(1.0, requires_grad=True)
            h = x.exp()
            (2 * h + 3 * h).backward()
            print(x.grad)
        """,
        fragments=_TWICE,
        symptoms=(
            "two losses",
            "two losses backward",
        ),
        shown_by=(
            r"\b(?!(?:total|train|training|batch|running|self|the|my|mse|ce|bce|val)_?loss)(?:\w+_?loss|loss_?[\w\d]+|err_?[A-Z]\w*|cost\d|\w+_cost)\.backward\(",
        ),
        related=("step-before-backward",),
        in_training="In a GAN, an actor-critic or a model with two heads the second loss fails: the first backward() has "
        "freed the part that both share.",
        run_finds="gradcli why --run train.py names the first backward(), which freed the graph, and the line that "
        "computed what both losses share.",
    ),
    Mistake(
        "carried-state",
        "a state carried from step to step keeps the old graph",
        program="""
            w = torch.tensor(0.5, requires_grad=True)
            h = torch.tensor(1.0)
            for x in torch.tensor([1.0, 2.0]):
                h = torch.tanh(w * h + x)  # <--
                h.backward()
        """,
        cause="In the second step h is still connected to the graph of the first step, which has been freed. The same "
        "happens with the hidden state of an RNN and with a running average of losses.",
        cure="Cut the state off between the steps with detach(): each step is then differentiated separately.",
        cured="""
            w = torch.tensor(0.5, requires_grad=True)
            h = torch.tensor(1.0)
            for x in torch.tensor([1.0, 2.0]):
                h = torch.tanh(w * h.detach() + x)
                h.backward()
            print(w.grad)
        """,
        fragments=_TWICE,
        symptoms=(
            "hidden state",
            "rnn backward twice",
            "hidden state detach",
        ),
        shown_by=(
            r"^(?!.*detach)(?=.*=.*[(,])[^=\n]*\b(h|hx|cx|h_?n|h_?t|hid|hidden\w*|\w*state\w*|mem|memory|carry|prev\w*|context)\b[^=\n]*=[^\n]*\b\1\b",
        ),
        related=("detached",),
        in_training="The first batch trains and the second fails, because the hidden state of the first is still "
        "connected to a graph that was freed.",
        run_finds="gradcli why --run train.py names the line that carries the state from one iteration to the next.",
    ),
    Mistake(
        "accumulate",
        "gradients add up from one backward to the next",
        program="""
            x = torch.tensor(2.0, requires_grad=True)
            for step in range(3):
                (x ** 2).backward()  # <--
                print(x.grad)
        """,
        cause="backward() adds to x.grad, which allows the gradients of several losses or small batches to be summed. "
        "In a training loop the old gradients must be cleared first.",
        cure="Call optimizer.zero_grad(), or set x.grad = None, before each backward().",
        cured="""
            x = torch.tensor(2.0, requires_grad=True)
            for step in range(3):
                x.grad = None
                (x ** 2).backward()
                print(x.grad)
        """,
        symptoms=(
            "gradients add",
            "gradients accumulate",
            "gradients grow",
            "grad doubles",
            "forget zero_grad",
            "zero_grad",
            "gradient zero_grad",
            "loss decreases then increases",
            "loss decrease",
        ),
        related=("backward-twice", "grad-none"),
        in_training="The loss falls at first and then jumps or diverges; with a smaller learning rate it seems to work. "
        "Each step is made with the sum of all gradients so far.",
        run_finds="gradcli why --run train.py names the step that moved a parameter with a gradient that an earlier "
        "step had already used.",
    ),
)
