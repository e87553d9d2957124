"""Mistakes that show in the numbers alone: nan, infinity, zeros, lost digits, and what PyTorch
chooses at a kink.
"""

from gradcli.catalogue.mistakes.entry import Mistake

NUMBERS = (
    Mistake(
        "kink",
        "there is no derivative at a kink, so PyTorch chooses a value",
        program="""
            functions = {"relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "abs": torch.abs}
            for name, function in functions.items():
                x = torch.tensor(0.0, requires_grad=True)
                function(x).backward()  # <--
                print(name, x.grad)
        """,
        cause="At 0 these functions have one slope on the left and another on the right. PyTorch returns one of them, "
        "or a value in between; which one depends on the function and may change between releases.",
        cure="Do not rely on the value at a kink, and do not check a gradient there with finite differences. If it "
        "matters, use a smooth alternative: softplus instead of relu.",
        cured="""
            x = torch.tensor(0.0, requires_grad=True)
            F.softplus(x).backward()
            print(x.grad)
        """,
        symptoms=(
            "relu derivative",
            "abs derivative zero",
        ),
        related=("ties", "step-activation", "dead-relu"),
        in_training="Training hardly notices. A check with finite differences fails at isolated points, such as padding "
        "that is exactly 0.",
        run_finds="gradcli why --run does not look for this: a gradient at a kink is not a fault of a program. gradcli "
        "grad marks it with the note [kink].",
    ),
    Mistake(
        "ties",
        "with equal maxima, max() shares the gradient and max(dim) gives it to one",
        program="""
            x = torch.tensor([2.0, 2.0, 1.0], requires_grad=True)
            x.max(dim=0).values.backward()  # <--
            print(x.grad)
        """,
        cause="The maximum has a kink where two elements are equal. max(dim) and topk select one position, which gets "
        "the whole gradient; max() and amax split it evenly.",
        cure="Choose the one that you need: amax to share the gradient, max(dim) for one winner, logsumexp for a "
        "smooth maximum.",
        cured="""
            x = torch.tensor([2.0, 2.0, 1.0], requires_grad=True)
            x.amax(dim=0).backward()
            print(x.grad)
        """,
        symptoms=(
            "max gradient",
            "equal maxima gradient",
        ),
        related=("kink",),
        in_training="Max pooling over equal values, such as padding, sends the gradient to one place only; another "
        "version or device may choose another.",
        run_finds="gradcli why --run does not look for this: the gradient is a valid choice. gradcli grad shows how "
        "it is divided.",
    ),
    Mistake(
        "branch",
        "an if takes one side, and the gradient is that of this side",
        program="""
            x = torch.tensor(2.0)
            threshold = torch.tensor(1.0, requires_grad=True)
            scale = torch.tensor(3.0, requires_grad=True)
            y = scale * x if x > threshold else x  # <--
            y.backward()
            print(scale.grad, threshold.grad)
        """,
        cause="Python decides the condition, and PyTorch records only the side that is taken. So the gradient is that "
        "of this side, and threshold, which is used in the condition alone, has none. Where the condition changes, "
        "y jumps, and no gradient says so. torch.where chooses element by element, with the same consequence.",
        cure="If the threshold is to be learnt, make the change smooth: weight both sides by a sigmoid.",
        cured="""
            x = torch.tensor(2.0)
            threshold = torch.tensor(1.0, requires_grad=True)
            scale = torch.tensor(3.0, requires_grad=True)
            gate = torch.sigmoid(x - threshold)
            y = gate * scale * x + (1 - gate) * x
            y.backward()
            print(scale.grad, threshold.grad)
        """,
        symptoms=(
            "if gradient",
            "threshold not learn",
        ),
        related=("kink", "not-differentiable"),
        in_training="A learned threshold or a gate stays as it was initialised, since it is used in a condition only.",
        run_finds="gradcli why --run train.py lists the tensor as grad-none if it is a parameter of a model, and "
        "its grad is None after all steps of the optimizer.",
    ),
    Mistake(
        "not-a-number",
        "one nan spreads to everything computed from it",
        program="""
            x = torch.tensor([1.0, -1.0], requires_grad=True)
            loss = x.log().sum()  # <--
            loss.backward()
            print(loss.detach(), x.grad)
        """,
        cause="The log of a negative number, 0/0, inf - inf and 0 * inf are nan, and nan + anything is nan. The loss "
        "is nan although one element was fine, and the gradient may hide the problem: here -1 looks like a valid "
        "number.",
        cure="Find the first operation that produces nan, and keep its input in the domain: clamp, softplus, an eps. "
        "Check the data too, and the learning rate: if it is too large, the loss grows until it overflows.",
        cured="""
            x = torch.tensor([1.0, -1.0], requires_grad=True)
            loss = F.softplus(x).log().sum()
            loss.backward()
            print(loss.detach(), x.grad)
        """,
        symptoms=(
            "loss nan",
            "weights nan",
            "output nan",
            "gradient nan",
            "loss inf",
            "accuracy nan",
            "nan",
        ),
        related=("anomaly", "nan-where", "nan-sqrt", "nan-xlogx", "underflow", "learning-rate"),
        in_training="The loss prints numbers for some steps, then nan for ever: one step with a gradient of nan has made "
        "all weights nan.",
        run_finds="gradcli why --run train.py names the first log, root, power, quotient or exp that gave nan or "
        "inf, once a loss or a gradient is not finite; or the data, the weight or the result that first holds it.",
    ),
    Mistake(
        "anomaly",
        "a gradient became nan in the backward pass",
        program="""
            x = torch.tensor(0.0, requires_grad=True)
            with torch.autograd.set_detect_anomaly(True):
                y = x ** 0.5 * 0  # <--
                y.backward()
        """,
        cause="The slope of a square root at 0 is infinite, and the upstream gradient is 0: 0 * inf = nan. The "
        "forward values are fine; only anomaly detection names the operation, here PowBackward0. Logarithms, "
        "quotients, norms, acos and atan2 have such points too, and a gradient that overflows in half precision is "
        "inf, which the next product turns into nan.",
        cure="Keep the input of the named operation away from its singular point: an eps inside the root or the norm "
        "(Pow, Sqrt, LinalgVectorNorm), clamp(min=eps) before Log and on the denominator of Div, clamp to -1 + eps "
        "and 1 - eps before Acos. For Mul, Exp or a layer, look at what comes after it: print the largest value of "
        "its output, and lower the learning rate if that grows.",
        cured="""
            x = torch.tensor(0.0, requires_grad=True)
            with torch.autograd.set_detect_anomaly(True):
                y = (x + 1e-6) ** 0.5 * 0
                y.backward()
            print(x.grad)
        """,
        fragments=(
            "returned nan values in its ... output",
            "Traceback of forward call that caused the error",
        ),
        symptoms=(
            "nan backward",
            "gradient nan loss",
            "gradient nan",
            "gradient inf",
        ),
        related=("not-a-number", "nan-sqrt", "nan-where"),
        in_training="The loss is fine in one step and nan in the next. With set_detect_anomaly(True), which makes "
        "training several times slower, the error names the operation.",
        run_finds="gradcli why --run train.py stops at the error that anomaly detection raises and names the line "
        "of backward(); the traceback of the forward pass is in PyTorch's warning. Without anomaly detection it names "
        "acos or asin at 1 or -1, or else the backward pass whose gradient is not finite.",
    ),
    Mistake(
        "nan-where",
        "where hides the bad value but not its gradient",
        program="""
            x = torch.tensor([0.0, 4.0], requires_grad=True)
            y = torch.where(x > 0, x.sqrt(), 0.0)  # <--
            y.sum().backward()
            print(x.grad)
        """,
        cause="where computes both branches everywhere and passes a gradient of 0 to the branch that was not chosen. "
        "The slope of sqrt at 0 is infinite, and 0 * inf = nan.",
        cure="Use where twice: first to make the input harmless, then to choose the result.",
        cured="""
            x = torch.tensor([0.0, 4.0], requires_grad=True)
            safe = torch.where(x > 0, x, 1.0)
            y = torch.where(x > 0, safe.sqrt(), 0.0)
            y.sum().backward()
            print(x.grad)
        """,
        symptoms=(
            "torch where nan",
            "mask gradient nan",
        ),
        related=("nan-sqrt", "anomaly"),
        in_training="A masked loss is fine, and the weights are nan after the first step in which a masked element was "
        "out of the domain.",
        run_finds="gradcli why --run train.py names the line of torch.where that hides a log, a power or a "
        "quotient; a hidden square root is named itself, as nan-sqrt.",
    ),
    Mistake(
        "nan-sqrt",
        "the root of a square has no slope at 0: nan",
        program="""
            x = torch.tensor([0.0, 0.0], requires_grad=True)
            length = (x ** 2).sum().sqrt()  # <--
            length.backward()
            print(x.grad)
        """,
        cause="The chain rule multiplies the infinite slope of the root by the slope 0 of the square: inf * 0 = nan. "
        "The same happens with distances between equal points and standard deviations of equal numbers.",
        cure="torch.linalg.norm handles this case and returns 0. In a formula of your own, add an eps inside the root.",
        cured="""
            x = torch.tensor([0.0, 0.0], requires_grad=True)
            length = torch.linalg.norm(x)
            length.backward()
            print(x.grad)
        """,
        symptoms=(
            "sqrt nan",
            "norm nan",
            "sqrt gradient nan",
            "norm gradient nan",
            "distance nan",
        ),
        related=("nan-where", "anomaly"),
        in_training="Contrastive and triplet losses become nan when two embeddings are equal, often after a collapse, or "
        "in the first step with zero weights.",
        run_finds="gradcli why --run train.py names the line of the square root of exactly 0, if a gradient is nan "
        "or inf because of it.",
    ),
    Mistake(
        "nan-xlogx",
        "p log p at p = 0 is 0 on paper but nan in PyTorch",
        program="""
            p = torch.tensor([0.0, 1.0], requires_grad=True)
            entropy = -(p * p.log()).sum()  # <--
            entropy.backward()
            print(entropy.detach(), p.grad)
        """,
        cause="log 0 is -inf, and 0 * -inf is nan. The limit of p log p is 0, but floating-point arithmetic does not "
        "take limits.",
        cure="torch.special.entr and torch.xlogy handle this case. The slope at 0 is still infinite, as it is on "
        "paper.",
        cured="""
            p = torch.tensor([0.0, 1.0], requires_grad=True)
            entropy = torch.special.entr(p).sum()
            entropy.backward()
            print(entropy.detach(), p.grad)
        """,
        symptoms=(
            "entropy nan",
            "log zero nan",
            "log nan",
        ),
        related=("not-a-number", "underflow"),
        in_training="An entropy bonus or a KL term is nan as soon as one probability is exactly 0, which comes with "
        "confidence.",
        run_finds="gradcli why --run train.py names the line of the logarithm of 0, if the loss or a gradient is "
        "not finite because of it.",
    ),
    Mistake(
        "eigenvector-nan",
        "eigenvectors of equal eigenvalues have no derivative",
        program="""
            A = torch.eye(2, requires_grad=True)
            values, vectors = torch.linalg.eigh(A)
            vectors.sum().backward()  # <--
            print(A.grad)
        """,
        cause="The derivative divides by differences of eigenvalues, and here they are equal: every direction is an "
        "eigenvector. svd has the same problem with equal singular values.",
        cure="Compute the loss from the eigenvalues, or from a matrix function that does not depend on individual "
        "eigenvectors.",
        cured="""
            A = torch.eye(2, requires_grad=True)
            values = torch.linalg.eigvalsh(A)
            values.sum().backward()
            print(A.grad)
        """,
        symptoms=(
            "svd nan",
            "eigh nan",
            "svd gradient nan",
            "eigenvectors nan",
        ),
        related=("not-a-number",),
        in_training="Whitening and spectral losses are nan in the first step, when a matrix is still the identity or has "
        "too few samples.",
        run_finds="gradcli why --run train.py names the line of eigh or svd whose values are equal, if a gradient "
        "is not finite.",
    ),
    Mistake(
        "underflow",
        "log(softmax(a)) loses small probabilities: -inf and nan",
        program="""
            a = torch.tensor([0.0, 200.0], requires_grad=True)
            loss = -torch.softmax(a, dim=0).log()[0]  # <--
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        cause="exp(-200) is too small for float32 and becomes 0, whose logarithm is -inf. log_softmax subtracts the "
        "maximum before it takes the exponential and never computes the tiny number.",
        cure="Use F.log_softmax, torch.logsumexp or F.cross_entropy instead of the separate steps.",
        cured="""
            a = torch.tensor([0.0, 200.0], requires_grad=True)
            loss = -F.log_softmax(a, dim=0)[0]
            loss.backward()
            print(loss.detach(), a.grad)
        """,
        symptoms=(
            "log softmax inf",
            "loss inf",
            "log softmax nan",
        ),
        related=("saturation", "nan-xlogx", "float-precision"),
        in_training="The loss is inf or nan once the network is confident and wrong about one sample.",
        run_finds="gradcli why --run train.py names the line of the log that returned -inf.",
    ),
    Mistake(
        "saturation",
        "a saturated sigmoid has slope 0, so nothing is learnt",
        program="""
            z = torch.tensor(200.0, requires_grad=True)
            loss = F.binary_cross_entropy(torch.sigmoid(z), torch.tensor(0.0))  # <--
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        cause="Far from 0 the sigmoid is flat: its slope s (1 - s) shrinks, and in float32 it is exactly 0 from about "
        "z = 17 on, because s is rounded to 1. The prediction is entirely wrong, but the gradient is 0.",
        cure="Pass the logits to a loss that contains the sigmoid: the slopes of the log and the sigmoid then cancel "
        "in the formula, before anything is rounded.",
        cured="""
            z = torch.tensor(200.0, requires_grad=True)
            loss = F.binary_cross_entropy_with_logits(z, torch.tensor(0.0))
            loss.backward()
            print(loss.detach(), z.grad)
        """,
        symptoms=(
            "vanishing gradient",
            "gradient vanishes",
            "sigmoid gradient zero",
            "gradient zero",
            "gradient small",
            "weights gradient zero",
            "sigmoid not learn",
            "loss decrease",
        ),
        related=("underflow", "dead-relu", "float-precision"),
        in_training="The loss stays where it is from the first step, most often with sigmoid or tanh, large initial "
        "weights or inputs that are not scaled; in a deep network the first layers have the smallest "
        "gradients.",
        run_finds="gradcli why --run does not look for this: a gradient of 0 can be right. gradcli flow shows the "
        "factor for each layer.",
    ),
    Mistake(
        "dead-relu",
        "a relu whose input is negative for all data stops learning",
        program="""
            z = torch.tensor([-3.0, -1.0], requires_grad=True)
            F.relu(z).sum().backward()  # <--
            print(z.grad)
        """,
        cause="For z < 0 relu is flat: its gradient is exactly 0, so the weights that produce z do not change, and z "
        "stays negative. A large learning rate can push a unit there in one step.",
        cure="Use leaky_relu, elu or gelu, which keep a slope on the left, or a smaller learning rate.",
        cured="""
            z = torch.tensor([-3.0, -1.0], requires_grad=True)
            F.leaky_relu(z).sum().backward()
            print(z.grad)
        """,
        symptoms=(
            "relu dead",
            "relu zero",
            "relu gradient zero",
            "neurons dead",
            "relu output zero",
            "output zero",
            "output not change",
        ),
        related=("kink", "saturation"),
        in_training="The loss stays where it is after a large step, or from the start with a bias below 0; the outputs of"
        " a layer are zero for every sample.",
        run_finds="gradcli why --run train.py names the line of a ReLU that was 0 for all data in its last five "
        "calls or more, or always, if nothing before it ever got a gradient in three backward passes or more.",
    ),
    Mistake(
        "float-precision",
        "float32 has seven digits, so adding 1 may change nothing",
        program="""
            x = torch.tensor(16777216.0)
            print(x + 1 - x)  # <--
        """,
        cause="float32 has 24 significant bits. From 2**24 = 16777216 on, neighbouring numbers are 2 apart, so the "
        "added 1 is rounded away. For the same reason 0.1 + 0.2 is 0.3 only to about seven digits.",
        cure="Use float64 if small differences of large numbers matter, or subtract first.",
        cured="""
            x = torch.tensor(16777216.0, dtype=torch.float64)
            print(x + 1 - x)
        """,
        symptoms=(
            "float precision",
            "precision lost",
        ),
        related=("gradcheck-float32", "saturation"),
        in_training="A running mean or a sum of losses stops changing after some millions of samples; a check with small "
        "differences gives 0.",
        run_finds="gradcli why --run does not look for this: rounding is not a fault of a program. Compute in float64 "
        "and compare.",
    ),
    Mistake(
        "gradcheck-float32",
        "finite differences need float64",
        program="""
            x = torch.tensor([1.0, 2.0], requires_grad=True)
            torch.autograd.gradcheck(torch.sin, x)  # <--
        """,
        cause="gradcheck moves x by 1e-6 and divides the change of the result by that. In float32 most digits of the "
        "change are rounding error, so a correct gradient fails.",
        cure="Run the check in float64.",
        cured="""
            x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
            print(torch.autograd.gradcheck(torch.sin, x))
        """,
        fragments=(
            "Jacobian mismatch for output 0 with respect to input 0",
            "requires gradient and is not a double precision floating point or complex",
            "This check will likely fail if all the inputs are not of double precision floating point or complex",
        ),
        symptoms=(
            "gradcheck",
            "gradcheck fails",
        ),
        related=("float-precision", "kink"),
        in_training="gradcheck fails for a correct Function, in a test that uses the default dtype.",
        run_finds="gradcli why --run train.py stops at the same error; gradcli check FILE.py:NAME computes in "
        "float64 by itself.",
    ),
    Mistake(
        "learning-rate",
        "too large a step jumps over the minimum, further each time",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=1.1)  # <--
            for step in range(4):
                optimizer.zero_grad()
                (w ** 2).backward()
                optimizer.step()
                print(w.detach())
        """,
        cause="Each step multiplies w by 1 - 2 lr. With lr = 1.1 that is -1.2: the sign flips and the size grows. Steps "
        "shrink only while lr is below 2 divided by the curvature, here 1.",
        cure="Reduce the learning rate, often by a factor of ten.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            for step in range(4):
                optimizer.zero_grad()
                (w ** 2).backward()
                optimizer.step()
                print(w.detach())
        """,
        symptoms=(
            "loss explodes",
            "loss increases",
            "learning rate large",
            "learning rate high",
            "loss oscillates",
            "loss explode nan",
            "loss decrease",
            "not converge",
            "accuracy not change",
        ),
        related=("accumulate", "dead-relu"),
        in_training="The loss grows from the first steps, jumps up and down, or becomes inf and then nan. A rate that is "
        "too small looks different: the loss falls, but hardly.",
        run_finds="gradcli why --run train.py names the line that made the optimizer, if the loss grew to more than "
        "10,000 times its first value.",
    ),
)
