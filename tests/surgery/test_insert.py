"""The surgery contract: what stays as it was, what an identity start is, what is refused."""

import copy
import io

import pytest
import torch
from torch import nn

import foveate
from foveate.surgery import inserted, set_openness_
from support import TinyBlock, TinyResNet, assert_same

IMAGE = torch.rand(2, 3, 16, 16)


def net(**kwargs):
    torch.manual_seed(1)
    return TinyResNet(**kwargs)


def insert(model, *args, **kwargs):
    kwargs.setdefault("example", torch.zeros(1, 3, 16, 16))
    return foveate.insert_(model, *args, **kwargs)


def test_gates_sit_at_the_stage_ends_and_change_the_output_there_alone():
    model = net().eval()
    want = model.layer1(model.stem(IMAGE))
    done = insert(model, "das")
    assert [(site.name, site.path, site.channels, site.size) for site in done.sites] == [
        ("layer1", "layer1.1", 4, (8, 8)),
        ("layer2", "layer2.1", 8, (4, 4)),
    ]
    gate = done.sites[0].module
    assert_same(model.layer1(model.stem(IMAGE)), want * gate.gate(want))
    assert list(inserted(model)) == ["layer1", "layer2"]


def test_the_insertion_knows_what_it_costs():
    model = net()
    before = sum(w.numel() for w in model.parameters())
    cost = foveate.accounting.count(model, (3, 16, 16))
    planned = foveate.plan(model, "das", example=torch.zeros(1, 3, 16, 16))
    assert planned.action == "would insert"
    assert all(site.module is None for site in planned.sites)
    assert sum(w.numel() for w in model.parameters()) == before
    done = insert(model, "das")
    assert done.params == planned.params == sum(w.numel() for w in model.parameters()) - before
    assert done.params == sum(w.numel() for w in done.parameters())
    assert done.macs == foveate.accounting.count(model, (3, 16, 16)).macs - cost.macs
    text = str(done)
    assert "inserted das at 2 sites of TinyResNet: +" in text
    assert "layer1         4  8x8" in text


def test_removal_restores_output_and_keys_to_the_bit():
    model = net()
    keys = list(model.state_dict())
    children = [name for name, _ in model.named_modules()]
    want = model.eval()(IMAGE)
    for name in ("das", "se"):
        insert(model, name)
        assert not torch.equal(model(IMAGE), want)
        gone = foveate.remove_(model)
        assert gone.action == "removed" and len(gone.sites) == (2 if name == "das" else 4)
        assert torch.equal(model(IMAGE), want)
    assert list(model.state_dict()) == keys
    assert [name for name, _ in model.named_modules()] == children
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", foveate.list_attentions())
def test_an_identity_start_is_equal_to_the_bit_and_is_the_module_when_open(name):
    image = torch.rand(2, 3, 48, 64)
    model = net(width=8, stages=4).eval()
    want = model(image)
    paper = copy.deepcopy(model)
    torch.manual_seed(5)
    insert(paper, name, example=image)
    torch.manual_seed(5)
    insert(model, name, start="identity", example=image)
    assert torch.equal(model(image), want)
    assert set_openness_(model, 1.0) == len(inserted(model))
    assert_same(model(image), paper(image))
    set_openness_(model, 0.0)
    assert torch.equal(model(image), want)


def test_an_identity_start_opens_by_learning():
    model = net()
    insert(model, "das", start="identity")
    model(IMAGE).square().sum().backward()
    opennesses = [w for key, w in model.named_parameters() if key.endswith("openness")]
    assert len(opennesses) == 2
    assert all(w.grad.abs() > 0 for w in opennesses)


def test_an_identity_start_survives_loading_published_weights():
    published = net(width=4)
    torch.manual_seed(99)
    for weight in published.parameters():
        nn.init.normal_(weight)
    model = net().eval()
    insert(model, "das", start="identity")
    model.load_state_dict(published.state_dict())  # strict
    assert torch.equal(model(IMAGE), published.eval()(IMAGE))


def test_weights_load_strictly_with_and_without_the_attention():
    plain, model = net(), net()
    insert(model, "das")
    own = copy.deepcopy(model.state_dict())
    model.load_state_dict(plain.state_dict())
    assert all(torch.equal(model.state_dict()[key], own[key]) for key in own)
    other = net()
    insert(other, "das")
    other.load_state_dict(own)
    assert torch.equal(other.eval()(IMAGE), model.eval()(IMAGE))
    assert set(plain.state_dict()) < set(own)
    # As a part of something larger, whose prefix it does not know.
    nn.Sequential(model).load_state_dict(nn.Sequential(plain).state_dict())


