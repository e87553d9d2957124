"""Mistakes of shapes, dtypes and devices, and those of torch.func."""

from gradcli.tables.mistakes.entry import Mistake

SHAPES = (
    Mistake(
        "shape-mismatch",
        "a layer made for another number of features, or a matrix that lies the wrong way",
        program="""
            images = torch.ones(2, 4, 3, 3)
            layer = nn.Linear(4, 10)  # <--
            y = layer(images.flatten(1))
        """,
        cause="In a product [a, b] @ [b, c] the columns of the left must be as many as the rows of the right. nn.Linear "
        "multiplies [batch, features] by [in_features, out_features]: here 36 features, 4 * 3 * 3, meet in_features = 4.",
        cure="Make the layer for the features that arrive: in_features is the last size of its input, which "
        "print(x.shape) in front of it shows, or nn.LazyLinear(10) finds out. After a convolution flatten all but the "
        "batch: x.flatten(1). Matrices of your own: transpose the one that lies the wrong way, x @ w.T.",
        cured="""
            images = torch.ones(2, 4, 3, 3)
            layer = nn.Linear(4 * 3 * 3, 10)
            y = layer(images.flatten(1))
            print(y.shape)
        """,
        fragments=(
            "mat1 and mat2 shapes cannot be multiplied",
            "size mismatch, got input ... mat ... vec",
            "inconsistent tensor size, expected tensor ... and src ... to have the same number of elements",
            "size mismatch, m1: [2 x 3], m2: [4 x 5]",
        ),
        related=("size-mismatch", "dtype-mix"),
    ),
    Mistake(
        "size-mismatch",
        "shapes that do not broadcast",
        program="""
            a = torch.ones(2, 3)
            b = torch.ones(2)
            y = a + b  # <--
        """,
        cause="Shapes are compared from the last dimension: 3 against 2. Sizes must be equal, or one of them 1. [2] is a "
        "row of two, not a column.",
        cure="Put a 1 where the other is to be repeated: b.unsqueeze(1) has shape [2, 1].",
        cured="""
            a = torch.ones(2, 3)
            b = torch.ones(2)
            y = a + b.unsqueeze(1)
            print(y)
        """,
        fragments=(
            "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension",
            "must match the existing size ... at non-singleton dimension",
        ),
        related=("broadcast", "shape-mismatch"),
    ),
    Mistake(
        "dtype-mix",
        "float32 meets float64 in one operation",
        program="""
            x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)  # <--
            w = torch.ones(2, 1)
            y = x @ w
        """,
        cause="Products of matrices do not convert. NumPy computes in float64, so an array that comes from there is "
        "float64, while weights are float32. With half precision it is a model that was made half or bfloat16, or a layer "
        "outside of autocast, that meets float32.",
        cure="Convert the data where they are made: x.float(), or x.to(w.dtype). Half precision: leave the model float32 and "
        "put forward and loss under torch.autocast, or convert model and inputs both: model.half(), x.half().",
        cured="""
            x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
            w = torch.ones(2, 1)
            y = x.to(w.dtype) @ w
            print(y)
        """,
        fragments=(
            "expected m1 and m2 to have the same dtype, but got",
            "mat1 and mat2 must have the same dtype",
            "Found dtype ... but expected",
            "expected scalar type ... but found",
            "Expected object of scalar type ... but got scalar type",
            "Expected object of type ... but found type",
            "and bias type ... should be the same",
            "and weight type ... should be the same",
        ),
        related=("bce-dtype", "class-target", "integer-mean", "float-precision"),
    ),
    Mistake(
        "integer-mean",
        "integers have no mean",
        program="""
            x = torch.tensor([1, 2])  # <--
            y = x.mean()
        """,
        cause="The mean of integers is a fraction, which an integer tensor cannot hold. Numbers written without a point "
        "are int64.",
        cure="Write a point, or convert: x.float().mean(), x.mean(dtype=torch.float32).",
        cured="""
            x = torch.tensor([1, 2])
            y = x.float().mean()
            print(y)
        """,
        fragments=(
            "could not infer output dtype. Input dtype must be either a floating point or complex dtype",
            "input dtype should be either floating point or complex dtypes",
            "Can only calculate the mean of floating types",
            "not implemented for 'Long'",
        ),
        related=("int-dtype",),
    ),
    Mistake(
        "device-mix",
        "one tensor on the GPU, the other on the CPU",
        program="""
            x = torch.ones(2)
            w = torch.ones(2, device="meta")  # <--
            y = x + w
        """,
        cause="An operation runs on one device, and nothing is moved in silence. A model moved by .to('cuda') needs its "
        "inputs moved too, and so do tensors made on the way. (The device meta, which every machine has, stands for the "
        "GPU here.)",
        cure="Make all tensors on one device: torch.ones(2, device=x.device), x.to(w.device).",
        cured="""
            x = torch.ones(2)
            w = torch.ones(2, device=x.device)
            y = x + w
            print(y)
        """,
        fragments=(
            "Expected all tensors to be on the same device",
            "is not on the expected device",
            "Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) should be the same",
            "Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor) should be the same",
            "Expected object of device type ... but got device type",
            "Expected object of backend ... but got backend",
        ),
        related=("dtype-mix",),
    ),
    Mistake(
        "softmax-dim",
        "softmax along which dimension?",
        program="""
            x = torch.tensor([[[2.0, 1.0]]])
            p = F.softmax(x)  # <--
            print(p)
        """,
        cause="Without dim PyTorch guesses, and its guess depends on the number of dimensions: for three it is the first, here "
        "of size 1, so that every probability is 1. torch.softmax and x.softmax do not guess, and fail.",
        cure="Say dim=-1: the classes are the last dimension.",
        cured="""
            x = torch.tensor([[[2.0, 1.0]]])
            p = F.softmax(x, dim=-1)
            print(p)
        """,
        fragments=(
            "Implicit dimension choice for ... has been deprecated",
            "Change the call to include dim=X as an argument",
            "<softmax|log_softmax>() missing 1 required positional arguments: 'dim'",
        ),
        related=("softmax-sum", "double-softmax"),
    ),
    Mistake(
        "optimizer-leaf",
        "an optimizer moves leaves, not results",
        program="""
            w = torch.ones(2, requires_grad=True) * 0.5  # <--
            optimizer = torch.optim.SGD([w], lr=0.1)
        """,
        cause="The multiplication made w the result of an operation; the leaf is the tensor of ones, which has no name. "
        ".double() and .to(device) do the same.",
        cure="Compute first, then say requires_grad_(), or give the number to the constructor.",
        cured="""
            w = (torch.ones(2) * 0.5).requires_grad_()
            optimizer = torch.optim.SGD([w], lr=0.1)
            (w ** 2).sum().backward()
            optimizer.step()
            print(w.detach())
        """,
        fragments=("can't optimize a non-leaf",),
        related=("non-leaf-grad", "reassigned-leaf"),
    ),
)

