"""Triton's kernels compiled and traced for a GPU that need not be there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from triton_support import INTERPRETED

from foveate.ops.deform.triton import plan

pytestmark = [
    pytest.mark.skipif(INTERPRETED, reason="interpreted functions are neither compiled nor traced"),
    pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION"),
]

# What is compiled for: pointers by name, "?" the dtype of features; a 3x3 kernel, stride 1.
POINTERS = {
    **dict.fromkeys(("offset_ptr", "mask_ptr", "scale_ptr", "shift_ptr", "partial_ptr"), "*fp32"),
    **dict.fromkeys(("by_input_ptr", "by_offset_ptr", "by_mask_ptr"), "*fp32"),
    **dict.fromkeys(("order_ptr", "first_ptr"), "*i64"),
    "cells_ptr": "*i32",
}
SAMPLING = {
    **dict.fromkeys(("stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w"), 1),
    **{"kernel_w": 3, "taps": 9, "sections": 1, "offset_groups": 1, "has_mask": True},
}


def constants(name, dtype):
    """What a kernel is specialized to at the first stage of a ResNet-50."""
    width, channels = 56, 256
    affine = {"has_scale": True, "has_shift": True}
    if name.startswith("epilogue"):
        return affine | {"channels": channels, "block_m": 16, "block_c": channels}, 8, 3
    common = {**SAMPLING, "section_width": width}
    if name == "implicit":
        cut = plan.choose(dtype, channels, width)
        own = {"groups": 1, "group_out": channels, "has_bias": False, "gate": True, "keep": False}
        own |= affine | {"block_n": cut.block_n, "block_m": cut.block_m, "block_k": cut.block_k}
        return (
            common | own | {"block_m": cut.block_m, "block_k": cut.block_k},
            cut.warps,
            cut.stages,
        )
    block_m, block_k = plan.block_of(width, 2048 if name == "columns" else 1024)
    if name == "differentiate":
        wants = dict.fromkeys(("want_columns", "want_input", "want_offset"), True)
        return common | wants | {"block_m": block_m, "block_k": block_k}, 4, 1
    if name == "collect":
        return common | {"entries": 16, "block_k": 64}, 1, 3
    own = {"block_m": block_m, "block_k": block_k} if name == "columns" else {"block_m": 128}
    return common | own, 4, 1


# A 3x2 kernel with groups and without a mask, on a map of a single pixel: whatever Triton can know
# of a size, that it is 1 or a multiple of 16, it then knows.
GROUPED = {
    **{"kernel_w": 2, "taps": 6, "sections": 6, "offset_groups": 3, "section_width": 8},
    **{"groups": 2, "group_out": 24, "has_mask": False, "has_bias": True, "gate": False},
    **{"has_shift": False, "want_input": False, "block_n": 32, "block_k": 16},
}


def build(name, dtype, capability, folder, grouped=False):
    """Compile a kernel; return its text, registers of a thread, bytes spilled, shared memory."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from foveate.ops.deform.triton import backward, forward
    from foveate.ops.gate.triton import kernels

    module = next(one for one in (forward, backward, kernels) if hasattr(one, name))
    kernel = getattr(module, name)
    chosen, warps, stages = constants(name, getattr(torch, dtype))
    if grouped:
        chosen |= {key: value for key, value in GROUPED.items() if key in chosen}
    feature = {"bfloat16": "*bf16", "float16": "*fp16", "float32": "*fp32"}[dtype]
    # Channels-last maps and planes of offsets; nothing is known of the sizes of a map.
    maps = ("x", "out", "mixed", "grad", "by_x", "by_mixed")
    unit = {"of_pixel", "mask_pixel", *(f"{name}_channel" for name in maps)}
    odd = {"pixels", "height", "width", "out_h", "out_w", "outside", "pixels_per_image"}
    signature, known, facts = {}, {}, {}
    for at, argument in enumerate(kernel.arg_names):
        if argument in chosen or argument in unit:
            signature[argument], known[argument] = "constexpr", chosen.get(argument, 1)
            continue
        pointer = argument.endswith("_ptr")
        if grouped and not pointer and argument != "eps":
            signature[argument], known[argument] = "constexpr", 1
            continue
        signature[argument] = POINTERS.get(argument, feature) if pointer else "i32"
        signature[argument] = "fp32" if argument == "eps" else signature[argument]
        if argument not in odd | {"eps"}:
            facts[(at,)] = [["tt.divisibility", 16]]
    built = triton.compile(
        ASTSource(kernel, signature, known, facts),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps, "num_stages": stages},
    )
    (folder / "kernel.cubin").write_bytes(built.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    command = [str(tool), "--dump-resource-usage", str(folder / "kernel.cubin")]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", usage).groups()
    return built.asm["ptx"], int(registers), int(stack), built.metadata.shared


KERNELS = (
    *("implicit", "columns", "differentiate", "cells", "collect"),
    *("epilogue", "epilogue_backward"),
)
SLOW = [
    pytest.param(name, dtype, capability, marks=pytest.mark.slow)
    for name in KERNELS
    for dtype, capability in (("float32", 90), ("float16", 90), ("bfloat16", 80), ("bfloat16", 100))
    if (name, dtype) != ("implicit", "float32")  # the plan takes columns there
]


@pytest.mark.parametrize(
    ("name", "dtype", "capability"), [*((name, "bfloat16", 90) for name in KERNELS), *SLOW]
)
def test_every_kernel_compiles_without_spilling(name, dtype, capability, tmp_path, monkeypatch):
    triton = pytest.importorskip("triton")
    if not (Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump").exists():
        pytest.skip("this build of Triton brings no tools for NVIDIA")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    text, registers, spilled, shared = build(name, dtype, capability, tmp_path)
    assert registers <= 255
    assert spilled == 0
    assert shared <= (227 if capability == 90 else 163) << 10
    if (dtype, capability) == ("bfloat16", 90):
        # Rows are read and written 16 bytes at a time, products are Hopper's own, and additions to
        # the input gradient come four at once.
        assert name == "cells" or "global.v4.b32" in text or "cp.async.cg" in text
        assert name != "implicit" or "wgmma.mma_async" in text
        assert name != "differentiate" or "add.v4.f32" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_compiles_for_groups_and_a_single_pixel(name, tmp_path, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    assert build(name, "bfloat16", 90, tmp_path, grouped=True)[2] == 0


TRACED = """
import torch, triton
from torch._dynamo.source import ConstantSource
from torch._functorch.aot_autograd import aot_export_module
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from triton.backends.compiler import GPUTarget
from foveate.ops.deform.arguments import geometry_of
from foveate.ops.gate.triton import deform_gate

class Driver:  # of a GPU that is not there
    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

triton.runtime.driver.set_active(Driver())

class Gate(torch.nn.Module):
    def forward(self, x, squeezed, offset, weight, mask, scale, shift):
        geometry = geometry_of(squeezed, offset, weight, None, 1, 1, 1, mask)
        tail = (scale, shift, 1e-5, geometry)
        return (deform_gate(x, squeezed, offset, weight, None, mask, *tail),)

env = ShapeEnv()
with FakeTensorMode(shape_env=env):
    symbol = env.create_symbol(4, ConstantSource("n"), dynamic_dim=DimDynamic.DYNAMIC)
    n = env.create_symintnode(symbol, hint=4)
    for channels, squeezed in ((256, 51), (512, 102)):
        def draw(*shape, dtype=torch.float32):
            return torch.empty(*shape, dtype=dtype, device="cuda")
        half = torch.bfloat16
        inputs = [
            draw(n, channels, 14, 14, dtype=half), draw(n, squeezed, 14, 14, dtype=half),
            draw(n, 18, 14, 14), draw(channels, squeezed, 3, 3, dtype=half), draw(n, 9, 14, 14),
            draw(channels), draw(channels),
        ]
        with torch.no_grad():
            graph, _ = aot_export_module(Gate(), inputs, trace_joint=False)
        nodes = [n for n in graph.graph.nodes if "triton_kernel" in str(n.target)]
        changed = [name for node in nodes for name in node.kwargs["tensors_to_clone"]]
        print(len(nodes), *changed)
assert env.guards == [], env.guards
"""


def test_a_compiler_sees_the_kernels_and_what_they_write_for_any_batch():
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["1 out_ptr", "2 columns_ptr out_ptr"]