def test_a_checkpoint_with_half_an_attention_is_refused():
    model = net()
    insert(model, "das")
    broken = model.state_dict()
    broken.pop("layer1.1.foveate.attention.ln_weight")
    with pytest.raises(RuntimeError, match="ln_weight"):
        model.load_state_dict(broken)
    with pytest.raises(RuntimeError, match="foveate"):
        net().load_state_dict(model.state_dict())  # nor does a plain net swallow gates


def test_modes_requires_grad_hooks_and_aliases_survive():
    model = net()
    model.layer1.eval()  # frozen in part
    model.stem.requires_grad_(False)
    model.alias = model.layer2[1]
    seen = []
    model.layer2[1].register_forward_hook(lambda *_: seen.append("after"))
    model.layer2[1].register_forward_pre_hook(lambda *_: seen.append("before"))
    modes = {name: module.training for name, module in model.named_modules()}
    grads = {name: w.requires_grad for name, w in model.named_parameters()}
    done = insert(model, "das")
    assert {k: m.training for k, m in model.named_modules() if k in modes} == modes
    assert {k: w.requires_grad for k, w in model.named_parameters() if k in grads} == grads
    assert [site.module.training for site in done.sites] == [False, True]
    assert all(w.requires_grad for w in done.parameters())
    assert model.alias is model.layer2[1]
    seen.clear()
    model(IMAGE)
    assert seen == ["before", "after"]
    foveate.remove_(model)
    assert len(model.layer2[1]._forward_hooks) == 1


def test_batch_statistics_and_random_state_are_not_touched():
    model = net()
    model.layer1.append(nn.Dropout(0.5))
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    foveate.plan(model, "das", example=torch.rand(1, 3, 16, 16))
    torch.set_rng_state(state)
    drawn = torch.rand(3)
    torch.set_rng_state(state)
    insert(model, nn.BatchNorm2d, ["layer1"])  # draws nothing
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(before[key], model.state_dict()[key]) for key in before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_dtype_and_layout_follow_the_network(dtype):
    model = net().to(dtype).to(memory_format=torch.channels_last)
    insert(model, "das", example=IMAGE[:1].to(dtype), start="identity")
    added = {k: w for k, w in model.named_parameters() if ".foveate." in k}
    assert {w.dtype for w in added.values()} == {dtype}
    kernel = added["layer2.1.foveate.attention.deform.weight"]
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert model(IMAGE.to(dtype)).dtype == dtype


def test_a_network_on_the_meta_device_takes_gates_there():
    with torch.device("meta"):
        model = TinyResNet()
    done = foveate.insert_(model, "das", example=torch.empty(1, 3, 16, 16, device="meta"))
    assert {w.device.type for w in done.parameters()} == {"meta"}


