"""Mistakes of shapes, dtypes and devices, and those of torch.func."""

from gradcli.catalogue.mistakes.entry import Mistake

SHAPES = (
    Mistake(
        "shape-mismatch",
        "a layer for another number of features, or a matrix that must be transposed",
        program="""
            images = torch.ones(2, 4, 3, 3)
            layer = nn.Linear(4, 10)  # <--
            y = layer(images.flatten(1))
        """,
        cause="In a product [a, b] @ [b, c] the number of columns on the left must equal the number of rows on the "
        "right. nn.Linear multiplies [batch, features] by [in_features, out_features]: here there are 36 features, 4 "
        "* 3 * 3, but in_features is 4.",
        cure="Set in_features of the layer to the last size of its input, which print(x.shape) before the layer "
        "shows, or use nn.LazyLinear(10), which finds it out. After a convolution, flatten all dimensions but the "
        "batch: x.flatten(1). For matrices of your own, transpose the one in the wrong orientation: x @ w.T.",
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
            "mat1 dim 1 must match mat2 dim 0",
            "matrices expected, got 1D, 2D tensors",
            "<self|mat1|mat2> must be a matrix",
            "Expected size for first two dimensions of batch2 tensor to be",
            "Expected batch2_sizes[0] == bs",
        ),
        symptoms=(
            "shape mismatch",
            "matrix shapes",
            "matmul shape",
        ),
        related=("size-mismatch", "dtype-mix"),
        in_training="The first batch fails at a linear layer, often after another size of image, or after a layer was "
        "added before it.",
        run_finds="gradcli why --run train.py stops at the same error and names the layer and the line that made its "
        "input.",
    ),
    Mistake(
        "size-mismatch",
        "shapes that do not broadcast",
        program="""
            a = torch.ones(2, 3)
            b = torch.ones(2)
            y = a + b  # <--
        """,
        cause="Shapes are compared from the last dimension: 3 and 2. Sizes must be equal, or one of them must be 1. "
        "[2] is a row of two, not a column.",
        cure="Insert a dimension of size 1 where the other tensor should be repeated: b.unsqueeze(1) has shape [2, 1].",
        cured="""
            a = torch.ones(2, 3)
            b = torch.ones(2)
            y = a + b.unsqueeze(1)
            print(y)
        """,
        fragments=(
            "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension",
            "must match the existing size ... at non-singleton dimension",
            "doesn't match the broadcast shape",
            "at index 0 does not match the shape of the indexed tensor",
            "indexing tensors could not be broadcast together",
            "cannot be broadcast to indexing result of shape",
        ),
        related=("broadcast", "shape-mismatch"),
        in_training="The first batch fails in an addition or a product; the last one, if a size was written as a number.",
        run_finds="gradcli why --run train.py stops at the same error and names the lines that made both tensors.",
    ),
    Mistake(
        "dtype-mix",
        "float32 and float64 in one operation",
        program="""
            x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)  # <--
            w = torch.ones(2, 1)
            y = x @ w
        """,
        cause="Matrix products do not convert dtypes. NumPy computes in float64, so an array that comes from it is "
        "float64, while weights are float32. With half precision, the model was converted to half or bfloat16 and its "
        "input is still float32, or a layer runs outside autocast.",
        cure="Convert the data where it is created: x.float(), or x.to(w.dtype). With half precision, keep the model "
        "in float32 and run forward and loss under torch.autocast, or convert both model and inputs: model.half(), "
        "x.half().",
        cured="""
            x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
            w = torch.ones(2, 1)
            y = x.to(w.dtype) @ w
            print(y)
        """,
        fragments=(
            "expected m1 and m2 to have the same dtype, but got",
            "expected self and mat2 to have the same dtype, but got",
            "mat1 and mat2 must have the same dtype",
            "Found dtype ... but expected",
            "expected scalar type ... but found",
            "Expected object of scalar type ... but got scalar type",
            "Expected object of type ... but found type",
            "and bias type ... should be the same",
            "and weight type ... should be the same",
            "expected dtype ... but got dtype",
            "input and weight must have the same dtype",
            "expected input and hidden to have the same dtype",
        ),
        symptoms=(
            "dtype mismatch",
            "float double",
        ),
        related=("bce-dtype", "class-target", "integer-mean", "float-precision"),
        in_training="The first batch fails: data from NumPy is float64, or the model was converted to half precision and "
        "its input was not.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the tensor of the "
        "other dtype.",
    ),
    Mistake(
        "not-a-tensor",
        "a plain number, a list or an array in the place of a tensor",
        program="""
            logits = torch.zeros(1, 3, requires_grad=True)
            loss = F.cross_entropy(logits, 1)  # <--
        """,
        cause="Functions and layers take tensors. Operators such as * also take plain numbers, which hides that a value is "
        "not a tensor until it reaches a function.",
        cure="Make a tensor: torch.tensor([1]) for a class index, torch.tensor(values) for a list, torch.from_numpy(array) for "
        "an array, and .float() where a layer computes with it.",
        cured="""
            logits = torch.zeros(1, 3, requires_grad=True)
            loss = F.cross_entropy(logits, torch.tensor([1]))
            print(loss.exp().detach())
        """,
        fragments=(
            "must be Tensor, not <int|float|bool|str|list|numpy.ndarray|numpy.float64|dict|Image>",
            "expected Tensor as element ... in argument",
        ),
        related=("several-outputs", "tensor-copy"),
        in_training="The first forward pass or the first loss stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the call.",
    ),
    Mistake(
        "integer-mean",
        "integer tensors have no mean",
        program="""
            x = torch.tensor([1, 2])  # <--
            y = x.mean()
        """,
        cause="The mean of integers is a fraction, which an integer tensor cannot store. Numbers written without a "
        "decimal point are int64.",
        cure="Write a decimal point, or convert: x.float().mean(), x.mean(dtype=torch.float32).",
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
        in_training="A metric fails: the mean of labels, of a comparison or of pixels.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the integer "
        "tensor.",
    ),
    Mistake(
        "device-mix",
        "one tensor is on the GPU, the other on the CPU",
        program="""
            x = torch.ones(2)
            w = torch.ones(2, device="meta")  # <--
            y = x + w
        """,
        cause="An operation runs on one device, and tensors are not moved automatically. If a model is moved with "
        ".to('cuda'), its inputs and the tensors created along the way must be moved too. (The meta device, which "
        "every machine has, stands in for the GPU here.)",
        cure="Create all tensors on one device: torch.ones(2, device=x.device), x.to(w.device).",
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
            "indices should be either on ... or on the same device as the indexed tensor",
            "Expected object of type torch.FloatTensor but found type torch.cuda.FloatTensor",
            "Expected object of type torch.cuda.FloatTensor but found type torch.FloatTensor",
            "but expected <it|them> to be on <GPU|CPU>",
            "Expected tensor to have <CPU|CUDA> Backend, but got tensor with <CPU|CUDA> Backend",
            "expected type torch.FloatTensor but got torch.cuda.FloatTensor",
            "Input and <parameter|hidden> tensors are not at the same device",
        ),
        symptoms=(
            "device mismatch",
            "cpu cuda",
            "cpu gpu",
        ),
        related=("dtype-mix",),
        in_training="The first batch fails on a GPU machine and runs on a laptop: a tensor that was created in forward(),"
        " a mask or a target, stayed on the CPU.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the operation.",
    ),
    Mistake(
        "softmax-dim",
        "softmax without dim: along which dimension?",
        program="""
            x = torch.tensor([[[2.0, 1.0]]])
            p = F.softmax(x)  # <--
            print(p)
        """,
        cause="Without dim PyTorch guesses, and its guess depends on the number of dimensions: for three it is the "
        "first, here of size 1, so every probability is 1. torch.softmax and x.softmax do not guess, and raise an "
        "error.",
        cure="Pass dim=-1 if the classes are the last dimension.",
        cured="""
            x = torch.tensor([[[2.0, 1.0]]])
            p = F.softmax(x, dim=-1)
            print(p)
        """,
        fragments=(
            "Implicit dimension choice for ... has been deprecated",
            "Change the call to include dim=X as an argument",
            "<softmax|log_softmax>() missing 1 required positional arguments: 'dim'",
            "<softmax|log_softmax>() received an invalid combination of arguments - got (Tensor), but expected",
        ),
        related=("softmax-sum", "double-softmax"),
        in_training="PyTorch warns once. If it guesses the dimension of the batch, probabilities of one sample do not add"
        " up to 1, and accuracy stays at chance.",
        run_finds="gradcli why --run train.py names softmax without dim of three dimensions, which compares samples; in "
        "other shapes PyTorch's own warning names the line.",
    ),
    Mistake(
        "optimizer-leaf",
        "an optimizer updates leaves, not results of operations",
        program="""
            w = torch.ones(2, requires_grad=True) * 0.5  # <--
            optimizer = torch.optim.SGD([w], lr=0.1)
        """,
        cause="The multiplication made w the result of an operation; the leaf is the tensor of ones, which has no name. "
        ".double() and .to(device) do the same.",
        cure="Compute first, then call requires_grad_(), or pass the number to the constructor.",
        cured="""
            w = (torch.ones(2) * 0.5).requires_grad_()
            optimizer = torch.optim.SGD([w], lr=0.1)
            (w ** 2).sum().backward()
            optimizer.step()
            print(w.detach())
        """,
        fragments=("can't optimize a non-leaf",),
        related=("non-leaf-grad", "reassigned-leaf"),
        in_training="The program stops where the optimizer is made.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that made the tensor a "
        "result of an operation.",
    ),
)

