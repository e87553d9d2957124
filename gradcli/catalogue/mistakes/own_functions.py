"""Mistakes of an autograd.Function of your own, of hooks and flags, and of checkpointing."""

from gradcli.catalogue.mistakes.entry import Mistake

OWN_FUNCTIONS = (
    Mistake(
        "old-function",
        "an autograd.Function of the old style: forward is not static",
        program="""
            class Double(torch.autograd.Function):
                def forward(self, x):  # <--
                    return 2 * x

                def backward(self, upstream):
                    return 2 * upstream

            x = torch.tensor(3.0, requires_grad=True)
            y = Double()(x)
        """,
        cause="Until PyTorch 1.2 a Function was an object with a state. Now forward and backward are static methods "
        "that get a context, and the class is called through apply. Code from older repositories, often for layers "
        "such as gradient reversal or a binary activation, stops here.",
        cure="Put @staticmethod before forward and backward, rename self to ctx, and call Double.apply(x). Arguments "
        "of __init__ become arguments of forward, for each of which backward returns None. If the code is in a "
        "package, a newer version of it usually has the change.",
        cured="""
            class Double(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return 2 * x

                @staticmethod
                def backward(ctx, upstream):
                    return 2 * upstream

            x = torch.tensor(3.0, requires_grad=True)
            Double.apply(x).backward()
            print(x.grad)
        """,
        fragments=(
            "Legacy autograd function with non-static forward method is deprecated",
            "Please use new-style autograd function with static forward method",
            "Methods on autograd functions are all static, so you should invoke them on the class itself",
        ),
        symptoms=("legacy autograd function", "function static forward"),
        related=("custom-function", "no-backward"),
        in_training="The first forward pass stops, usually deep in somebody else's layer.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that calls the Function.",
    ),
    Mistake(
        "function-shape",
        "a custom backward returns a gradient of the wrong shape",
        program="""
            class Total(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return x.sum(dim=1)

                @staticmethod
                def backward(ctx, upstream):
                    return upstream  # <--

            x = torch.ones(3, 2, requires_grad=True)
            Total.apply(x).sum().backward()
        """,
        cause="The gradient of an input has the shape of that input: x is [3, 2], and upstream has the shape of the "
        "result, [3]. If the shapes only differ by dimensions that broadcast, PyTorch sums the gradient and does not "
        "complain. Gradients in the wrong order give this error too.",
        cure="Return each gradient in the shape of its input, in the order of forward's arguments. What was summed in "
        "forward is expanded here; what was broadcast in forward is summed. Check it with gradcli check FILE.py:Total, "
        "or torch.autograd.gradcheck in float64.",
        cured="""
            class Total(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    ctx.shape = x.shape
                    return x.sum(dim=1)

                @staticmethod
                def backward(ctx, upstream):
                    return upstream.unsqueeze(1).expand(ctx.shape)

            x = torch.ones(3, 2, requires_grad=True)
            Total.apply(x).sum().backward()
            print(x.grad)
        """,
        fragments=("returned an invalid gradient at index",),
        related=("custom-function", "vjp-shape"),
        in_training="The forward pass works, and the first backward() stops with the name of your class and "
        "Backward. If it names one of PyTorch's own functions, a tensor was resized or its .data replaced between "
        "forward and backward.",
        run_finds="gradcli why --run train.py names the return of the backward; gradcli check FILE.py:NAME compares "
        "what it returns with the inputs one by one.",
    ),
    Mistake(
        "no-backward",
        "a custom Function has no backward",
        program="""
            class Double(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    return 2 * x

            x = torch.tensor(3.0, requires_grad=True)
            Double.apply(x).backward()  # <--
        """,
        cause="Inside forward of a Function nothing is recorded: its gradient is what its backward computes. Without "
        "one, or with a misspelt one or one that is indented into forward, the gradient is missing.",
        cure="Write backward, or, if every step is a PyTorch operation, use a plain function instead of the class: "
        "autograd then finds the gradient itself.",
        cured="""
            def double(x):
                return 2 * x

            x = torch.tensor(3.0, requires_grad=True)
            double(x).backward()
            print(x.grad)
        """,
        fragments=(
            "You must implement either the backward or vjp method for your custom autograd.Function",
            "You must implement the backward function for custom autograd.Function",
        ),
        related=("custom-function", "old-function"),
        in_training="The forward pass works, and the first backward() stops.",
        run_finds="gradcli why --run train.py names this entry and the line of backward(); gradcli check FILE.py:NAME "
        "examines the Function by itself.",
    ),
    Mistake(
        "once-differentiable",
        "the gradient of this operation cannot be differentiated again",
        program="""
            class Square(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x * x

                @staticmethod
                @torch.autograd.function.once_differentiable  # <--
                def backward(ctx, upstream):
                    (x,) = ctx.saved_tensors
                    return 2 * x * upstream

            x = torch.tensor(3.0, requires_grad=True)
            y = x * Square.apply(x)
            first = torch.autograd.grad(y, x, create_graph=True)[0]
            first.backward()
        """,
        cause="Its author marked backward as not differentiable, because it uses something that autograd cannot see, "
        "such as a CUDA kernel or NumPy. Gradient penalties (WGAN-GP, R1), Hessians and MAML need a second "
        "derivative and stop here. Deformable convolutions and upsampling kernels are known for it.",
        cure="If backward consists of PyTorch operations, remove the mark. Otherwise use a version of the operation "
        "that is written with them for the second derivative, or leave this layer out of the penalty.",
        cured="""
            class Square(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x * x

                @staticmethod
                def backward(ctx, upstream):
                    (x,) = ctx.saved_tensors
                    return 2 * x * upstream

            x = torch.tensor(3.0, requires_grad=True)
            y = x * Square.apply(x)
            first = torch.autograd.grad(y, x, create_graph=True)[0]
            first.backward()
            print(x.grad)
        """,
        fragments=(
            "trying to differentiate twice a function that was marked with",
            "marked with @once_differentiable",
        ),
        related=("no-second-derivative", "second-derivative"),
        in_training="Training works until the gradient penalty is switched on.",
        run_finds="gradcli why --run train.py names this entry and the line of the second derivative.",
    ),
    Mistake(
        "no-derivative-formula",
        "PyTorch has no derivative for this operation",
        program="""
            a = torch.tensor(1.5, requires_grad=True)
            y = torch.igamma(a, torch.tensor(1.0))  # <--
            y.backward()
        """,
        cause="The function has a derivative, but nobody has written it for PyTorch: igamma can be differentiated "
        "with respect to its second argument and not its first, and zeta, some Bessel functions, some modes of "
        "linear algebra and operations on quantized or nested tensors have none.",
        cure="Use another operation for the same purpose, compute that input without gradient (detach it) if it need "
        "not be learnt, or write a torch.autograd.Function with a formula or a difference for the gradient.",
        cured="""
            class IncompleteGamma(torch.autograd.Function):
                @staticmethod
                def forward(ctx, a, x):
                    ctx.save_for_backward(a, x)
                    return torch.igamma(a, x)

                @staticmethod
                def backward(ctx, upstream):
                    a, x = (saved.double() for saved in ctx.saved_tensors)
                    slope = (torch.igamma(a + 1e-4, x) - torch.igamma(a - 1e-4, x)) / 2e-4
                    return upstream * slope.float(), None

            a = torch.tensor(1.5, requires_grad=True)
            IncompleteGamma.apply(a, torch.tensor(1.0)).backward()
            print(a.grad)
        """,
        fragments=("derivative for ... is not implemented",),
        symptoms=("derivative implemented", "backward implemented"),
        related=("step-activation", "no-second-derivative"),
        in_training="The forward pass works; backward() stops with the operation's name, here igamma, and the "
        "argument's.",
        run_finds="gradcli why --run train.py names this entry and the line of backward().",
    ),
    Mistake(
        "no-second-derivative",
        "PyTorch has no second derivative for this operation",
        program="""
            x = torch.tensor([[0.0, 0.5], [3.0, 4.0]], requires_grad=True)
            words = torch.tensor([[0, 1]])
            mean = torch.nn.functional.embedding_bag(words, x)  # <--
            first = torch.autograd.grad((mean ** 2).sum(), x, create_graph=True)[0]
            first.sum().backward()
        """,
        cause="The backward pass of an operation is often a kernel of its own, _embedding_bag_backward here, and that "
        "has no derivative. embedding_bag, ctc_loss, cuDNN's RNNs, some attention kernels and, before PyTorch 2.15, "
        "cdist are known for it. A gradient penalty, a Hessian or MAML needs one.",
        cure="Write the operation with simple ones for this purpose: an index and a mean for embedding_bag, the math "
        "backend for attention (torch.nn.attention.sdpa_kernel), torch.backends.cudnn.flags(enabled=False) for an RNN.",
        cured="""
            x = torch.tensor([[0.0, 0.5], [3.0, 4.0]], requires_grad=True)
            words = torch.tensor([[0, 1]])
            mean = x[words].mean(dim=1)
            first = torch.autograd.grad((mean ** 2).sum(), x, create_graph=True)[0]
            first.sum().backward()
            print(x.grad)
        """,
        fragments=("derivative for ..._backward is not implemented",),
        symptoms=("second derivative implemented", "double backward implemented"),
        related=("once-differentiable", "second-derivative", "compiled-twice"),
        in_training="Training works until the gradient penalty is switched on: the message then names a function "
        "that you never called and that ends with backward.",
        run_finds="gradcli why --run train.py names this entry and the line of the second derivative.",
    ),
    Mistake(
        "save-for-backward",
        "save_for_backward takes tensors, in one call",
        program="""
            class Scale(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, factor):
                    ctx.save_for_backward([x, factor])  # <--
                    return x * factor

                @staticmethod
                def backward(ctx, upstream):
                    x, factor = ctx.saved_tensors
                    return upstream * factor, (upstream * x).sum()

            x = torch.ones(2, requires_grad=True)
            y = Scale.apply(x, torch.tensor(3.0))
        """,
        cause="Its arguments must be tensors (or None), not a list of them, and not a number or a shape. A second call "
        "replaces what the first one saved. Outside forward it saves nothing that backward will see.",
        cure="Pass the tensors one by one, in one call in forward. Anything else is an attribute: ctx.factor = 3.0.",
        cured="""
            class Scale(torch.autograd.Function):
                @staticmethod
                def forward(ctx, x, factor):
                    ctx.save_for_backward(x, factor)
                    return x * factor

                @staticmethod
                def backward(ctx, upstream):
                    x, factor = ctx.saved_tensors
                    return upstream * factor, (upstream * x).sum()

            x = torch.ones(2, requires_grad=True)
            Scale.apply(x, torch.tensor(3.0)).sum().backward()
            print(x.grad)
        """,
        fragments=(
            "save_for_backward can only save variables, but argument 0 is of type",
            "save_for_backward can only save input or output tensors",
            "save_for_backward can only be called",
        ),
        related=("custom-function", "no-backward"),
        in_training="The first forward pass stops. Where only the unpacking in backward fails (not enough values to "
        "unpack), forward has not saved anything, or has saved twice.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that called the Function.",
    ),
    Mistake(
        "hook-on-constant",
        "a hook, or retain_grad, on a tensor that gets no gradient",
        program="""
            images = torch.ones(2)
            images.register_hook(print)  # <--
        """,
        cause="A hook runs when the gradient of its tensor is computed, and this tensor has none: it was created "
        "without requires_grad, or under no_grad, or its layer is frozen. Grad-CAM and feature visualisation on a "
        "frozen or evaluated model stop here.",
        cure="Set requires_grad=True on the input, x.requires_grad_(), before the forward pass, leave no_grad, or "
        "unfreeze the layer: gradients then flow to the activations whose hooks you need.",
        cured="""
            images = torch.ones(2, requires_grad=True)
            images.register_hook(print)
            (images ** 2).sum().backward()
        """,
        fragments=(
            "cannot register a hook on a tensor that doesn't require gradient",
            "can't retain_grad on Tensor that has requires_grad=False",
            "cannot register a hook on a variable that doesn't require gradient",
        ),
        related=("no-grad", "no-grad-block", "non-leaf-grad"),
        in_training="The forward pass stops at the hook: in validation, where no_grad is on, or with a frozen "
        "backbone. Register it only where tensor.requires_grad is true.",
        run_finds="gradcli why --run train.py names this entry and the line of the hook.",
    ),
    Mistake(
        "flag-of-result",
        "requires_grad of a result cannot be switched off",
        program="""
            w = torch.tensor(2.0, requires_grad=True)
            h = w * 3
            h.requires_grad = False  # <--
        """,
        cause="h was computed from w, so it has a history, which the flag does not remove. Only leaves, which have no "
        "history, can be switched off and on. Freezing layers on a model whose weights are results (weight_norm, "
        "weights assigned from a computation) stops here too.",
        cure="Use h.detach() where the gradient should stop. To freeze a layer, set the flag of its parameters.",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            h = (w * 3).detach()
            print(h.requires_grad)
        """,
        fragments=("you can only change requires_grad flags of leaf variables",),
        related=("detached", "frozen"),
        in_training="The program stops where it freezes something, before the first step.",
        run_finds="gradcli why --run train.py names this entry and the line that sets the flag.",
    ),
    Mistake(
        "copied-result",
        "a tensor with a history cannot be copied with deepcopy",
        program="""
            import copy

            w = torch.tensor(2.0, requires_grad=True)
            h = w * 3
            saved = copy.deepcopy(h)  # <--
        """,
        cause="A copy of a result would need a copy of the graph that it came from. In a model it is an attribute "
        "that was computed from parameters: a cached activation, self.loss, an LSTM's hidden state, or the weight "
        "that weight_norm of the old style computes. Copies for EMA, early stopping, or several workers then fail.",
        cure="Copy h.detach().clone(). In a module, keep only detached values: self.state = state.detach(), and use "
        "torch.nn.utils.parametrizations.weight_norm, which can be copied.",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            h = w * 3
            saved = h.detach().clone()
            print(saved)
        """,
        fragments=(
            "support the deepcopy protocol at the moment",
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol",
        ),
        related=("carried-state", "detached"),
        in_training="copy.deepcopy(model) works before the first forward pass and fails after it, because the "
        "forward pass left a result in an attribute.",
        run_finds="gradcli why --run train.py names this entry and the line of deepcopy.",
    ),
    Mistake(
        "integer-inplace",
        "a fraction cannot be written into an integer tensor in place",
        program="""
            counts = torch.tensor([1, 2])
            counts += 0.5  # <--
        """,
        cause="An in-place operation keeps the dtype of its tensor, and int64 cannot hold 1.5. Images loaded as uint8, "
        "labels and tensors written without a decimal point are integers. x[0] = 1.7 is worse: it cuts the fraction "
        "off without an error.",
        cure="Convert first, or write it out of place, where the result may have another dtype: x = x.float() / 255, "
        "counts = counts + 0.5.",
        cured="""
            counts = torch.tensor([1, 2])
            counts = counts + 0.5
            print(counts)
        """,
        fragments=(
            "result type ... can't be cast to the desired output type",
            "result type ... can't be cast to the desired output type Byte",
            "result type ... can't be cast to the desired output type <Int|Short|Char|Bool>",
            "can't be cast to the desired output type <unsigned char|int|short|signed char|bool>",
        ),
        shown_by=(r"[-+*/]=|\.(?:add|sub|mul|div)_\(",),
        related=("int-dtype", "dtype-mix", "bce-dtype"),
        in_training="The preparation of the data stops: a normalisation in place (/=, sub_, div_) of images or counts.",
        run_finds="gradcli why --run train.py names this entry and the line of the in-place operation.",
    ),
    Mistake(
        "inplace-overlap",
        "the input and the output of an in-place operation share memory",
        program="""
            x = torch.tensor([1.0, 2.0, 3.0])
            x[1:] += x[:-1]  # <--
        """,
        cause="Writing x[1] changes what is read for x[2]. The result would depend on the order in which elements are "
        "computed, which is not defined.",
        cure="Read from a copy: x[1:] += x[:-1].clone(). A running total is torch.cumsum, a shift is torch.roll.",
        cured="""
            x = torch.tensor([1.0, 2.0, 3.0])
            x[1:] += x[:-1].clone()
            print(x)
        """,
        fragments=(
            "some elements of the input tensor and the written-to tensor refer to a single memory location",
            "Please clone() the tensor before performing the operation",
        ),
        related=("inplace-expanded", "inplace-saved"),
        in_training="It stops in updates of a buffer in place: a queue of features, a replay memory that is shifted.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the write.",
    ),
    Mistake(
        "view-in-no-grad",
        "a view was made under no_grad and is written to outside",
        program="""
            buffer = torch.zeros(2)
            with torch.no_grad():
                first = buffer[:1]  # <--
            first += torch.tensor(1.0, requires_grad=True)
        """,
        cause="Nothing recorded that first is a part of buffer, so the change of it, which is recorded, could not reach "
        "the buffer's history.",
        cure="Take the view and write to it in the same mode: both inside the no_grad block, or both outside.",
        cured="""
            buffer = torch.zeros(2)
            first = buffer[:1]
            first += torch.tensor(1.0, requires_grad=True)
            print(buffer.detach())
        """,
        fragments=(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled",
        ),
        related=("inplace-view", "no-grad-block"),
        in_training="It stops in hand-written caches and state buffers that are sliced under no_grad, or in parameters "
        "that were flattened under no_grad.",
        run_finds="gradcli why --run train.py names this entry and the line of the write.",
    ),
)
