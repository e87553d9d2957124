"""Faults between a gradient and the move that it should lead to: a gradient that is used twice,
parameters that nothing moves, and parameters that no gradient reaches.
"""

import weakref
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.detectors import training_lines
from gradcli.watch.detectors.followed import Given, State, state_of
from gradcli.watch.finding import Finding, Place, also_at
from gradcli.watch.live_modules import Modules
from gradcli.watch.record import Cut, leaves_of, parameters_of, storage_of
from gradcli.watch.torch_functions import FACTORIES, REENTRANT, UNRECORDED

_COMPARISONS = frozenset(["__eq__", "__ne__", "eq", "gt", "ge", "lt", "le", "isfinite", "isnan"])
_MOST = 20_000
"""How many leaves are followed."""


@dataclass(slots=True, eq=False)
class _Leaf:
    """A tensor that backward passes give a gradient to."""

    ref: weakref.ref[Tensor]
    key: int
    shape: tuple[int, ...]
    parameter: bool
    passes: int = 0
    first: int = 0
    """The number of the backward pass that first reached it, among those that filled a grad."""
    last: int = 0
    """The number of the one that last did."""
    place: Place | None = None
    """Where its last backward pass was."""
    asked: int = 0
    """How often torch.autograd.grad computed its gradient, or that of something made of it."""
    moved: bool = False
    """Whether it was written to, by anything but load_state_dict."""
    loaded: bool = False
    """Whether load_state_dict wrote to it."""
    read: bool = False
    """Whether its grad was read since the last backward pass."""
    taken: bool = False
    """Whether its grad was ever read, or it has a hook."""
    idle: bool = False
    """Whether the gradients of a plain tensor were all 0."""
    held: State | None = None
    """Its grad, and the version of that, after the last backward pass."""
    used: State | None = None
    """The same when it was last moved by it."""
    stale: bool = False
    """Whether its grad holds what an earlier move has used."""
    reused: int = 0
    step: Place | None = None
    """Where it was first moved by such a gradient."""