FUNC = (
    Mistake(
        "func-grad-scalar",
        "torch.func.grad needs a function that returns one number",
        program="""
            x = torch.tensor([1.0, 2.0])
            print(torch.func.grad(torch.square)(x))  # <--
        """,
        cause="grad is defined for functions that return one number; torch.square returns as many as it is given.",
        cure="Sum inside the function, or compute the Jacobian: torch.func.jacrev. vmap(grad(f)) works element by "
        "element.",
        cured="""
            x = torch.tensor([1.0, 2.0])
            print(torch.func.jacrev(torch.square)(x))
        """,
        fragments=(
            "Expected f(*args) to return a scalar Tensor, got tensor with 1 dims",
            "Maybe you wanted to use the vjp or jacrev APIs instead",
        ),
        related=("non-scalar", "jacobian-shape"),
        in_training="Per-sample gradients or a PINN written with torch.func fail in the first call.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the call.",
    ),
    Mistake(
        "jacobian-shape",
        "the Jacobian of matrices has shape output.shape + input.shape",
        program="""
            x = torch.ones(2, 3)
            jacobian = torch.func.jacrev(torch.square)(x)  # <--
            print(jacobian.shape)
        """,
        cause="Every output is differentiated with respect to every input, including those of other rows of the "
        "batch: (2, 3) by (2, 3) is (2, 3, 2, 3), and the entries that couple different rows are 0. The Jacobian "
        "grows with the square of the batch size.",
        cure="torch.func.vmap(jacrev(f)) differentiates each row separately: (2, 3, 3).",
        cured="""
            x = torch.ones(2, 3)
            jacobian = torch.func.vmap(torch.func.jacrev(torch.square))(x)
            print(jacobian.shape)
        """,
        symptoms=(
            "jacobian shape",
            "jacobian batch",
            "jacobian memory",
        ),
        related=("non-scalar", "func-grad-scalar"),
        in_training="Memory runs out for a batch of some hundreds, although one sample takes next to nothing.",
        run_finds="gradcli why --run does not look for this: the numbers are right. Print the shape.",
    ),
    Mistake(
        "no-forward-mode",
        "PyTorch has no forward mode for this operation",
        program="""
            lengths = lambda x: torch.cdist(x, torch.zeros(1, 2))
            x, direction = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]])
            print(torch.func.jvp(lengths, (x,), (direction,))[1])  # <--
        """,
        cause="jvp, jacfwd and torch.autograd.forward_ad need a formula for the tangent of each operation. cdist, "
        "grid_sample, embedding_bag, ctc_loss, cuDNN's RNNs and some attention kernels have one for the gradient "
        "only.",
        cure="Use reverse mode: torch.func.jacrev instead of jacfwd, and its product with the direction instead of "
        "jvp; or write the operation with simple ones.",
        cured="""
            lengths = lambda x: torch.cdist(x, torch.zeros(1, 2))
            x, direction = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]])
            print(torch.tensordot(torch.func.jacrev(lengths)(x), direction, dims=2))
        """,
        fragments=("Trying to use forward AD with ... that does not support it",),
        symptoms=("forward mode implemented", "forward mode missing"),
        related=("no-second-derivative", "no-derivative-formula"),
        in_training="torch.func.hessian, which is jacfwd of jacrev, fails where jacrev of jacrev does not.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the call.",
    ),
    Mistake(
        "closed-form",
        "n backward passes for the Jacobian of softmax, which has a closed form",
        program="""
            x = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            p = torch.softmax(x, dim=0)
            for p_i in p:
                print(torch.autograd.grad(p_i, x, retain_graph=True)[0])  # <--
        """,
        cause="Each pass gives one row and reads all n logits: a thousand rows take a thousand passes, although the "
        "numbers are right. For softmax the whole Jacobian is known: p_i (1 - p_i) on the diagonal, -p_i p_j "
        "elsewhere.",
        cure="Use the closed form, and compare some rows with autograd's before you trust it. gradcli does both from "
        "513 logits on, and says so. In training you rarely need a Jacobian: backward() needs only a row vector times "
        "it.",
        cured="""
            x = torch.tensor([2.0, 1.0, 0.1], requires_grad=True)
            p = torch.softmax(x, dim=0)
            jacobian = torch.diag(p) - torch.outer(p, p)
            print(jacobian.detach())
            row = torch.autograd.grad(p[1], x, retain_graph=True)[0]
            print(torch.allclose(row, jacobian[1]))
        """,
        symptoms=("jacobian slow",),
        related=("jacobian-shape", "softmax-sum", "non-scalar"),
        in_training="A step takes seconds where it should take milliseconds.",
        run_finds="gradcli why --run does not look for this: the numbers are right.",
    ),
    Mistake(
        "vmap-branch",
        "an if statement on a tensor under vmap",
        program="""
            def absolute(x):
                return x if x > 0 else -x  # <--

            print(torch.func.vmap(absolute)(torch.tensor([-1.0, 2.0])))
        """,
        cause="Under vmap x represents all samples at once, and the samples may take different branches.",
        cure="Compute both branches and choose with torch.where.",
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
        in_training="A model with an if on a value works for one sample and fails under vmap.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the condition.",
    ),
    Mistake(
        "vmap-item",
        "item() under vmap",
        program="""
            def scaled(x):
                return x / x.sum().item()  # <--

            print(torch.func.vmap(scaled)(torch.ones(2, 4)))
        """,
        cause="item() returns one plain number, but under vmap there is one for each sample.",
        cure="Leave out item(): a tensor with one element can be used directly.",
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
        in_training="A model that logs or divides by item() works for one sample and fails under vmap.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of item().",
    ),
    Mistake(
        "vmap-random",
        "random numbers under vmap: the same for each sample, or different?",
        program="""
            def noisy(x):
                return x + 0 * torch.rand(())

            print(torch.func.vmap(noisy)(torch.ones(2)))  # <--
        """,
        cause="One draw for all samples and one for each are both sensible, so PyTorch requires a choice.",
        cure="Pass randomness='different' or randomness='same'.",
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
        in_training="A model with dropout or sampled noise fails under vmap, in training mode only.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the random operation.",
    ),
    Mistake(
        "vmap-inplace",
        "writing under vmap to a tensor from outside",
        program="""
            squares = torch.zeros(2)

            def square(x):
                squares[0] = x ** 2  # <--
                return squares

            print(torch.func.vmap(square)(torch.tensor([1.0, 2.0])))
        """,
        cause="squares exists once, and vmap would have to write one value for each sample to the same place.",
        cure="Return the result for each sample; vmap puts the results together.",
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
        in_training="Running statistics, as those of BatchNorm, are written under vmap.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the write.",
    ),
)
