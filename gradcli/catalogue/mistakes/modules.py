"""Mistakes of modules: how one is written, called, saved, and switched between training and
evaluation.
"""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

MODULES = (
    Mistake(
        "module-init",
        "a module without super().__init__()",
        program="""
            class Net(nn.Module):
                def __init__(self):
                    self.layer = nn.Linear(2, 1)  # <--

            net = Net()
        """,
        cause="nn.Module keeps its parameters and layers in tables that its own __init__ creates. A class with an "
        "__init__ of its own has to call that first.",
        cure="Begin __init__ with super().__init__().",
        cured="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 1)

            print(Net())
        """,
        fragments=(
            "cannot assign module before Module.__init__() call",
            "cannot assign parameters before Module.__init__() call",
            "cannot assign parameter before Module.__init__() call",
        ),
        vague=(
            Vague(
                "object has no attribute '<_parameters|_modules|_buffers|_backward_hooks|_forward_hooks>'",
                alone=False,
            ),
        ),
        related=("plain-list", "forward-missing"),
        in_training="The program stops where the model is made.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the assignment.",
    ),
    Mistake(
        "forward-missing",
        "the module has no forward",
        program="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 1)

                def foward(self, x):  # <--
                    return self.layer(x)

            y = Net()(torch.ones(1, 2))
        """,
        cause="Calling a module calls its forward, and this class has none: it is misspelt, or indented into "
        "__init__. nn.ModuleList and nn.ModuleDict have none either: they hold layers and do not say in which order "
        "to call them.",
        cure="Name the method forward, and indent it like __init__. Loop over a ModuleList, or use nn.Sequential.",
        cured="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 1)

                def forward(self, x):
                    return self.layer(x)

            print(Net()(torch.ones(1, 2)).shape)
        """,
        fragments=('is missing the required "forward" function',),
        vague=(Vague("_forward_unimplemented() got an unexpected keyword argument"),),
        related=("module-init", "forward-returns-none"),
        in_training="The first forward pass stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the call.",
    ),
    Mistake(
        "forward-returns-none",
        "forward does not return its result",
        program="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 1)

                def forward(self, x):
                    y = self.layer(x)  # <--

            net = nn.Sequential(Net(), nn.Linear(1, 1))
            y = net(torch.ones(1, 2))
        """,
        cause="A Python function without return gives None, and what uses the result next complains about NoneType. A "
        "return that is indented into an if or a loop does the same for some inputs.",
        cure="End forward with return, on every path.",
        cured="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(2, 1)

                def forward(self, x):
                    return self.layer(x)

            net = nn.Sequential(Net(), nn.Linear(1, 1))
            y = net(torch.ones(1, 2))
            print(y.shape)
        """,
        fragments=("argument 'input' (position 1) must be Tensor, not NoneType",),
        vague=(
            Vague("'NoneType' object has no attribute '<size|dim|view>'", alone=False),
            Vague("'NoneType' object has no attribute 'backward'"),
        ),
        symptoms=("output none", "model none", "forward none", "模型 輸出 none", "模型 输出 none"),
        related=("grad-none", "forward-missing"),
        in_training="The first step stops, at the loss or at the next layer.",
        run_finds="gradcli why --run train.py stops at the same error and names the last line of forward, or the "
        "line that called the model.",
    ),
    Mistake(
        "several-outputs",
        "the layer returns a tuple, and only its first part is meant",
        program="""
            net = nn.Sequential(nn.LSTM(2, 3), nn.Linear(3, 1))  # <--
            y = net(torch.ones(4, 1, 2))
        """,
        cause="An RNN returns its outputs and its last state; attention returns its result and the weights; Inception "
        "in training mode and Hugging Face models return several outputs. The next layer, or the loss, needs one "
        "tensor.",
        cure="Unpack it: y, state = lstm(x). In nn.Sequential put the layers into a module with a forward of its own. "
        "Of a Hugging Face model take output.logits or output.last_hidden_state, of a GoogLeNet output.logits.",
        cured="""
            lstm, head = nn.LSTM(2, 3), nn.Linear(3, 1)
            y, state = lstm(torch.ones(4, 1, 2))
            print(head(y).shape)
        """,
        fragments=("argument 'input' (position 1) must be Tensor, not <tuple|list>",),
        vague=(
            Vague(
                "'<tuple|list>' object has no attribute '<backward|log_softmax|detach|requires_grad>'"
            ),
            Vague(
                "'tuple' object has no attribute '<sum|size|shape|dim|view|mean|float|squeeze|cpu>'",
                alone=False,
            ),
        ),
        related=("rnn-sizes", "forward-returns-none"),
        in_training="The first step stops, behind the RNN or at the loss. A list of losses has no backward() either: "
        "add them up, sum(losses).backward().",
        run_finds="gradcli why --run train.py stops at the same error and names the line that used the tuple.",
    ),
    Mistake(
        "parameter-assigned",
        "a plain tensor was assigned to a parameter",
        program="""
            layer = nn.Linear(2, 1)
            layer.weight = torch.ones(1, 2)  # <--
        """,
        cause="layer.weight is registered as a parameter, so that optimizers find it, and a plain tensor is none. "
        "layer.weight = layer.weight * mask or - lr * grad is refused for the same reason.",
        cure="Change its values: with torch.no_grad(): layer.weight.copy_(values). Or assign a new parameter, "
        "nn.Parameter(values), before the optimizer is made. For a weight that is computed in each step use "
        "F.linear(x, weight) or torch.func.functional_call.",
        cured="""
            layer = nn.Linear(2, 1)
            with torch.no_grad():
                layer.weight.copy_(torch.ones(1, 2))
            print(layer.weight.detach())
        """,
        fragments=(
            "as parameter 'weight' (torch.nn.Parameter or None expected)",
            "cannot assign '<torch.FloatTensor|torch.cuda.FloatTensor|Tensor>' as parameter",
            "Cannot assign non-leaf Tensor to parameter",
        ),
        related=("reassigned-leaf", "parameter-copy", "inplace-leaf"),
        in_training="The program stops where weights are set by hand: an initialisation, pruning, an EMA, MAML.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the assignment.",
    ),
    Mistake(
        "load-sizes",
        "the saved weights have other shapes than the model",
        program="""
            saved = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1000)).state_dict()
            net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 10))
            net.load_state_dict(saved)  # <--
        """,
        cause="The weights were saved from a model with 1000 outputs, and this one has 10: another number of classes, "
        "another vocabulary or hidden size, or another version of the model. strict=False skips names that are "
        "missing, and not shapes that differ.",
        cure="Make the model as it was saved, load, and then replace the layer: model.fc = nn.Linear(512, 10). Or "
        "leave those weights out. A Hugging Face model has ignore_mismatched_sizes=True.",
        cured="""
            saved = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1000)).state_dict()
            net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 10))
            own = net.state_dict()
            fitting = {name: value for name, value in saved.items() if value.shape == own[name].shape}
            net.load_state_dict(fitting, strict=False)
            print(len(fitting))
        """,
        fragments=(
            "copying a param with shape ... from checkpoint, the shape in current model is",
            "While copying the parameter named ..., whose dimensions in the model are",
        ),
        related=("load-names", "shape-mismatch"),
        in_training="The program stops before the first step, where it loads a checkpoint.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of load_state_dict.",
    ),
    Mistake(
        "load-names",
        "the saved weights have other names than the model",
        program="""
            net = nn.Linear(2, 1)
            saved = {"module." + name: value for name, value in net.state_dict().items()}
            net.load_state_dict(saved)  # <--
        """,
        cause="DataParallel and DistributedDataParallel put module. before each name, torch.compile puts _orig_mod., "
        "and Lightning model. Or the file holds more than the weights, such as {'state_dict': ..., 'epoch': 3}, or "
        "the model has changed.",
        cure="Save model.module.state_dict(), or remove the prefix as below. Take the weights out of a larger file: "
        "saved['state_dict']. strict=False hides the error and leaves the layers that were not found random: look at "
        "what load_state_dict returns.",
        cured="""
            net = nn.Linear(2, 1)
            saved = {"module." + name: value for name, value in net.state_dict().items()}
            print(net.load_state_dict({name.removeprefix("module."): saved[name] for name in saved}))
        """,
        fragments=(
            "Missing key(s) in state_dict",
            "Unexpected key(s) in state_dict",
            "unexpected key ... in state_dict",
        ),
        symptoms=("load state_dict missing", "missing keys state_dict"),
        related=("load-sizes",),
        in_training="The program stops where it loads a checkpoint; with strict=False it goes on with random weights, "
        "and the loss starts as high as without the checkpoint.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of load_state_dict.",
    ),
    Mistake(
        "hook-and-inplace",
        "a backward hook, and the module's input or output is changed in place",
        program="""
            layer = nn.Linear(2, 2)
            layer.register_full_backward_hook(lambda module, grad_input, grad_output: None)  # <--
            y = layer(torch.ones(1, 2, requires_grad=True))
            y += 1
        """,
        cause="With a full backward hook the outputs of a module pass through a function that watches their "
        "gradients, and what comes out are views that cannot be written to. nn.ReLU(inplace=True) after the layer, "
        "as in ResNet and VGG, and x += shortcut do just that.",
        cure="Switch the in-place versions off: for m in model.modules(): if isinstance(m, nn.ReLU): m.inplace = "
        "False; and write y = y + 1. For one activation, a tensor hook needs no such change: y.register_hook(...).",
        cured="""
            layer = nn.Linear(2, 2)
            layer.register_full_backward_hook(lambda module, grad_input, grad_output: None)
            y = layer(torch.ones(1, 2, requires_grad=True))
            y = y + 1
            y.sum().backward()
            print(layer.bias.grad)
        """,
        fragments=(
            "Output 0 of <BackwardHookFunction|BackwardHookFunctionBackward> is a view and is being modified inplace",
            "This view was created inside a custom Function (or because an input was returned as-is)",
        ),
        symptoms=("backward hook inplace",),
        related=("inplace-view", "inplace-saved", "hook-on-constant"),
        in_training="The forward pass stops once hooks are registered: Grad-CAM, SHAP, a profiler. Without them the "
        "model trains.",
        run_finds="gradcli why --run train.py names this entry and the line of the in-place write.",
    ),
    Mistake(
        "vmap-escaped",
        "a tensor left the function that vmap runs",
        program="""
            kept = []

            def square(x):
                kept.append(x)  # <--
                return x ** 2

            y = torch.func.vmap(square)(torch.ones(2))
            print(kept[0] + 1)
        """,
        cause="Inside vmap x stands for all samples at once, and it has a meaning only there. In a list, a global "
        "variable or an attribute it is an empty shell afterwards. grad and jacrev of torch.func have the same rule.",
        cure="Return what you need outside: vmap gives back one row for each sample. For grad use has_aux=True.",
        cured="""
            def square(x):
                return x ** 2, x

            y, kept = torch.func.vmap(square)(torch.ones(2))
            print(kept + 1)
        """,
        fragments=("your tensor may have escaped from inside a function being vmapped",),
        related=("vmap-inplace", "vmap-item"),
        in_training="Code for per-sample gradients stops where a module stored an activation or a loss in itself.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that used the tensor.",
    ),
    Mistake(
        "half-on-cpu",
        "an operation has no version for this dtype on this device",
        program="""
            A = torch.eye(2, dtype=torch.float16)  # <--
            inverse = torch.linalg.inv(A)
        """,
        cause="Half precision is made for GPUs: on the CPU many operations have no float16 version, and linear algebra "
        "has none on either. A model that was saved or converted for a GPU, or .half() in the code, brings it "
        "along. Apple's GPUs (mps) lack other operations.",
        cure="Use float32 on the CPU: model.float(), or load with torch_dtype=torch.float32; bfloat16 works in more "
        "operations. For a single one convert there and back: torch.linalg.inv(A.float()).half(). For mps, set "
        "PYTORCH_ENABLE_MPS_FALLBACK=1, which runs what is missing on the CPU.",
        cured="""
            A = torch.eye(2, dtype=torch.float16)
            inverse = torch.linalg.inv(A.float()).half()
            print(inverse)
        """,
        fragments=(
            "not implemented for 'Half'",
            "not implemented for 'BFloat16'",
            "Low precision dtypes not supported. Got Half",
            "is not currently implemented for the MPS device",
        ),
        related=("dtype-mix", "integer-mean", "scaler-half"),
        in_training="The first forward pass on a machine without a GPU stops, with a program that ran on one.",
        run_finds="gradcli why --run train.py names this entry and the line of the operation.",
    ),
    Mistake(
        "eval-forgotten",
        "dropout and batch normalisation are still in training mode",
        program="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(2, 64), nn.Dropout(0.5), nn.Linear(64, 1))
            x = torch.ones(1, 2)
            with torch.no_grad():
                print(torch.equal(net(x), net(x)))  # <--
        """,
        cause="no_grad() only switches recording off. Dropout goes on leaving out units at random, and BatchNorm goes on "
        "using the statistics of the batch, and updates its running ones with the test data, until model.eval() is "
        "called.",
        cure="Call model.eval() before validation and prediction, and model.train() before training goes on: at the "
        "beginning of each epoch, because validation has switched it off.",
        cured="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(2, 64), nn.Dropout(0.5), nn.Linear(64, 1))
            x = torch.ones(1, 2)
            net.eval()
            with torch.no_grad():
                print(torch.equal(net(x), net(x)))
        """,
        symptoms=(
            "predictions differ",
            "different predictions",
            "different results same input",
            "eval mode",
            "validation random",
            "預測 每次 不同",
            "预测 每次 不同",
        ),
        related=("train-forgotten", "batchnorm-one", "no-grad-block"),
        in_training="Validation accuracy changes from run to run with the same weights, depends on the batch size, and "
        "is lower than it should be.",
        run_finds="gradcli why --run does not look for this: a network in training mode under no_grad can be meant, "
        "as in Monte Carlo dropout. Print model.training.",
    ),
    Mistake(
        "train-forgotten",
        "after model.eval() training goes on without dropout",
        program="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1))
            for epoch in range(2):
                net(torch.ones(1, 2)).sum().backward()  # <--
                net.eval()
                print(net[0].training)
        """,
        cause="eval() stays in force until train() is called, and the second epoch does not call it: dropout passes "
        "everything on, and BatchNorm no longer updates its running statistics.",
        cure="Call model.train() at the beginning of each epoch, inside the loop.",
        cured="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1))
            for epoch in range(2):
                net.train()
                print(net[0].training)
                net(torch.ones(1, 2)).sum().backward()
                net.eval()
        """,
        symptoms=("overfits dropout", "dropout effect", "dropout 沒有 效果", "dropout 没有 效果"),
        related=("eval-forgotten", "cudnn-eval"),
        in_training="The first epoch is unlike the others: from the second on the training loss is lower and the model "
        "overfits. With an RNN on a GPU, backward() stops.",
        run_finds="gradcli why --run does not look for this: fine-tuning with BatchNorm in evaluation mode is "
        "common and right. Print model.training.",
    ),
    Mistake(
        "forward-arguments",
        "forward is called with other arguments than it has",
        program="""
            loss_of = nn.MSELoss()
            prediction = torch.ones(2)
            loss = loss_of(prediction)  # <--
        """,
        cause="What is passed to a module is passed to its forward. A loss needs the prediction and the target; a layer "
        "of your own needs what its forward names after self. The count in the message includes self, so a forward "
        "without x 'takes 1 positional argument but 2 were given'. nn.Sequential passes one value from layer to layer.",
        cure="Pass what forward names, or give forward the missing parameter: def forward(self, x).",
        cured="""
            loss_of = nn.MSELoss()
            prediction = torch.ones(2)
            loss = loss_of(prediction, torch.zeros(2))
            print(loss)
        """,
        vague=(
            Vague("forward() missing 1 required positional argument"),
            Vague("forward() missing 2 required positional arguments"),
            Vague("forward() takes 1 positional argument but"),
            Vague("forward() takes 2 positional arguments but"),
            Vague("forward() takes from 1 to 2 positional arguments but"),
            Vague("forward() got an unexpected keyword argument"),
        ),
        related=("forward-missing", "several-outputs"),
        in_training="The first forward pass stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the call.",
    ),
    Mistake(
        "attention-sizes",
        "an attention layer whose sizes do not fit together",
        program="""
            attention = nn.MultiheadAttention(10, num_heads=4)  # <--
        """,
        cause="The features are divided among the heads, so embed_dim is a multiple of num_heads. The mask has a row for each "
        "query and a column for each key; without batch_first=True the first dimension of the input is its length, not "
        "the batch.",
        cure="Choose embed_dim = num_heads * features of a head, make the mask from the length of the input, and pass "
        "batch_first=True for inputs of shape [batch, length, features].",
        cured="""
            attention = nn.MultiheadAttention(12, num_heads=4, batch_first=True)
            x = torch.ones(2, 5, 12)
            mask = torch.ones(5, 5).triu(1).bool()
            print(attention(x, x, x, attn_mask=mask)[0].shape)
        """,
        fragments=(
            "embed_dim must be divisible by num_heads",
            "The shape of the <2D|3D> attn_mask is",
            "was expecting embedding dimension of",
        ),
        symptoms=("multiheadattention shape", "attn_mask shape"),
        related=("rnn-sizes", "shape-mismatch"),
        in_training="The program stops where the model is made, or at the first forward pass.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of the layer or of its call.",
    ),
)
