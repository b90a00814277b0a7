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


def record(name, official, shape, options, run, remarks=""):
    """Write what the official code computes; called by the scripts in ``tests/recorded``.

    Args:
        name: Registry name.
        official: Repository, commit, file and license, a dictionary.
        shape: Shape of the input.
        options: Options of our module.
        run: The official module as a function of the input.
        remarks: What had to be patched or mapped.
    """
    content = {
        "official": official,
        "torch": torch.__version__,
        "shape": list(shape),
        "options": options,
        "remarks": remarks,
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
    shape = recorded["shape"]
    seen = observe(ours(name, shape, recorded["options"]), shape)
    for what in ("output", "gradient"):
        got, want = (torch.tensor(one[what], dtype=torch.float64) for one in (seen, recorded))
        assert_same(got, want, f"{what} of {name}")