FUNC = (
    Mistake(
        "func-grad-scalar",
        "torch.func.grad wants a function with one number as its result",
        program="""
            x = torch.tensor([1.0, 2.0])
            print(torch.func.grad(torch.square)(x))  # <--
        """,
        cause="grad is defined for functions that return one number; torch.square returns as many as it is given.",
        cure="Sum inside the function, or ask for the Jacobian: torch.func.jacrev. vmap(grad(f)) goes element by element.",
        cured="""
            x = torch.tensor([1.0, 2.0])
            print(torch.func.jacrev(torch.square)(x))
        """,
        fragments=(
            "Expected f(*args) to return a scalar Tensor, got tensor with 1 dims",
            "Maybe you wanted to use the vjp or jacrev APIs instead",
        ),
        related=("non-scalar", "jacobian-shape"),
    ),
    Mistake(
        "jacobian-shape",
        "a Jacobian of matrices has output.shape + input.shape",
        program="""
            x = torch.ones(2, 3)
            jacobian = torch.func.jacrev(torch.square)(x)  # <--
            print(jacobian.shape)
        """,
        cause="Every output is differentiated by every input, those of the other rows of the batch included: (2, 3) by "
        "(2, 3) is (2, 3, 2, 3), and what couples different rows is 0. For a batch that grows with its square.",
        cure="torch.func.vmap(jacrev(f)) differentiates each row by itself: (2, 3, 3).",
        cured="""
            x = torch.ones(2, 3)
            jacobian = torch.func.vmap(torch.func.jacrev(torch.square))(x)
            print(jacobian.shape)
        """,
        related=("non-scalar", "func-grad-scalar"),
    ),
    Mistake(
        "closed-form",
        "a Jacobian of softmax by n backward passes, where one outer product says it",
        program="""
            x = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            p = torch.softmax(x, dim=0)
            for p_i in p:
                print(torch.autograd.grad(p_i, x, retain_graph=True)[0])  # <--
        """,
        cause="Each pass gives one row and reads all n logits: a thousand rows take a thousand passes, though the numbers are "
        "right. For softmax the whole is known: p_i (1 - p_i) on the diagonal, -p_i p_j elsewhere.",
        cure="Write the closed form, and compare some rows with autograd's before you trust it. gradcli does both from 513 "
        "logits on, and says so. In training you rarely need a Jacobian: what backward() wants is one row times it.",
        cured="""
            x = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            p = torch.softmax(x, dim=0)
            jacobian = torch.diag(p) - torch.outer(p, p)
            print(jacobian.detach())
            row = torch.autograd.grad(p[1], x, retain_graph=True)[0]
            print(torch.allclose(row, jacobian[1]))
        """,
        related=("jacobian-shape", "softmax-sum", "non-scalar"),
    ),
    Mistake(
        "vmap-branch",
        "an if on a tensor under vmap",
        program="""
            def absolute(x):
                return x if x > 0 else -x  # <--

            print(torch.func.vmap(absolute)(torch.tensor([-1.0, 2.0])))
        """,
        cause="Under vmap x stands for all samples at once, and the samples would take different branches.",
        cure="Compute both branches and choose by torch.where.",
        cured="""
            def absolute(x):
                return torch.where(x > 0, x, -x)

            print(torch.func.vmap(absolute)(torch.tensor([-1.0, 2.0])))
        """,
        fragments=(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow",
            "attempting to use a Tensor in some data-dependent control flow",
        ),
        related=("vmap-item", "nan-where"),
    ),
    Mistake(
        "vmap-item",
        "item() under vmap",
        program="""
            def scaled(x):
                return x / x.sum().item()  # <--

            print(torch.func.vmap(scaled)(torch.ones(2, 4)))
        """,
        cause="item() asks for one plain number, and under vmap there is one for each sample.",
        cure="Leave out item(): the tensor of one number can be computed with as it is.",
        cured="""
            def scaled(x):
                return x / x.sum()

            print(torch.func.vmap(scaled)(torch.ones(2, 4)))
        """,
        fragments=(
            "vmap: It looks like you're calling .item() on a Tensor",
            "We don't support vmap over calling .item() on a Tensor",
        ),
        related=("item-breaks", "vmap-branch"),
    ),
    Mistake(
        "vmap-random",
        "random numbers under vmap: the same for each sample, or different?",
        program="""
            def noisy(x):
                return x + 0 * torch.rand(())

            print(torch.func.vmap(noisy)(torch.ones(2)))  # <--
        """,
        cause="One draw for all samples and one for each are both sensible, so PyTorch wants to be told.",
        cure="Say randomness='different', or 'same'.",
        cured="""
            def noisy(x):
                return x + 0 * torch.rand(())

            print(torch.func.vmap(noisy, randomness="different")(torch.ones(2)))
        """,
        fragments=(
            "vmap: called random operation while in randomness error mode",
            "Please either use the 'same' or 'different' randomness flags on vmap",
        ),
        related=("vmap-inplace",),
    ),
    Mistake(
        "vmap-inplace",
        "writing under vmap into a tensor from outside",
        program="""
            squares = torch.zeros(2)

            def square(x):
                squares[0] = x ** 2  # <--
                return squares

            print(torch.func.vmap(square)(torch.tensor([1.0, 2.0])))
        """,
        cause="squares exists once, and vmap would have to write one value for each sample into the same place.",
        cure="Return what each sample computes; vmap puts the results together.",
        cured="""
            def square(x):
                return x ** 2

            print(torch.func.vmap(square)(torch.tensor([1.0, 2.0])))
        """,
        fragments=(
            "is not possible because there exists a Tensor other in extra_args that has more elements than self",
            "Please try to use out-of-place operators instead of",
        ),
        related=("inplace-expanded", "vmap-random"),
    ),
)
