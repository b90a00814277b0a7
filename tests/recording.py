"""Numbers of the authors' own code, recorded once, and the comparison with them.

A script ``tests/recorded/NAME.py`` builds the official module from a checkout, gives it the
weights that :func:`fill_` gave ours, and writes ``NAME.json`` by :func:`record`. The test calls
:func:`check_recorded`. Nothing depends on a random generator.
"""

import json
from pathlib import Path

import torch

import foveate
from foveate.attention import attention_spec
from support import assert_same

RECORDED = Path(__file__).parent / "recorded"


def wave(shape, phase=0.0):
    """Numbers in (-1, 1) that repeat nowhere, in float64."""
    count = torch.Size(shape).numel()
    return (torch.arange(count, dtype=torch.float64) * 0.7 + phase).sin().reshape(shape)


def fill_(module):
    """Give every weight and statistic a value that depends on its name and shape alone."""
    with torch.no_grad():
        for number, (name, value) in enumerate(sorted(module.state_dict().items())):
            if value.is_floating_point():
                spread = 0.3 * wave(value.shape, number)
                value.copy_(1.0 + spread if name.endswith("running_var") else spread)
    return module


def observe(run, shape):
    """Run on a wave and return a few numbers of the output and of the input's gradient."""
    x = wave(shape).requires_grad_()
    out = run(x)
    (out * wave(out.shape, 5.0)).sum().backward()
    return {"output": _sample(out.detach()), "gradient": _sample(x.grad)}


def _sample(values):
    flat = values.flatten()
    chosen = flat[torch.linspace(0, len(flat) - 1, 12).round().long()]
    return [*chosen.tolist(), flat.sum().item(), flat.square().sum().item()]


def ours(name, shape, options):
    """Our module in evaluation mode, in float64, filled."""
    module = foveate.create_attention(name, shape[1], **options)
    return fill_(module.double().eval())


def record(name, official, shape, options, run, remarks="", idle=()):
    """Write what the official code computes; called by the scripts in ``tests/recorded``.

    Args:
        name: Registry name.
        official: Repository, commit, file and license, a dictionary.
        shape: Shape of the input.
        options: Options of our module.
        run: The official module as a function of the input.
        remarks: What had to be patched or mapped.
        idle: Names of those weights of our module that can change nothing, by its formula.
    """
    content = {
        "official": official,
        "torch": torch.__version__,
        "shape": list(shape),
        "options": options,
        "remarks": remarks,
        "idle": list(idle),
        **observe(run, shape),
    }
    path = RECORDED / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")


def check_recorded(name, file=None):
    """Fail unless our module gives the recorded numbers of the authors' code."""
    recorded = json.loads((RECORDED / f"{file or name}.json").read_text())
    official = attention_spec(name).official
    assert recorded["official"]["repository"] == official.repository
    assert recorded["official"]["commit"].startswith(official.commit)
    check_numbers(ours(name, recorded["shape"], recorded["options"]), recorded)


def check_numbers(module, recorded):
    """Fail unless a filled module gives the recorded numbers, and they tell of all its weights."""
    shape = recorded["shape"]
    seen = _parts(observe(module, shape))
    for what, want in _parts(recorded).items():
        assert_same(seen[what], want, what)
    idle = _idle_weights(module, shape, seen)
    assert idle == sorted(recorded["idle"]), f"weights that change no recorded number: {idle}"


def _idle_weights(module, shape, base):
    """Names of the weights and statistics that leave the numbers as they are when moved."""
    found = []
    for name, value in sorted(module.state_dict().items()):
        if value.is_floating_point():
            kept = value.clone()
            value.add_(0.3 * wave(value.shape, 1.0))
            moved = _parts(observe(module, shape))
            value.copy_(kept)
            changes = [
                (moved[what] - want).abs().max() / want.square().mean().sqrt()
                for what, want in base.items()
            ]
            if max(changes) < 1e-6:  # a thousand times what the comparison lets pass
                found.append(name)
    return found


def _parts(numbers):
    """Single values and sums apart: the sums are so large that they would hide the values."""
    return {
        f"{kind} of the {what}": torch.tensor(numbers[what][part], dtype=torch.float64)
        for what in ("output", "gradient")
        for kind, part in (("values", slice(-2)), ("sums", slice(-2, None)))
    }
