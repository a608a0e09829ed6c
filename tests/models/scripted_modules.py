"""Modules that only scripting can express, with their inputs: two examples to export with, others to compare at."""

import enum
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

MODULES: dict[str, tuple[type, list[dict[str, Tensor]]]] = {}
VOCABULARY, WIDTH = 17, 8


def exported(*inputs: dict[str, Tensor]):
    def register(module: type) -> type:
        MODULES[module.__name__] = (module, list(inputs))
        return module

    return register


def floats(*shape: int) -> dict[str, Tensor]:
    return {"x": torch.randn(shape)}


def tokens(*shape: int, **others: int) -> dict[str, Tensor]:
    return {"ids": torch.randint(0, VOCABULARY, shape)} | {name: torch.tensor(n) for name, n in others.items()}


# ---- decoding ---------------------------------------------------------------------------------------------------
class Step(nn.Module):
    """One layer of attention over a cache of keys and values."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, ids: Tensor, keys: Tensor, values: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        x = self.embedding(ids)
        keys = torch.cat([keys, self.key(x)], 1)
        values = torch.cat([values, self.value(x)], 1)
        weights = torch.softmax(self.query(x) @ keys.transpose(1, 2) * 0.35, -1)
        return self.head(weights @ values), keys, values


@exported(tokens(2, 4), tokens(3, 5), tokens(1, 7))
class Greedy(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = Step()

    def forward(self, ids: Tensor) -> Tensor:
        keys, values = torch.zeros(ids.size(0), 0, 8), torch.zeros(ids.size(0), 0, 8)
        token = ids
        for _ in range(6):
            logits, keys, values = self.step(token, keys, values)
            token = logits[:, -1:].argmax(-1)
            ids = torch.cat([ids, token], 1)
        return ids


@exported(tokens(2, 4, limit=9), tokens(3, 5, limit=12), tokens(1, 7, limit=20), tokens(1, 7, limit=7))
class GreedyUntilAllEnd(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = Step()

    def forward(self, ids: Tensor, limit: Tensor) -> Tensor:
        keys, values = torch.zeros(ids.size(0), 0, 8), torch.zeros(ids.size(0), 0, 8)
        done = torch.zeros(ids.size(0), dtype=torch.bool)
        token = ids
        while ids.size(1) < int(limit) and not bool(done.all()):
            logits, keys, values = self.step(token, keys, values)
            next = torch.where(done, 0, logits[:, -1].argmax(-1))
            done = done | (next == 3)
            token = next.unsqueeze(1)
            ids = torch.cat([ids, token], 1)
        return ids


@exported(tokens(1, 4), tokens(1, 5), tokens(1, 3))
class Beams(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = Step()

    def forward(self, ids: Tensor) -> Tuple[Tensor, Tensor]:
        beams, scores = ids.expand(3, -1), torch.tensor([0.0, -1e9, -1e9])
        for _ in range(5):
            logits, _, _ = self.step(beams, torch.zeros(3, 0, 8), torch.zeros(3, 0, 8))
            all_scores = torch.log_softmax(logits[:, -1], -1) + scores.unsqueeze(1)
            scores, best = all_scores.flatten().topk(3)
            beams = torch.cat([beams[best // 17], (best % 17).unsqueeze(1)], 1)
        return beams, scores


# ---- values of other types ---------------------------------------------------------------------------------------
class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class Mode(enum.Enum):
    PLAIN = 1
    SQUASHED = 2


@torch.jit.script
class Accumulator:
    def __init__(self, x: Tensor):
        self.sum = x
        self.count = 0

    def add(self, x: Tensor):
        self.sum = self.sum + x
        self.count += 1


@exported(floats(4, 3), floats(6, 3), floats(2, 3))
class ObjectsAndNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.mode = Mode.SQUASHED
        self.name = "tanh_x"

    def forward(self, x: Tensor) -> Pair:
        if self.mode == Mode.SQUASHED and f"{self.name.split('_')[0]}!" == "tanh!":
            x = torch.tanh(x)
        sums = Accumulator(x[0])
        for k in range(x.size(0)):
            sums.add(x[k])
        return Pair(sums.sum * sums.count, x)


@torch.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


@exported(floats(2, 3), floats(4, 3), floats(1, 3))
class ModulesByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.by_name = nn.ModuleDict({"doubled": Doubled(), "projected": Projected()})
        self.in_order = nn.ModuleList([Projected(), Doubled()])

    def forward(self, x: Tensor, name: str = "projected") -> Tensor:
        chosen: Layer = self.by_name[name]
        x = chosen.forward(x)
        for name, layer in self.by_name.items():
            x = layer(x) + len(name)
        for k, layer in enumerate(self.in_order):
            x = layer(x) * (k + 1)
        with torch.no_grad():
            last: Layer = self.in_order[1]
            return last.forward(x)


class Squashing(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor, squash: bool) -> Tensor:
        return torch.tanh(self.linear(x)) if squash else self.linear(x)


@exported(floats(2, 3), floats(4, 3), floats(3, 3))
class CalledInManyWays(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Squashing(), Squashing()

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.first(self.first(x, True), False), True)
        for k in range(x.size(0)):
            y = self.second(y, True) + k
        if bool(y.sum() > 3):
            y = self.second(y, False)
        else:
            y = self.first(y, False)
        return y


class PassesOn(nn.Module):
    def forward(self, xs: List[Tensor], named: Dict[str, Tensor]) -> Dict[str, Tensor]:
        named["sum"] = xs[0] + xs[1] * named["x"]
        named["rows"] = torch.full([xs[0].size(0)], 2.0)
        xs[0].mul_(2)
        return named


@exported(floats(2, 3), floats(4, 3), floats(1, 3))
class ModulesThatPassContainers(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.again = PassesOn(), PassesOn()

    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        found = self.inner([y, x], {"x": x})
        more = self.again([found["sum"], y], {"x": found["x"]})
        return more["sum"] + y + more["rows"].unsqueeze(1)


@exported(floats(4, 3), floats(6, 3), floats(2, 3))
class Containers(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        found: Dict[str, Tensor] = {"sum": x[0]}
        rows: List[Tensor] = []
        last: Optional[Tensor] = None
        for k in range(x.size(0)):
            if bool(x[k, 0] > 0):
                rows.append(x[k])
                last = x[k] if last is None else last * 0.5 + x[k]
            found["sum"] = found["sum"] + x[k]
        rows.append(x[-1])
        found["rows"] = torch.stack(rows)
        found["last"] = x[0] if last is None else last
        return found


# ---- control flow --------------------------------------------------------------------------------------------------
@exported(floats(4, 3), floats(6, 3), floats(9, 3), {"x": torch.zeros(2, 3)})
class LeavesEarly(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for k in range(x.size(0)):
            if x[k].sum() < -9:
                continue
            if x[k].sum() > 1.5:
                return x[k]
        return x.sum(0)


@exported(floats(4, 3), floats(6, 3), floats(9, 3))
class LoopsInLoops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(())
        for a in range(x.size(0)):
            for b in range(a):
                if x[a, 0] > x[b, 0]:
                    total = total + (x[a] * x[b]).sum()
                else:
                    total = total - 1
        return total


@exported(floats(5, 4), floats(8, 4), floats(3, 4))
class Suppression(nn.Module):
    """Keeps the best, drops what is near it, and goes on with the rest."""

    def forward(self, x: Tensor) -> Tensor:
        order = x[:, 0].argsort(descending=True)
        keep: List[Tensor] = []
        while order.numel() > 0:
            best, rest = order[0], order[1:]
            keep.append(best)
            order = rest[(x[rest] - x[best]).abs().sum(1) > 2.5]
        return torch.stack(keep)


@exported(floats(3, 4, 4), floats(5, 4, 4), floats(2, 4, 4))
class WritesToViews(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        y = x.clone()
        columns = y[:, 1:3]
        columns += 1
        columns[..., 0].mul_(2)
        y[0] = 5
        y[:, ::2, 1:] = y[:, 1::2, :3] * 2
        turned = y.transpose(0, 1)
        turned[0].zero_()
        return y, columns, turned.contiguous()


# ---- numbers as inputs ---------------------------------------------------------------------------------------------
@exported(
    floats(2, 9) | {"n": 3, "scale": 0.5, "flip": False},
    floats(4, 9) | {"n": 5, "scale": 2.0, "flip": True},
    floats(1, 9) | {"n": 2, "scale": -3.0, "flip": True},
    floats(3, 9) | {"n": 0, "scale": 1.5, "flip": False},
)
class Numbers(nn.Module):
    """An int as number of iterations, slice and size; a float as factor; a bool that selects a branch."""

    def forward(self, x: Tensor, n: int, scale: float, flip: bool) -> Tuple[Tensor, Tensor, Tensor, Tensor, float, int]:
        y = x.half() * scale
        if flip and n > 2:
            x = x.flip(1)
        elif scale > 1:
            x = x + scale
        for k in range(n):
            x = x * 1.1 + k
        steps = 0
        while steps < n:
            steps += 2
        return x, y, x[:, :n], torch.zeros(n, 2, dtype=torch.int64) + torch.arange(2) * scale, float(n) / 2, steps


@exported(
    floats(4, 6) | {"sizes": [3, 2], "window": (1, 0.5)},
    floats(8, 6) | {"sizes": [2, 4], "window": (2, 1.5)},
    floats(6, 6) | {"sizes": [6, 3], "window": (3, -1.0)},
)
class NestedNumbers(nn.Module):
    def forward(self, x: Tensor, sizes: List[int], window: Tuple[int, float]) -> Tuple[Tensor, Tensor, Tensor]:
        width, factor = window
        rows: List[Tensor] = []
        for begin in range(x.size(0) - width):
            rows.append(x[begin : begin + width].mean(0) * factor)
        return x.view(-1, sizes[0], 6 // sizes[0]).sum(1), x.repeat(sizes), torch.stack(rows)


@exported(
    floats(4, 6) | {"columns": [3, 2], "factors": [0.5]},
    floats(5, 6) | {"columns": [2, 4, 0], "factors": [0.5, 2.0]},
    floats(3, 6) | {"columns": [5], "factors": [1.0, 2.0, 3.0]},
)
class ListsOfAnyLength(nn.Module):
    """Each is one input of the ONNX file."""

    def forward(self, x: Tensor, columns: List[int], factors: List[float]) -> Tuple[Tensor, Tensor, Tensor, int]:
        y = x
        for factor in factors:
            y = y * factor + 1
        ordered = torch.tensor(sorted(columns))
        return x[:, columns], y, ordered * (10 if 3 in columns else 1), len(columns) + columns[-1]