class Updates(Detector):
    """Follows each parameter from its gradient to its move."""

    functions = frozenset([".grad"])

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._leaves: dict[int, _Leaf] = {}
        self._storages: dict[int, _Leaf] = {}
        self._grads: dict[int, _Leaf] = {}
        """The leaves by the storage of their grads."""
        self._optimizers: dict[int, Given] = {}
        self._reached: list[_Leaf] = []
        self._passes = 0
        self._last: Place | None = None
        self._losses: dict[Place | None, None] = {}
        """Where the losses were computed."""
        self._zeroed: Place | None = None
        """Where gradients were zeroed after the last backward pass, before a step."""
        self._pending = False
        """Whether a backward pass was not followed by a step yet."""
        self._modules: Modules | None = None
        self._restarts: dict[int, tuple[Cut, Place | None]] = {}
        """By the id of the place where a value lost its graph of which a leaf was made, so that
        backward ends there: this cut, and where the leaf was made, if that is another line.
        """
        self._began = 0
        """When the first backward pass began."""

    # --- backward passes --------------------------------------------------------------------------

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """See which gradients are still those that a move has used."""
        self._reached = []
        self._began = self._began or self.watcher.record.tick
        seen: set[int] = set()
        for root in roots:
            for tensor in leaves_of(root):
                if id(tensor) not in seen and (leaf := self._leaf(tensor)) is not None:
                    seen.add(id(tensor))
                    self._reached.append(leaf)
                    if not leaf.parameter and leaf.passes == 0:
                        self._restarted(tensor, tensor is root)
                    state = state_of(tensor)
                    kept = leaf.stale and state == leaf.held
                    leaf.stale = state is not None and (kept or state == leaf.used)
                    leaf.held = state

    def _leaf(self, tensor: Tensor) -> _Leaf | None:
        leaf = self._leaves.get(id(tensor))
        if leaf is None or leaf.ref() is not tensor:
            if len(self._leaves) >= _MOST:
                return None
            ref, parameter = weakref.ref(tensor), isinstance(tensor, nn.Parameter)
            leaf = _Leaf(ref, id(tensor), tuple(tensor.shape), parameter, idle=not parameter)
            self._leaves[id(tensor)] = leaf
        if storage := storage_of(tensor):
            self._storages[storage] = leaf
        return leaf

    def _restarted(self, tensor: Tensor, is_root: bool) -> None:
        """Remember where a leaf was made of a value that had a graph."""
        made, record = self.watcher.origin(tensor), self.watcher.record
        place = None
        if made is None:  # Variable() is not watched
            cuts = [cut for cut in record.cuts.values() if cut.shape == tuple(tensor.shape)]
            cut = max(cuts, key=lambda each: each.tick, default=None)
        elif is_root and made.flag and made.parents:
            return  # the flag was set on the loss itself, which another detector reports
        elif (cut := made.cut) is None:
            owned, place = self._owned.keys(), made.place
            exits = self._exits(owned) if made.name in FACTORIES else []
            cut = record.source(made, owned) or next(reversed(exits), None)
        if cut is not None and len(self._restarts) < _MOST:
            self._restarts.setdefault(id(cut.place), (cut, place))

    @property
    def _owned(self) -> dict[int, tuple[int, ...]]:
        """The shapes of the parameters of all optimizers, by id."""
        return {k: shape for it in self._optimizers.values() for k, shape in it.shapes.items()}

    @property
    def _filled(self) -> set[int]:
        """The ids of the leaves that a gradient has reached."""
        return {leaf.key for leaf in self._leaves.values() if leaf.passes}

    def _exits(self, leaves: Set[int]) -> list[Cut]:
        """The cuts of numbers and arrays, computed from some of these leaves, that left the graph
        before the first backward pass as well as later, and not only to be printed.
        """
        return [
            cut
            for place, cut in self.watcher.record.exits.values()
            if cut.leaves & leaves
            and cut.kind in ("item-breaks", "scalar-of-grad", "numpy-on-grad", "detached")
            and place.first < self._began
            and (self._passes < 2 or self._began < place.last)
            and not training_lines.discards(place)
        ]

    def after_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """See which gradients have changed."""
        filled = False
        asked = {id(leaf) for each in inputs for leaf in leaves_of(each)}
        for leaf in self._reached:
            tensor = leaf.ref()
            state = state_of(tensor) if tensor is not None else None
            leaf.asked += leaf.key in asked
            if state is not None and state != leaf.held:
                filled = True
                leaf.passes += 1
                leaf.last = self._passes + 1
                leaf.first = leaf.first or leaf.last
                leaf.place = place
                leaf.read = False
                leaf.held = state
                assert tensor is not None
                assert tensor.grad is not None
                if not leaf.parameter:
                    leaf.idle = leaf.idle and not tensor.grad.any()
                    hooks = tensor._backward_hooks or tensor._post_accumulate_grad_hooks
                    leaf.taken = leaf.taken or bool(hooks)
                if storage := storage_of(tensor.grad):
                    if len(self._grads) > _MOST:
                        self._grads.clear()
                    self._grads[storage] = leaf
        self._reached = []
        if filled:
            self._losses |= {made.place: None for it in roots if (made := self.watcher.origin(it))}
            self._passes += 1
            self._last, self._zeroed, self._pending = place, None, True

    # --- moves ------------------------------------------------------------------------------------

    def called(self, call: Call) -> None:
        """A grad was read."""
        leaf = self._leaves.get(id(call.args[0]))
        if leaf is not None:
            leaf.read = leaf.taken = True

    def wrote(self, tensor: Tensor, name: str, before: int, place: Place | None) -> None:
        """A tensor was written to: a move if it is a parameter, and its grad was read before."""
        storage = storage_of(tensor)
        if (of := self._grads.get(storage)) is not None and (owner := of.ref()) is not None:
            grad = owner.grad
            if grad is not None and storage_of(grad) == storage:
                of.used = None  # a grad that was scaled by hand is not the one that was used
                of.stale = of.stale and bool(grad.any())
        leaf = self._leaves.get(id(tensor)) or self._storages.get(storage)
        owner = leaf.ref() if leaf is not None else None
        if leaf is None or owner is None:
            return
        if owner is not tensor and storage_of(owner) != storage:
            return
        if place is not None and ".load_state_dict(" in place.text:
            leaf.loaded = True
        else:
            leaf.moved = True
        if leaf.read:
            self._check(leaf, owner, place)
            leaf.used = state_of(owner)

    def _check(self, leaf: _Leaf, tensor: Tensor, place: Place | None) -> None:
        """A move is about to use the grad of a leaf."""
        state = state_of(tensor)
        if leaf.stale and state is not None and leaf.held and state[0] == leaf.held[0]:
            assert tensor.grad is not None
            if state == leaf.held or bool(tensor.grad.count_nonzero()):
                leaf.reused += 1
                leaf.step = leaf.step or place
        leaf.stale = False

    def given(self, optimizer: Optimizer, place: Place | None) -> None:
        """An optimizer has new parameters."""
        given = self._optimizers.get(id(optimizer))
        if given is None or given.ref() is not optimizer:
            given = self._optimizers[id(optimizer)] = Given(weakref.ref(optimizer), place)
        for parameter in optimizer.param_groups[-1]["params"]:
            given.shapes[id(parameter)] = tuple(parameter.shape)

    def stepping(self, optimizer: Optimizer, place: Place | None) -> None:
        """An optimizer is about to move its parameters."""
        given = self._optimizers.get(id(optimizer))
        some = fresh = False
        for parameter in parameters_of(optimizer):
            if parameter.grad is not None:
                leaf = self._leaves.get(id(parameter))
                if leaf is not None and leaf.ref() is parameter:
                    fresh = fresh or leaf.used != state_of(parameter)
                    self._check(leaf, parameter, place)
                else:
                    fresh = True  # it was set by hand
                some = some or self._zeroed is None or bool(parameter.grad.count_nonzero())
        if given is not None:
            given.steps += 1
            if given.steps <= 2:
                given.trained = {id(it) for it in parameters_of(optimizer) if it.requires_grad}
            if any(group.get("initial_lr") for group in optimizer.param_groups):
                given.step = place
            given.still += all(not group.get("lr", 1) for group in optimizer.param_groups)
            if not some:
                given.empty += 1
                made = map(self.watcher.origin, parameters_of(optimizer))
                if type(optimizer).__module__.startswith("torch.optim"):  # others need no gradient
                    given.wasted += any(it is not None and it.used > given.tick for it in made)
                cuts = (cut for cut in self._cuts() if cut.leaves & given.trained)
                cuts = (cut for cut in cuts if cut.name not in _COMPARISONS)
                given.cut = max(cuts, key=lambda cut: cut.tick, default=None)
                if not self._passes:
                    given.zeroed += 1
                    given.first = given.first or place
                elif self._zeroed is not None and self._pending:
                    given.zeroed += 1
                    given.zeroed_at = place if place is given.first else self._zeroed
            given.tick = self.watcher.record.tick
            given.idle = 0 if some and fresh else given.idle + (given.fresh < self._passes)
            if some and fresh:
                given.fresh = self._passes
            if given.steps == 2 and self._modules is None:
                self._modules = Modules()
            elif given.idle == 2 and self._modules is not None:
                self._modules.names |= Modules().names  # a model in place of the first one

    def stepped(self, optimizer: Optimizer, place: Place | None) -> None:
        """An optimizer has moved its parameters."""
        given = self._optimizers.get(id(optimizer))
        still = all(not group.get("lr", 1) for group in optimizer.param_groups)
        writes, tick = self.watcher.record.writes, self.watcher.record.tick
        if given is not None and writes and writes[-1].stepped and writes[-1].tick == tick:
            given.wrote = True
        for parameter in parameters_of(optimizer):
            leaf = self._leaves.get(id(parameter))
            if leaf is not None and parameter.grad is not None:
                leaf.used = state_of(parameter)
                leaf.moved = leaf.moved or not (still or (given and given.empty == given.steps))
        self._pending = False

    def zeroed(self, owner: Optimizer | nn.Module, place: Place | None) -> None:
        """Gradients were set to zero or None."""
        if (given := self._optimizers.get(id(owner))) is not None:
            given.cleared += 1
        if self._zeroed is None:
            self._zeroed = place

    # --- what follows from it ---------------------------------------------------------------------

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """All that was found."""
        yield from self._reused()
        if error is not None:
            return
        if self._leaves and (place := training_lines.misspelt(self.watcher.places)) is not None:
            text = "this makes a new attribute: the flag is requires_grad, and is still False"
            yield Finding("flag-typo", place, text)
        if not self._optimizers:
            yield from self._rebound_leaves()
        found: list[Finding] = []
        if self._passes >= 2:
            modules = self._modules or Modules()
            found = [*self._unreached(modules)] or [*self._unmoved()] or [*self._left(modules)]
        yield from found or (self._wasted() if self._optimizers else self._never_filled())

    def _reused(self) -> Iterator[Finding]:
        reused = [leaf for leaf in self._leaves.values() if leaf.reused and leaf.step]
        for place in dict.fromkeys(leaf.step for leaf in reused):
            assert place
            here = [leaf for leaf in reused if leaf.step is place]
            times = max(leaf.reused for leaf in here)
            names = self._named(leaf.key for leaf in here)
            also = also_at(here[0].place, "each backward pass adds to the old gradient")
            text = (
                f"{names} {'is' if len(here) == 1 else 'are'} moved by a gradient that still holds "
                f"what an earlier move has used ({times} {'time' if times == 1 else 'times'}): it "
                "was not set to zero in between"
            )
            yield Finding("accumulate", place, text, also)

    def _unmoved(self) -> Iterator[Finding]:
        """Nothing moves at all, although gradients arrive."""
        trained = [leaf for leaf in self._leaves.values() if leaf.passes >= 2]
        if not trained or any(leaf.moved for leaf in trained):
            yield from self._unstepped(trained)
            return
        keys = {leaf.key for leaf in trained}
        passes = max(leaf.passes for leaf in trained)
        said = f"gradients came {passes} times, but nothing moved"
        for given in self._optimizers.values():
            if given.place is None:
                continue
            mine = keys & given.shapes.keys()
            if given.steps == 0 and mine:
                named = training_lines.without_call(self.watcher.places, "step")
                place = named or self._last or given.place
                text = f"{said}: the optimizer's step() was never called"
                yield Finding("never-updated", place, text, also_at(given.place, "it is made here"))
            elif given.steps and given.steps == given.zeroed and given.zeroed_at:
                text = "the gradients are set to zero after backward() and before step(), so all "
                if given.zeroed_at is given.first:
                    text = "this comes before backward(), and just after zero_grad(): all "
                text = f"{text}{given.steps} steps found no gradient"
                yield Finding("zeroed-before-step", given.zeroed_at, text)
            elif given.steps and given.steps == given.still and mine:
                text = f"{said}: the learning rate was 0 in all {given.steps} steps"
                text += ", as its scheduler set it" if given.step else ""
                yield Finding("never-updated", given.step or given.place, text)
            elif given.steps >= 2 and given.steps == given.empty and not keys & self._owned.keys():
                text = f"{said}: none of the {passes} gradients is of this optimizer's parameters"
                if all(leaf.parameter for leaf in trained):
                    yield from self._not_owned(trained, given)
                else:
                    yield Finding("never-updated", given.place, text)

    def _unstepped(self, trained: Iterable[_Leaf]) -> Iterator[Finding]:
        """An optimizer that is cleared and never stepped, although others are. One that the source
        steps in a line that did not run is for later, or only at times.
        """
        for given in self._optimizers.values():
            mine = [leaf for leaf in trained if leaf.key in given.shapes]
            if (
                given.steps == 0
                and given.cleared >= 2
                and mine
                and (place := mine[-1].place)
                and not any(leaf.moved for leaf in mine)
                and training_lines.never_stepped(self.watcher.places, given.place)
            ):
                names = self._named(leaf.key for leaf in mine)
                text = f"{names} got {mine[0].passes} gradients, but nothing steps their optimizer"
                also = also_at(given.place, "it is made here")
                yield Finding("never-updated", place, text, also)

    def _wasted(self) -> Iterator[Finding]:
        """Optimizers that never find a gradient, although graphs are recorded of their parameters."""
        spared = self._modules.spared(self._filled) if self._modules and self._passes else set()
        for given in self._optimizers.values():
            leaves = [self._leaves[key] for key in given.shapes.keys() & self._leaves.keys()]
            moved = any(leaf.passes or leaf.moved for leaf in leaves)
            if given.wasted < 2 or moved or not given.unused or given.shapes.keys() <= spared:
                continue
            place, entry = given.first or given.place, "never-updated"
            text = f"all {given.steps} steps found no gradient: "
            if not self.watcher.record.backward_passes:
                place = training_lines.without_call(self.watcher.places, "backward") or place
                text += "no backward pass computed one"
            elif any(leaf.asked for leaf in leaves):
                text += "torch.autograd.grad returns the gradients and does not fill grad, as backward() does"
            else:
                entry, losses = "grad-none", [*self._losses]
                place = losses[0] if len(losses) == 1 else given.place
                text = (
                    f"no gradient ever reached {self._named(given.shapes)}, all that this optimizer "
                    "has: the graph of the loss does not lead there"
                )
            if place is not None:
                also = also_at(given.place, "the optimizer is made here")
                yield Finding(entry, place, text, also if place is not given.place else ())

    def _never_filled(self) -> Iterator[Finding]:
        """A leaf whose grad the program reads and finds None, because its number left the graph."""
        _, _, about = self.watcher.none_grad or (None, None, {"requires_grad": False})
        if about["requires_grad"] and about["is_leaf"] and self._passes >= 2:
            leaf = self._leaves.get(about["id"])
            for cut in self._exits({about["id"]})[:1] if leaf is None or not leaf.passes else ():
                text = f"the graph is cut here, by {cut.name.lstrip('.')}: a grad that is read stays None"
                assert cut.place is not None
                yield Finding(cut.kind, cut.place, text)

    def _rebound_leaves(self) -> Iterator[Finding]:
        """The move makes a new tensor, and the parameters stay as they were."""
        passes = max((leaf.passes + leaf.asked for leaf in self._leaves.values()), default=0)
        moved = any(leaf.moved for leaf in self._leaves.values())
        if (
            passes >= 2
            and not moved
            and (place := training_lines.rebound(self.watcher.places)) is not None
        ):
            text = (
                f"gradients came {passes} times, but nothing moved: this line binds the name to a "
                "new tensor, and the parameter stays as it was"
            )
            yield Finding("never-updated", place, text)

    def _left(self, modules: Modules) -> Iterator[Finding]:
        """Parameters that get gradients, but belong to no optimizer and are not moved otherwise."""
        active = [
            given
            for given in self._optimizers.values()
            if given.steps > max(1, given.empty) and modules.parameters.keys() & given.shapes.keys()
        ]
        wanted = {it: ref for it, ref in modules.parameters.items() if it not in modules.evaluated}
        owned = self._owned
        followed = [leaf for leaf in self._leaves.values() if leaf.key not in owned]
        unmoved = [it for it in followed if it.passes >= 2 and not (it.moved or it.loaded)]
        left = [
            leaf
            for leaf in unmoved
            # What gets no gradients any more may be a copy that was made for one step.
            if 2 * leaf.last > self._passes
            and (wanted.get(leaf.key) is leaf.ref or self._is_hidden(leaf, modules))
        ]
        if not left or not active:
            yield from self._replaced(unmoved)
            return
        keys = [leaf.key for leaf in left]
        for hidden in modules.hidden_by(keys):
            if (place := training_lines.assigned(self.watcher.places, hidden)) is not None:
                it = "it, because it is not an nn.Parameter"
                text = (
                    f"self.{hidden.attribute} is a plain {hidden.what}: parameters() does not see "
                    f"{it if hidden.what == 'tensor' else 'what is in it'}, so the optimizer never "
                    f"moves {self._named(keys)}"
                )
                yield Finding("plain-list", place, text)
                return
        yield from self._not_owned(left, active[0])

    def _replaced(self, unmoved: Iterable[_Leaf]) -> Iterator[Finding]:
        """Parameters that get gradients in place of those of an optimizer, which is still stepped."""
        for given in self._optimizers.values():
            new = [it for it in unmoved if it.parameter and it.first > given.fresh]
            if new and given.idle >= 2:
                yield from self._not_owned(new, given)
                return

    def _not_owned(self, leaves: Sequence[_Leaf], given: Given) -> Iterator[Finding]:
        if given.place is not None:
            names = self._named(leaf.key for leaf in leaves)
            them = "it" if len(leaves) == 1 else "them"
            text = f"{names} got {leaves[0].passes} gradients, but no optimizer has {them}"
            yield Finding("not-in-optimizer", given.place, text)

    def _is_hidden(self, leaf: _Leaf, modules: Modules) -> bool:
        """Whether a leaf is meant as a parameter: a module's __init__ makes it, and no other use is
        made of its gradient, such as that of an input, which moves nothing either.
        """
        hidden = modules.tensors.get(leaf.key)
        if hidden is None or hidden.ref is not leaf.ref or leaf.idle or leaf.asked or leaf.taken:
            return False
        return training_lines.assigned(self.watcher.places, hidden) is not None

    def _unreached(self, modules: Modules) -> Iterator[Finding]:
        """Parameters of an optimizer that no gradient has ever reached."""
        reached = self._filled
        spared = modules.spared(reached)
        causes: dict[int, tuple[Cut, list[int]]] = {}
        unused: list[int] = []
        where: Place | None = None
        every = list(self._cuts())
        samples = [cut for cut in every if cut.place and ".sample(" in cut.place.text]
        for given in [given for given in self._optimizers.values() if given.steps >= 2]:
            if not reached & given.shapes.keys():
                if given.unused:
                    restarts = list(self._restart_of(given))
                    yield from restarts
                    exits = self._exits(given.trained) if given.wasted >= 2 else []
                    cuts = [] if restarts else [given.cut] if given.cut else exits[:1]
                    causes |= {id(cut.place): (cut, [*given.trained & cut.leaves]) for cut in cuts}
                continue
            # A module that is in evaluation mode while others are trained is frozen on purpose.
            frozen = modules.evaluated if reached & given.shapes.keys() - modules.evaluated else ()
            for key in [key for key in given.shapes if key in given.trained - reached]:
                cuts = [cut for cut in every if key in cut.leaves]
                if not cuts and key not in spared:
                    cuts = self._exits({key})
                if all(cut.name in _COMPARISONS for cut in cuts):
                    cuts = samples or cuts
                if cuts and key in frozen and all(cut.kind in UNRECORDED for cut in cuts):
                    continue
                if cuts:
                    # The first that is not a comparison, such as those that check an argument.
                    cut = min(cuts, key=lambda each: (each.name in _COMPARISONS, each.tick))
                    causes.setdefault(id(cut.place), (cut, []))[1].append(key)
                elif key in modules.parameters and key not in spared:
                    unused.append(key)
                    where = where or given.place
        plain = [each for each in causes.values() if each[0].name not in _COMPARISONS]
        for cut, keys in plain or causes.values():
            yield self._cut_off(keys, cut, "sampled" if cut in samples else cut.kind)
        if unused and where and not causes:
            yield self._unused(unused, where)

    def _cut_off(self, keys: Iterable[int], cut: Cut, kind: str) -> Finding:
        """No gradient ever reached these parameters, because of a cut of that kind."""
        text = f"no gradient ever reached {self._named(keys)}: "
        place = cut.off if cut.off and kind != "sampled" else cut.place
        if kind == "checkpoint-inputs":
            text += REENTRANT
        elif place is not cut.place:
            text += "recording is switched off here"
        else:
            text += f"the graph is cut here, by {cut.name.lstrip('.')}"
        assert place is not None
        also = also_at(cut.place, "computed without a graph")
        return Finding(kind, place, text, () if place is cut.place else also)

    def _unused(self, keys: Iterable[int], made: Place) -> Finding:
        """No gradient ever reached these parameters of an optimizer, and no cut explains it."""
        text = f"no gradient ever reached {self._named(keys)}"
        copies = [leaf for leaf in self._leaves.values() if leaf.parameter and leaf.passes == 1]
        place = training_lines.copied(self.watcher.places) if len(copies) >= 2 else None
        if place is not None:
            text = f"nn.Parameter makes a new leaf of what it is given, without its graph: {text}"
            return Finding("parameter-copy", place, text)
        return Finding("grad-none", made, f"{text}: the graph of the loss does not lead there")

    def _cuts(self) -> Iterator[Cut]:
        """Where the graph was cut on the way to a value that has one, but not those of a grad."""
        record = self.watcher.record
        for key, cut in record.cuts.items():
            if cut.place and key in record.used and not cut.name.startswith(".grad"):
                yield cut

    def _restart_of(self, given: Given) -> Iterator[Finding]:
        """Why no gradient reached any parameter of an optimizer: backward ended at a new leaf."""
        for cut, made in self._restarts.values():
            place = cut.off or cut.place
            if (mine := given.trained & cut.leaves) and place is not None:
                names = self._named(mine)
                text = (
                    f"no gradient ever reached {names}: the graph is cut here, by "
                    f"{cut.name.lstrip('.')}, and backward() ends there"
                )
                also = also_at(made, "here a new leaf is made of it")
                same = made is None or made.address == place.address
                yield Finding(cut.kind, place, text, () if same else also)
                return

    def _named(self, keys: Iterable[int]) -> str:
        """Names of the parameters of these ids, in a sentence."""
        if self._modules is None:
            self._modules = Modules()
        known = self._modules.names
        shapes = self._owned | {key: leaf.shape for key, leaf in self._leaves.items()}
        names = [known.get(key) or f"the tensor of shape {list(shapes[key])}" for key in keys]
        names = list(dict.fromkeys(names))
        shown = names[:3] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
        return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