def test_copies_and_pickles_carry_their_own_gates():
    model = net().eval()
    insert(model, "das")
    want = model(IMAGE)
    twin = copy.deepcopy(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    reloaded = torch.load(file, weights_only=False)
    for other in (twin, reloaded):
        assert torch.equal(other(IMAGE), want)
        with torch.no_grad():
            for weight in inserted(other)["layer1"].parameters():
                weight.add_(1.0)
        assert not torch.equal(other(IMAGE), want)
        assert torch.equal(model(IMAGE), want)
        foveate.remove_(other)
        assert len(inserted(model)) == 2


def test_a_pickled_model_brings_the_compilers_guard_with_it(monkeypatch):
    from torch._dynamo import config

    model = net()
    insert(model, "das")
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    monkeypatch.setattr(config, "skip_nnmodule_hook_guards", True)  # as in a fresh process
    torch.load(file, weights_only=False)
    assert not config.skip_nnmodule_hook_guards
    monkeypatch.undo()
    config.skip_nnmodule_hook_guards = False


def test_stages_that_are_run_block_by_block_keep_their_gate():
    class ByBlocks(TinyResNet):
        def forward(self, x):
            x = self.stem(x)
            for block in [*self.layer1, *self.layer2]:
                x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
            return self.head(x.mean((2, 3)))

    torch.manual_seed(1)
    model, usual = ByBlocks(), net()
    for one in (model, usual):
        torch.manual_seed(3)
        insert(one, "das", ["layer?"])
    assert_same(model.eval()(IMAGE), usual.eval()(IMAGE))
    model.train()(IMAGE).sum().backward()
    assert all(w.grad is not None for w in inserted(model)["layer1"].parameters())


def test_hosts_that_run_all_their_children_are_not_harmed():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 1)

        def forward(self, x):
            for child in self.children():
                x = child(x)
            return x

    chain = Chain()
    want = chain(IMAGE)
    done = insert(nn.ModuleDict({"chain": chain}).chain, "das", ["second"])
    gate = done.sites[0].module
    assert_same(chain(IMAGE), gate(want))
    model = nn.Sequential(Chain(), nn.ReLU())
    insert(model, "das", ["0"])
    assert model[0](IMAGE).shape == (2, 6, 16, 16)
    assert len(model) == 2


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_before_the_activation_the_gate_sees_the_sum(start):
    model = net().eval()
    block = model.layer1[1]
    x = torch.randn(2, 4, 8, 8)
    total = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x))))) + x
    want = model(IMAGE)
    done = insert(model, "das", position="before", start=start)
    gate = done.sites[0].module
    if start == "identity":
        assert torch.equal(model(IMAGE), want)
        assert_same(block(x), total.relu())
    else:
        assert_same(block(x), (total * gate.gate(total)).relu())
        assert_same(block(x), total.relu() * gate.gate(total))
        twin = copy.deepcopy(model)
        with torch.no_grad():
            for weight in inserted(twin)["layer1"].parameters():
                weight.add_(1.0)
        assert not torch.equal(twin(IMAGE), model(IMAGE))
    with pytest.raises(ValueError, match="holds 'das'"):
        insert(model, "se", ["layer1"])
    foveate.remove_(model)
    assert torch.equal(model(IMAGE), want)
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_an_attention_of_your_own_needs_no_registry():
    model = net().eval()
    done = insert(model, lambda channels, rate: nn.Dropout2d(rate), "blocks", rate=0.5)
    assert len(done.sites) == 4
    done = insert(net(), nn.InstanceNorm2d, ["layer2"], affine=True)
    assert done.params == 16 and done.attention == "InstanceNorm2d"


def test_a_symbolic_trace_applies_what_sits_before_the_last_activation():
    model = net().eval()
    insert(model, "se", "blocks", position="before")
    traced = torch.fx.symbolic_trace(model)
    for _ in range(2):
        assert torch.equal(traced(IMAGE), model(IMAGE))


@pytest.mark.parametrize("name", ["emca", "gala", "spm", "dcn", "splat"])
@pytest.mark.parametrize("start", ["paper", "identity"])
def test_costs_are_those_that_the_network_has_more(name, start):
    model = net(stages=4, width=8)
    size = (3, 64, 64)
    before = foveate.accounting.count(model, size)
    done = insert(model, name, start=start, example=torch.zeros(1, *size))
    after = foveate.accounting.count(model, size)
    assert (done.params, done.macs) == (after.params - before.params, after.macs - before.macs)
    assert foveate.remove_(model).params == done.params


def test_an_identity_start_keeps_the_type_under_autocast():
    model = net().eval()

    class Widening(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x):
            return 2 * x.float()

    with torch.autocast("cpu", torch.bfloat16):
        want = model(IMAGE)
        insert(model, Widening, "post_norm", start="identity")
        assert torch.equal(model(IMAGE), want)


def test_the_watched_pass_leaves_observers_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    class Counting(nn.ReLU):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))
            self.register_buffer("last", torch.zeros(0))

        def forward(self, x):
            self.seen += 1
            self.last = x.detach()[0, 0, 0]
            return super().forward(x)

    model[1] = Counting()
    foveate.plan(model, "se", ["1"], example=IMAGE)
    assert model[1].seen == 0 and model[1].last.numel() == 0
    with torch.inference_mode():
        foveate.insert_(model, "se", ["1"], example=IMAGE)
    assert model[1].seen == 0


def test_hooks_of_a_process_that_unpickles_do_not_replace_ours():
    from torch.utils.hooks import RemovableHandle

    model = net().eval()
    insert(model, "se")
    want, file = model(IMAGE), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    numbers = RemovableHandle.next_id
    RemovableHandle.next_id = 0  # as in a fresh process
    again = torch.load(file, weights_only=False)
    for _ in range(40):
        for module in again.modules():
            module.register_forward_hook(lambda *_: None).remove()
    RemovableHandle.next_id = max(numbers, RemovableHandle.next_id)
    assert torch.equal(again(IMAGE), want)


