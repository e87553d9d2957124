"""Mistakes of the update: what the optimizer has, when it moves, and what it is given."""

from gradcli.catalogue.mistakes.entry import Mistake, Vague

UPDATES = (
    Mistake(
        "never-updated",
        "nothing moves the weights: step() is missing, or not called",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            for step in range(3):
                optimizer.zero_grad()
                (w ** 2).backward()
                optimizer.step  # <--
                print(w.detach())
        """,
        cause="backward() only computes gradients; optimizer.step() moves the weights. Without parentheses the line "
        "names the method and does not call it, which Python allows. p = p - lr * p.grad in a loop over parameters "
        "does not move them either: it gives the name p to a new tensor, and the model keeps the old one.",
        cure="Call optimizer.step() once for each update, after backward(). In an update of your own, change the "
        "parameter in place: p -= lr * p.grad inside torch.no_grad(). To check, keep a copy of one weight, "
        "w.detach().clone(), and compare it after a step.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            for step in range(3):
                optimizer.zero_grad()
                (w ** 2).backward()
                optimizer.step()
                print(w.detach())
        """,
        symptoms=(
            "loss not decrease",
            "loss not change",
            "not converge",
            "accuracy not learn",
            "accuracy not change",
            "loss constant",
            "loss stuck",
            "weights not change",
            "weights not update",
            "parameters not update",
            "not learn",
            "loss 不 下降",
            "loss 不變",
            "loss 不变",
            "權重 不 更新",
            "权重 不 更新",
            "參數 不 更新",
            "参数 不 更新",
        ),
        related=("not-in-optimizer", "zeroed-before-step", "frozen", "learning-rate"),
        in_training="The loss of the same batch is the same number in every epoch, while losses of different batches "
        "go up and down without a trend. Gradients look healthy if you print them.",
        run_finds="gradcli why --run train.py names the line that should have moved the parameters, or the "
        "backward() that no step() follows, if gradients came twice or more and nothing moved; and the step() that "
        "never finds a gradient.",
    ),
    Mistake(
        "zeroed-before-step",
        "the gradients are cleared between backward and step",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            for step in range(3):
                (w ** 2).backward()
                optimizer.zero_grad()  # <--
                optimizer.step()
                print(w.detach())
        """,
        cause="step() reads p.grad, and zero_grad() has just set it to None, so step() skips every parameter. With "
        "set_to_none=False it is a gradient of zeros: the same, except that momentum and weight decay go on.",
        cure="Keep the order zero_grad(), backward(), step(), or step() and then zero_grad() at the end of the loop.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            for step in range(3):
                optimizer.zero_grad()
                (w ** 2).backward()
                optimizer.step()
                print(w.detach())
        """,
        symptoms=("grad none step", "梯度 清零 step"),
        related=("never-updated", "accumulate", "grad-none"),
        in_training="The loss does not fall at all, and every p.grad is None after the loop, although backward() ran. "
        "It often comes from moving lines when gradient accumulation is added.",
        run_finds="gradcli why --run train.py names the zero_grad() between backward() and step(), or the step() "
        "that comes before backward(), if all steps found no gradient.",
    ),
    Mistake(
        "not-in-optimizer",
        "the optimizer does not have these parameters",
        program="""
            encoder, head = nn.Linear(2, 2), nn.Linear(2, 1)
            before = encoder.weight.detach().clone()
            optimizer = torch.optim.SGD(head.parameters(), lr=0.1)  # <--
            head(encoder(torch.ones(1, 2))).sum().backward()
            optimizer.step()
            print(torch.equal(encoder.weight, before))
        """,
        cause="An optimizer moves the parameters that it was given when it was made, and nothing else. The encoder "
        "gets gradients, but nobody uses them. The same happens to a layer that is added or replaced later, such as "
        "model.fc = nn.Linear(512, 10) after the optimizer was made.",
        cure="Give it all of them: list(encoder.parameters()) + list(head.parameters()), or the parameters of one "
        "module that holds both. Make the optimizer after the model is complete; a later layer is added with "
        "optimizer.add_param_group({'params': layer.parameters()}).",
        cured="""
            encoder, head = nn.Linear(2, 2), nn.Linear(2, 1)
            before = encoder.weight.detach().clone()
            optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
            head(encoder(torch.ones(1, 2))).sum().backward()
            optimizer.step()
            print(torch.equal(encoder.weight, before))
        """,
        symptoms=(
            "optimizer parameters missing",
            "some weights not update",
            "some parameters not change",
            "部分 參數 不 更新",
            "部分 参数 不 更新",
        ),
        related=("never-updated", "stale-optimizer", "plain-list", "frozen"),
        in_training="The loss falls, but to a worse value than it should: only the last layers learn. The gradients of "
        "the other layers grow without end, because zero_grad() of this optimizer does not clear them.",
        run_finds="gradcli why --run train.py names the line that made the optimizer, and the parameters of the "
        "model that got two gradients or more and are in no optimizer.",
    ),
    Mistake(
        "stale-optimizer",
        "the optimizer holds parameters that the model no longer uses",
        program="""
            net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)  # <--
            net[1] = nn.Linear(2, 1)
            before = net[1].weight.detach().clone()
            net(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            print(torch.equal(net[1].weight, before))
        """,
        cause="The optimizer was made from the old layer's parameters. It still has those, and not the new ones."
        " Loading a whole model, copy.deepcopy(model) and wrapping that rebuilds the parameters do the same.",
        cure="Change the model first: replace layers, load, convert, move it to its device. Then make the optimizer.",
        cured="""
            net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
            net[1] = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            before = net[1].weight.detach().clone()
            net(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            print(torch.equal(net[1].weight, before))
        """,
        symptoms=(
            "new layer not learn",
            "new layer not update",
            "新 層 不 更新",
            "新 层 不 更新",
        ),
        related=("not-in-optimizer", "never-updated"),
        in_training="Typical of fine-tuning: the new head stays as it was initialised, and accuracy stays at chance "
        "or creeps up slowly while the old layers adapt to a random head.",
        run_finds="gradcli why --run train.py names the line that made the optimizer, as not-in-optimizer, and the "
        "parameters of the new layer, once they have got two gradients.",
    ),
    Mistake(
        "plain-list",
        "layers in a plain list and plain tensors are not part of the module",
        program="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = [nn.Linear(2, 2), nn.Linear(2, 1)]  # <--

            print(len(list(Net().parameters())))
        """,
        cause="A module registers what is assigned to it as an attribute: a module, a parameter. It does not look "
        "into lists and dicts, so parameters(), state_dict(), to() and train() all miss these layers. A plain tensor "
        "with requires_grad=True is missed in the same way.",
        cure="Use nn.ModuleList or nn.ModuleDict for layers, nn.ParameterList for parameters, nn.Parameter for a "
        "single weight.",
        cured="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])

            print(len(list(Net().parameters())))
        """,
        symptoms=(
            "list layers parameters",
            "list modules parameters",
            "parameters empty",
            "參數 是 空",
            "参数 是 空",
        ),
        related=("empty-optimizer", "not-in-optimizer"),
        in_training="If all layers are in lists, the optimizer refuses its empty list. If only some are, training "
        "runs, those layers never change, a checkpoint lacks them, and on a GPU they stay on the CPU.",
        run_finds="gradcli why --run train.py names the line that made the list or the tensor, where the optimizer is "
        "empty, or where the model's other parameters are trained and these are not.",
    ),
    Mistake(
        "empty-optimizer",
        "the optimizer got no parameters",
        program="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.w = torch.ones(2, requires_grad=True)  # <--

            optimizer = torch.optim.SGD(Net().parameters(), lr=0.1)
        """,
        cause="parameters() lists nn.Parameter attributes and the parameters of submodules. A plain tensor is neither, "
        "layers in a plain list are not submodules, and a generator such as filter(...) that was used once before "
        "is empty the second time. A filter for requires_grad leaves nothing if all layers are frozen.",
        cure="Assign nn.Parameter(tensor), put layers into nn.ModuleList, and make a list of a generator that you use "
        "twice. print(len(list(model.parameters()))) shows what there is.",
        cured="""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.w = nn.Parameter(torch.ones(2))

            optimizer = torch.optim.SGD(Net().parameters(), lr=0.1)
            print(len(optimizer.param_groups[0]["params"]))
        """,
        fragments=("optimizer got an empty parameter list",),
        symptoms=("optimizer empty",),
        related=("plain-list", "frozen", "optimizer-argument"),
        in_training="The program stops where the optimizer is made, before the first step. With a frozen backbone, "
        "look at the filter that selects what to train.",
        run_finds="gradcli why --run train.py names the line that made the optimizer, or as plain-list the one that made "
        "a plain list of layers or a plain tensor.",
    ),
    Mistake(
        "optimizer-argument",
        "an optimizer needs parameters, not the model or its state",
        program="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.weight, lr=0.1)  # <--
        """,
        cause="The first argument is a collection of tensors: a list, or what parameters() returns. One tensor is not "
        "a collection. A model, model.parameters without parentheses, and model.state_dict() are refused too; the "
        "last one holds names and copies that have no graph.",
        cure="Pass net.parameters(), or a list: [net.weight].",
        cured="""
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD([net.weight], lr=0.1)
            print(len(optimizer.param_groups[0]["params"]))
        """,
        fragments=(
            "params argument given to the optimizer should be an iterable of Tensors or dicts",
            "optimizer can only optimize Tensors, but one of the params is",
        ),
        vague=(
            Vague("'method' object is not iterable", (".parameters", "torch/optim"), alone=False),
            Vague("object is not iterable", ("torch/optim",), alone=False),
        ),
        related=("empty-optimizer", "optimizer-leaf"),
        in_training="The program stops where the optimizer is made, before the first step.",
        run_finds="gradcli why --run train.py names this entry and the line that made the optimizer.",
    ),
    Mistake(
        "duplicate-parameter",
        "a parameter was given to the optimizer twice",
        program="""
            net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
            groups = [{"params": net.parameters()}, {"params": net[1].parameters(), "lr": 0.01}]
            optimizer = torch.optim.SGD(groups, lr=0.1)  # <--
        """,
        cause="Each group has its own learning rate, so a parameter in two groups would be moved twice. The last layer "
        "is in net.parameters() already. With tied weights (decoder.weight = encoder.weight), lists that are added up "
        "hold the shared tensor twice; within one group this is only a warning, and the tensor moves twice.",
        cure="Leave out of the first group what is in the second. For tied weights, use the parameters() of one module "
        "that holds both: it lists a shared tensor once.",
        cured="""
            net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
            groups = [{"params": net[0].parameters()}, {"params": net[1].parameters(), "lr": 0.01}]
            optimizer = torch.optim.SGD(groups, lr=0.1)
            print([len(group["params"]) for group in optimizer.param_groups])
        """,
        fragments=(
            "some parameters appear in more than one parameter group",
            "optimizer contains a parameter group with duplicate parameters",
        ),
        related=("optimizer-argument", "not-in-optimizer"),
        in_training="The program stops where the optimizer is made. As a warning it is easily overlooked: the shared "
        "weights then move at twice the learning rate.",
        run_finds="gradcli why --run train.py names this entry and the line that made the optimizer.",
    ),
    Mistake(
        "optimizer-setting",
        "a setting that the optimizer does not accept",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=-0.1)  # <--
        """,
        cause="An optimizer minimises: it subtracts the learning rate times the gradient, so the learning rate must not be "
        "negative. The betas of Adam are factors from 0 to below 1, and both must have one type: betas=(0, 0.9), as papers "
        "on GANs write them, mixes int and float.",
        cure="To maximise, pass maximize=True, or minimise the negative. Write betas=(0.0, 0.9), and "
        "momentum=0.9 beside nesterov=True.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1, maximize=True)
            (3 * w).backward()
            optimizer.step()
            print(w.detach())
        """,
        fragments=(
            "Invalid learning rate",
            "Invalid beta parameter at index",
            "Invalid <momentum|epsilon|weight_decay|rho|alpha> value",
            "betas must be either both floats or both Tensors",
            "Nesterov momentum requires a momentum and zero dampening",
        ),
        symptoms=("gradient ascent", "negative learning rate", "梯度 上升"),
        related=("optimizer-argument", "learning-rate"),
        in_training="The program stops where the optimizer is made, before the first step.",
        run_finds="gradcli why --run train.py names this entry and the line that made the optimizer.",
    ),
    Mistake(
        "closure-missing",
        "LBFGS is stepped without a closure",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.LBFGS([w])
            loss = (w - 3) ** 2
            loss.backward()
            optimizer.step()  # <--
        """,
        cause="LBFGS evaluates the loss several times in one step, so it needs a function that clears the gradients, "
        "computes the loss again, calls backward() and returns the loss.",
        cure="Put these lines into a function and pass it: optimizer.step(closure).",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.LBFGS([w])

            def closure():
                optimizer.zero_grad()
                loss = (w - 3) ** 2
                loss.backward()
                return loss

            for step in range(3):
                optimizer.step(closure)
            print(round(w.item(), 3))
        """,
        fragments=("step() missing 1 required positional argument: 'closure'",),
        symptoms=("lbfgs closure",),
        related=("never-updated", "backward-twice"),
        in_training="The first step stops.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of step().",
    ),
    Mistake(
        "resumed-optimizer",
        "the saved state of an optimizer belongs to other parameters",
        program="""
            before = torch.optim.Adam(nn.Linear(2, 1).parameters())
            net = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1))
            optimizer = torch.optim.Adam(net.parameters())
            optimizer.load_state_dict(before.state_dict())  # <--
        """,
        cause="The state, such as Adam's averages, is saved by the place of each parameter, without names. The model that it "
        "is loaded for must have as many parameters in the same groups and order: a layer that was added, frozen or "
        "unfrozen since then changes that.",
        cure="Make the optimizer as it was made before, and load its state before the scheduler continues with last_epoch. "
        "For a changed model start with a new state; a new layer can join later, by optimizer.add_param_group.",
        cured="""
            before = torch.optim.Adam(nn.Linear(2, 1).parameters(), lr=0.5)
            optimizer = torch.optim.Adam(nn.Linear(2, 1).parameters())
            optimizer.load_state_dict(before.state_dict())
            print(optimizer.param_groups[0]["lr"])
        """,
        fragments=(
            "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
            "loaded state dict has a different number of parameter groups",
            "param 'initial_lr' is not specified in param_groups",
        ),
        symptoms=("resume training optimizer", "optimizer state_dict"),
        related=("load-names", "stale-optimizer"),
        in_training="The program stops where it loads a checkpoint, after the weights.",
        run_finds="gradcli why --run train.py stops at the same error and names the line that loads the state.",
    ),
    Mistake(
        "parameter-copy",
        "nn.Parameter(h) makes a new leaf and cuts off how h was computed",
        program="""
            w = torch.tensor(2.0, requires_grad=True)
            scaled = nn.Parameter(w * 3)  # <--
            (scaled ** 2).backward()
            print(w.grad, scaled.grad)
        """,
        cause="A parameter is a leaf: it has no history. nn.Parameter takes the values of w * 3 and forgets the "
        "multiplication, without a warning. Inside forward it also makes new parameters at every call, which no "
        "optimizer has.",
        cure="In forward, use the tensor as it is. Make parameters in __init__, once, from tensors that were not "
        "computed from other weights.",
        cured="""
            w = torch.tensor(2.0, requires_grad=True)
            scaled = w * 3
            (scaled ** 2).backward()
            print(w.grad)
        """,
        symptoms=("nn.parameter grad none", "parameter grad none", "nn.parameter 梯度 none"),
        related=("detached", "tensor-copy", "grad-none"),
        in_training="The layers before the new parameter get no gradient, and the parameter itself starts afresh in "
        "every step: the loss falls only as far as the layers behind it can bring it.",
        run_finds="gradcli why --run train.py names the line with nn.Parameter in a training loop, and the "
        "parameters of the optimizer that get no gradient because of it.",
    ),
    Mistake(
        "zero-init",
        "layers that start at zero stay alike, or get no gradient at all",
        program="""
            net = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))
            for p in net.parameters():
                nn.init.zeros_(p)  # <--
            (net(torch.ones(1, 1)) - 1).pow(2).sum().backward()
            print(net[0].weight.grad)
        """,
        cause="The gradient of the first layer is multiplied by the weights of the second: zero. And with equal "
        "weights all units of a layer compute the same and get the same gradient, so they stay equal forever, as "
        "one unit would.",
        cure="Keep PyTorch's random initialisation of weights; only biases, and the last layer of a residual branch, "
        "may start at zero.",
        cured="""
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))
            (net(torch.ones(1, 1)) - 1).pow(2).sum().backward()
            print(net[0].weight.grad.count_nonzero())
        """,
        symptoms=(
            "zero initialization",
            "zeros initialization",
            "weights zero not learn",
            "權重 初始化 零",
            "权重 初始化 零",
        ),
        related=("saturation", "dead-relu"),
        in_training="Only the bias of the last layer learns: the network predicts the mean of the targets for every "
        "input, and the loss stops at their variance.",
        run_finds="gradcli why --run train.py names the line that set the weights to zero, if their gradient was "
        "exactly 0 in all backward passes, three or more.",
    ),
    Mistake(
        "frozen",
        "the parameters that should be trained are frozen",
        program="""
            net = nn.Linear(2, 1)
            for p in net.parameters():
                p.requires_grad = False  # <--
            net(torch.ones(1, 2)).sum().backward()
        """,
        cause="A frozen parameter is a constant. If all are frozen, the loss has no graph. If some are, there is no "
        "error: those keep grad None and never change. A copied loop that freezes the backbone, or "
        "requires_grad_(False) on the whole model after the new head was added, freezes too much.",
        cure="Freeze first, then add or unfreeze what is to learn: model.fc.requires_grad_(True). This lists what "
        "will be trained: [name for name, p in model.named_parameters() if p.requires_grad].",
        cured="""
            net = nn.Linear(2, 1)
            for p in net.parameters():
                p.requires_grad = False
            net.weight.requires_grad = True
            net(torch.ones(1, 2)).sum().backward()
            print(net.weight.grad)
        """,
        fragments=("element 0 of tensors does not require grad and does not have a grad_fn",),
        symptoms=("frozen layers learn", "parameters frozen", "層 凍結", "参数 冻结"),
        related=("no-grad", "not-in-optimizer", "grad-none"),
        in_training="Typical of fine-tuning: backward() fails in the first step, or training runs and the new head "
        "stays as it was initialised.",
        run_finds="gradcli why --run train.py names the line that froze the parameters, if nothing that the loss is "
        "computed from, or nothing that the optimizer was given, requires a gradient.",
    ),
    Mistake(
        "scheduler-order",
        "the scheduler steps before the optimizer",
        program="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
            (w ** 2).backward()
            scheduler.step()  # <--
            optimizer.step()
            print(w.detach())
        """,
        cause="scheduler.step() sets the learning rate of the next step. Called first, it skips the first value: here "
        "the first update already uses 0.01 instead of 0.1. The warning appears too if GradScaler skipped the first "
        "optimizer.step() because of an inf, and then it can be ignored.",
        cure="Call optimizer.step() and then scheduler.step(): after each batch or after each epoch, as the schedule "
        "is meant.",
        cured="""
            w = torch.tensor(1.0, requires_grad=True)
            optimizer = torch.optim.SGD([w], lr=0.1)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
            (w ** 2).backward()
            optimizer.step()
            scheduler.step()
            print(w.detach())
        """,
        fragments=(
            "Detected call of lr_scheduler.step() before optimizer.step()",
            "in the opposite order: optimizer.step() before lr_scheduler.step()",
            "Failure to do this will result in PyTorch skipping the first value of the learning rate schedule",
        ),
        related=("learning-rate", "scaler-unused"),
        in_training="Training works, with a schedule that is one step ahead: with StepLR per epoch the whole first "
        "epoch runs at the second rate.",
        run_finds="gradcli why --run train.py names the line of scheduler.step() that ran before the first optimizer.step().",
    ),
    Mistake(
        "sparse-adam",
        "this optimizer cannot use sparse gradients",
        program="""
            words = nn.Embedding(3, 2, sparse=True)  # <--
            optimizer = torch.optim.Adam(words.parameters(), lr=0.1)
            words(torch.tensor([1])).sum().backward()
            optimizer.step()
        """,
        cause="With sparse=True the gradient of an embedding holds only the rows that were looked up. Adam keeps "
        "averages for every row, so it needs all of them, and weight decay does too.",
        cure="Leave sparse=False unless the table is huge. For a huge one use SGD or SparseAdam for it, and another "
        "optimizer for the other parameters.",
        cured="""
            words = nn.Embedding(3, 2, sparse=True)
            optimizer = torch.optim.SparseAdam(words.parameters(), lr=0.1)
            before = words.weight.detach().clone()
            words(torch.tensor([1])).sum().backward()
            optimizer.step()
            print((words.weight.detach() - before).sum(dim=1))
        """,
        fragments=(
            "does not support sparse gradients",
            "weight_decay option is not compatible with sparse gradients",
        ),
        related=("index-range",),
        in_training="The first optimizer.step() fails; forward and backward work.",
        run_finds="gradcli why --run train.py stops at the same error and names the line of step().",
    ),
)