def test_an_optimizer_of_the_new_parameters_opens_an_identity_start():
    model = net()
    before = sum(w.numel() for w in model.parameters())
    done = insert(model, "das", start="identity")
    assert done.params == sum(w.numel() for w in model.parameters()) - before
    planned = foveate.plan(net(), "das", start="identity", example=torch.zeros(1, 3, 16, 16))
    assert planned.params == done.params
    optimizer = torch.optim.SGD(done.parameters(), lr=0.1)
    model(IMAGE).square().sum().backward()
    optimizer.step()
    assert all(site.openness.abs() > 0 for site in done.sites)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def test_two_attentions_below_one_container_keep_their_weights():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Residual(conv, nn.BatchNorm2d(4)))
    model[1][1].foveate3 = "an attribute of the user"
    insert(model, "das", ["1"])
    insert(model, "se", ["1.1"])
    one_call = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Residual(copy.deepcopy(conv)))
    done = insert(one_call, "das", ["1", "1.0"])
    for network in (model, one_call):
        registered = {id(w) for w in network.parameters()}
        assert len(inserted(network)) == 2
        for attention in inserted(network).values():
            assert {id(w) for w in attention.parameters()} <= registered
        network.double()(IMAGE.double()).sum().backward()
        network.load_state_dict(network.state_dict())
    assert done.params == sum(w.numel() for w in done.parameters())
    foveate.remove_(model)
    assert not any("foveate" in key for key in model.state_dict())
    assert model[1][1].foveate3 == "an attribute of the user"


def test_one_tensor_is_not_gated_twice_under_two_names():
    class Stage(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = TinyBlock(4, 4)

        def forward(self, x):
            return self.block(x)

    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), Stage())
    with pytest.raises(ValueError, match="return the same tensor"):
        insert(model, "das", ["1", "1.block"])
    insert(model, "das", ["1.block"])
    with pytest.raises(ValueError, match="1, which holds 'das'"):
        insert(model, "se", ["1"])


def test_a_checkpoint_of_other_sites_does_not_pass():
    four, one = net(), net()
    insert(four, "das")
    insert(one, "das", ["layer2"])
    with pytest.raises(RuntimeError, match="layer1"):
        four.load_state_dict(one.state_dict())
    four.load_state_dict(net().state_dict())  # a plain one still does
    foveate.remove_(four)
    assert not four._load_state_dict_pre_hooks


def test_attentions_of_ones_own_are_checked():
    model = net()
    with pytest.raises(ValueError, match=r"returns \(1, 4, 8, 8\) at layer1; got \(1, 8, 8, 8\)"):
        insert(model, lambda channels: nn.Conv2d(channels, 2 * channels, 1))
    with pytest.raises(TypeError, match=r"to return a torch\.nn\.Module; got int"):
        insert(model, lambda channels: 3)
    with pytest.raises(TypeError, match="a callable channels -> module"):
        insert(model, nn.Conv2d(4, 4, 1))
    assert not inserted(model)


def test_the_types_of_the_network_count_not_those_of_autocast():
    model = net()
    with torch.autocast("cpu", torch.bfloat16):
        done = insert(model, "das")
    assert {w.dtype for w in done.parameters()} == {torch.float32}
    assert model(IMAGE).isfinite().all()


def test_gates_of_one_name_in_two_parts_are_told_apart():
    both = nn.ModuleDict({"a": net(), "b": net()})
    insert(both.a, "das")
    insert(both.b, "das")
    assert len(inserted(both)) == 4


def test_a_dry_run_draws_no_random_numbers():
    state = torch.get_rng_state()
    foveate.plan(net(), "das", position="before", example=torch.rand(1, 3, 16, 16))
    torch.manual_seed(0)
    want = torch.rand(2)
    torch.manual_seed(0)
    model = net()
    torch.manual_seed(0)
    foveate.plan(model, "das", example=torch.zeros(1, 3, 16, 16))
    assert torch.equal(torch.rand(2), want)
    torch.set_rng_state(state)


@pytest.mark.parametrize("position", ["after", "before"])
def test_a_graph_compiled_for_a_plain_network_is_not_taken_for_a_gated_one(position):
    plain, gated = net().eval(), net().eval()
    torch.compile(plain, backend="eager")(IMAGE)
    insert(gated, "das", position=position)
    torch.compile(plain, backend="eager")(IMAGE)
    assert_same(torch.compile(gated, backend="eager")(IMAGE), gated(IMAGE))
    one = net().eval()
    insert(one, "das", ["layer2"], position=position)
    assert_same(torch.compile(one, backend="eager")(IMAGE), one(IMAGE))
    foveate.remove_(one)
    assert_same(torch.compile(one, backend="eager")(IMAGE), plain(IMAGE))


def test_presets_and_patterns():
    example = torch.zeros(1, 3, 32, 32)

    def names(where, attention="das"):
        return [s.name for s in foveate.plan(net(), attention, where, example=example).sites]

    assert names("stages") == ["layer1", "layer2"]
    assert names("blocks") == ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]
    assert names("skips") == ["layer1.0", "layer1.1", "layer2.1"]
    assert names("strides") == ["layer2.1"]
    assert names(None, "se") == names("post_norm")
    assert names("post_norm") == [f"layer{s}.{b}.bn2" for s in (1, 2) for b in (0, 1)]
    assert names(["layer[2]", "**.bn1"])[-1] == "layer2"
    assert names(["layer1", "layer1.1"]) == ["layer1"]


def test_two_attentions_share_a_network_but_not_a_site():
    model = net()
    insert(model, "das")
    insert(model, "se")
    assert len(inserted(model)) == 6
    with pytest.raises(ValueError, match="layer1, which holds 'das'; call remove_ first"):
        insert(model, "eca", "stages")
    assert len(foveate.remove_(model).sites) == 6


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.unused = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.flat = nn.Flatten()

    def forward(self, x):
        return self.flat(self.conv(self.conv(x)))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"where": ["layer9"]}, ValueError, r"match a module; got 'layer9'; near: layer2, layer1"),
        ({"where": []}, ValueError, "at least one pattern"),
        ({"where": [1]}, TypeError, "a list of patterns"),
        ({"where": 5}, TypeError, "a list of patterns"),
        ({"where": "layer?"}, ValueError, r"where=\['layer\?'\]"),
        ({"where": "stage"}, ValueError, "did you mean 'stages'"),
        ({"attention": "dass"}, ValueError, "did you mean 'das'"),
        ({"alpha": 0}, ValueError, r"alpha in \(0, 1\]"),
        ({"alhpa": 0.1}, ValueError, "did you mean 'alpha'"),
        ({"start": "zero"}, ValueError, "known start"),
        ({"example": torch.zeros(1, 5, 16, 16)}, ValueError, "pass example="),
        ({"example": torch.zeros(1, 3, 2, 2)}, ValueError, "2 pixels; got 1x1 at layer1"),
        ({"where": ["stem"], "position": "before"}, ValueError, "end with an activation module"),
        ({"position": "inside"}, ValueError, "known position"),
        ({"model": "resnet18"}, TypeError, "torch.nn.Module"),
        ({"model": Twice(), "where": ["conv"]}, ValueError, "which ran 2 times"),
        ({"model": Twice(), "where": ["unused"]}, ValueError, "was not called"),
        ({"model": Twice(), "where": ["flat"]}, ValueError, r"returned \(1, 768\)"),
        ({"model": nn.DataParallel(net())}, TypeError, "unwrapped model; got DataParallel"),
        ({"model": nn.Flatten()}, ValueError, "none in Flatten"),
    ],
)
def test_bad_input_gives_one_clear_error_and_changes_nothing(change, error, text):
    arguments = {"model": net(), "attention": "das", "where": None, **change}
    model = arguments.pop("model")
    arguments.setdefault("example", torch.zeros(1, 3, 16, 16))
    with pytest.raises(error, match=text):
        foveate.insert_(model, **arguments)
    if isinstance(model, nn.Module):
        assert not list(inserted(model))
        assert not any(module._forward_hooks for module in model.modules())


def test_compiled_models_are_refused_and_empty_removal_is_an_error():
    with pytest.raises(TypeError, match="insert or remove first, then wrap"):
        foveate.insert_(torch.compile(net()), "das")
    compiled = net()
    compiled.layer1.compile(backend="eager")
    with pytest.raises(TypeError, match="got Sequential at layer1, compiled"):
        foveate.insert_(compiled, "das")
    with pytest.raises(ValueError, match="inserted attentions; got none"):
        foveate.remove_(net())
    with pytest.raises(ValueError, match="start='identity'"):
        set_openness_(net(), 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("position", ["after", "before"])
@pytest.mark.parametrize("start", ["paper", "identity"])
def test_compile_and_export_agree_after_insertion(start, position):
    model = net().eval()
    insert(model, "das", start=start, position=position)
    if start == "identity":
        set_openness_(model, 0.3)
    want = model(IMAGE)
    assert_same(torch.compile(model, fullgraph=True)(IMAGE), want)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (IMAGE,), dynamic_shapes=({0: batch},)).module()
    assert_same(exported(IMAGE), want)
    model.train()
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True)
    out, want = compiled(IMAGE), model(IMAGE)
    assert_same(out, want)
