"""Two phases, averages, mixing, early stop, scaling: what a recipe may ask of a run."""

import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from foveate.models import create_model
from foveate.surgery import insert_, is_inserted_path
from foveate.training import TrainSection, train
from foveate.training.averaging import averaged_copy
from foveate.training.classifier import Classifier
from foveate.training.launch import processes, share_batch_norms_, strategy
from foveate.training.mixing import Mixing
from foveate.training.order import BLOCKS_AT_ONCE, EpochSampler, order_of
from foveate.training.phases import Phases, gates_first
from foveate.training.ranks import is_main_process, rank
from foveate.training.schedule import lr_factor, should_stop
from foveate.training.starting import _classifier_of, start, take_weights_


def weights_of(run):
    return load_file(run.path / "model.safetensors")


@pytest.fixture
def base(recipe, tmp_path):
    """A finished run of the plain network, one epoch long."""
    return train(recipe.changed(**{"train.epochs": 1}), tmp_path / "base", progress=False)


def test_gates_learn_first_and_the_base_is_frozen_whole(recipe, base, tmp_path, monkeypatch):
    plan = recipe.changed(
        **{
            "model.attention": "das",
            "model.weights": str(base.path),
            "train.gates_first": 2,
            "train.weight_decay": 0.1,
        }
    )
    seen = []
    real = Classifier.on_train_epoch_end

    def note(self):
        real(self)
        seen.append({key: value.clone() for key, value in self.network.state_dict().items()})

    monkeypatch.setattr(Classifier, "on_train_epoch_end", note)
    train(plan, tmp_path / "run", progress=False)
    trained = weights_of(base)
    for epoch in (0, 1):
        assert all(torch.equal(seen[epoch][key], value) for key, value in trained.items()), epoch
    gates = [key for key in seen[0] if is_inserted_path(key) and key.endswith("deform.weight")]
    assert gates
    assert not any(torch.equal(seen[0][key], seen[1][key]) for key in gates)
    moved = [key for key, value in trained.items() if not torch.equal(seen[2][key], value)]
    assert {"layer1.0.conv1.weight", "bn1.running_mean", "fc.weight"} <= set(moved)


def test_the_second_phase_starts_without_the_momentum_of_the_first(recipe, tmp_path, monkeypatch):
    sizes = []
    real = Phases.on_train_batch_start

    def note(self, trainer, module, batch, batch_idx):
        real(self, trainer, module, batch, batch_idx)
        sizes.append(len(trainer.optimizers[0].state))

    monkeypatch.setattr(Phases, "on_train_batch_start", note)
    plan = recipe.changed(**{"model.attention": "se", "train.gates_first": 1, "train.epochs": 2})
    train(plan, tmp_path / "run", progress=False)
    assert sizes[0] == sizes[4] == 0
    assert 0 < sizes[3] < sizes[7]


def test_a_new_classifier_learns_with_the_gates(recipe, base):
    model = recipe.model.model_copy(update={"attention": "se", "weights": str(base.path)})
    begun = start(model, 3, 32)
    assert begun.fresh == ["fc.bias", "fc.weight"]
    first = gates_first(begun.network, 1, begun.fresh)
    first._enter(0)
    learning = {name for name, p in begun.network.named_parameters() if p.requires_grad}
    assert {"fc.weight", "fc.bias"} <= learning
    assert all(is_inserted_path(name) or name.startswith("fc.") for name in learning)
    first._enter(1)
    assert all(p.requires_grad for p in begun.network.parameters())
    assert all(module.training for module in begun.network.modules())


def test_weights_come_from_a_gated_network_without_its_gates(recipe, tmp_path):
    gated = train(
        recipe.changed(**{"model.attention": "das", "train.epochs": 1}),
        tmp_path / "gated",
        progress=False,
    )
    classes = len(gated.result["classes"])
    network = create_model("test_resnet", "se", num_classes=classes, stem="small")
    before = {k: v.clone() for k, v in network.state_dict().items() if is_inserted_path(k)}
    assert take_weights_(network, gated.path) == []
    state, trained = network.state_dict(), weights_of(gated)
    assert all(torch.equal(state[key], value) for key, value in before.items())
    assert all(torch.equal(state[k], v) for k, v in trained.items() if not is_inserted_path(k))


def test_weights_of_another_network_are_refused(recipe, base, tmp_path):
    wide = create_model("resnet18", width=0.25, num_classes=8)
    with pytest.raises(ValueError, match=r"weights of the same base network.*same model, stem"):
        take_weights_(wide, base.path)
    with pytest.raises(FileNotFoundError, match=r"model\.json"):
        train(recipe.changed(**{"model.weights": "absent"}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_identity_start_is_the_trained_network_before_its_first_step(recipe, base, tmp_path):
    plan = recipe.changed(
        **{
            "model.attention": "das",
            "model.start": "identity",
            "model.weights": str(base.path),
            "train.validate_start": True,
            "train.epochs": 1,
        }
    )
    run = train(plan, tmp_path / "run", progress=False)
    assert run.result["start"] == {key: base.result[key] for key in ("top1", "top5", "loss")}
    assert [row["epoch"] for row in run.metrics] == [1]
    assert run.result["images"] == 16
    assert base.result["start"] is None


def test_the_average_follows_by_its_definition():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = averaged_copy(network, 0.75)
    assert not any(p.requires_grad for p in average.parameters())
    wanted = None
    for step in range(4):
        with torch.no_grad():
            for tensor in (*network.parameters(), network[1].running_mean):
                tensor.add_(torch.randn_like(tensor))
        average.update_parameters(network)
        now = torch.cat([network[0].weight.flatten(), network[1].running_mean])
        wanted = now if step == 0 else 0.75 * wanted + 0.25 * now
    kept = average.module
    found = torch.cat([kept[0].weight.flatten(), kept[1].running_mean])
    torch.testing.assert_close(found, wanted)


def test_the_average_is_what_is_validated_and_saved(recipe, tmp_path):
    plan = recipe.changed(**{"train.ema_decay": 0.9, "train.epochs": 2, "model.attention": "das"})
    run = train(plan, tmp_path / "run", progress=False)
    plain = train(
        recipe.changed(**{"train.epochs": 2, "model.attention": "das"}),
        tmp_path / "b",
        progress=False,
    )
    averaged, last = weights_of(run), weights_of(plain)
    assert averaged.keys() == last.keys()
    assert not torch.equal(averaged["fc.weight"], last["fc.weight"])
    # Training itself is the same: the average only looks on.
    for name in ("train_loss", "train_top1"):
        assert [row[name] for row in run.metrics] == [row[name] for row in plain.metrics]
    saved = torch.load(run.last_checkpoint, weights_only=True)["state_dict"]
    assert torch.equal(saved["network.fc.weight"], last["fc.weight"])
    assert torch.equal(saved["average.module.fc.weight"], averaged["fc.weight"])


def test_a_scheduled_opening_is_not_averaged(recipe, tmp_path):
    plan = recipe.changed(
        **{
            "model.attention": "se",
            "model.start": "identity",
            "model.opening": "linear",
            "model.opening_epochs": 2.0,
            "train.ema_decay": 0.99,
        }
    )
    run = train(plan, tmp_path / "run", progress=False)
    opened = [value for key, value in weights_of(run).items() if key.endswith("openness")]
    assert opened
    assert all(value == 1 for value in opened)


def test_the_classifier_of_published_weights_is_fresh_whatever_its_form():
    for name, names in {
        "resnet18": ["fc.weight", "fc.bias"],
        "dla34": ["fc.weight", "fc.bias"],  # a convolution
        "efficientnet_b0": ["classifier.weight", "classifier.bias"],
    }.items():
        assert _classifier_of(create_model(name, num_classes=7)) == names


def test_mixing_depends_on_the_place_alone_and_keeps_the_shares():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 8, 8).contiguous()
    labels = torch.arange(4)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    for fields in ({"mixup": 0.5}, {"cutmix": 0.5}, {"mixup": 0.5, "cutmix": 0.5}):
        change = Mixing(TrainSection(**fields), 4, seed=1)
        assert change
        mixed, shares = change(images, labels, step=5, rank=0)
        again, _ = change(images, labels, step=5, rank=0)
        other, _ = change(images, labels, step=6, rank=0)
        assert torch.equal(mixed, again)
        assert not torch.equal(mixed, other)
        # An image of constant value v has label v: its mean is the mean label of its shares.
        torch.testing.assert_close(shares.sum(1), torch.ones(4))
        torch.testing.assert_close(mixed.mean((1, 2, 3)), shares @ torch.arange(4.0))
    assert torch.equal(torch.get_rng_state(), state)
    assert not Mixing(TrainSection(), 4, seed=1)


def test_a_run_without_progress_stops_early_and_stays_stopped(recipe, tmp_path):
    plan = recipe.changed(
        **{
            "train.epochs": 8,
            "train.early_stop": 2,
            "train.lr": 1e-12,
            "data.augment": "none",
            "train.monitor": "val_top1",
        }
    )
    run = train(plan, tmp_path / "run", progress=False)
    assert run.result["epochs"] == len(run.metrics) < 8
    run.result_path.unlink()
    assert train(plan, run.path, resume=True, progress=False).result["epochs"] == len(run.metrics)


def test_early_stop_counts_epochs_without_a_better_value():
    section = TrainSection(early_stop=2)
    assert not should_stop(section, [0.1, 0.3, 0.2])
    assert should_stop(section, [0.1, 0.3, 0.2, 0.3])
    assert not should_stop(TrainSection(), [0.3, 0.2, 0.1, 0.1])
    first = TrainSection(gates_first=3, early_stop=1)
    assert not should_stop(first, [0.3, 0.2, 0.1])
    assert not should_stop(first, [0.3, 0.2, 0.1, 0.1])
    assert should_stop(first, [0.3, 0.2, 0.1, 0.2, 0.1])


def test_phases_and_exponential_decay_in_the_schedule():
    section = TrainSection(
        schedule="exponential", gamma=0.5, gates_first=2, warmup_epochs=1, epochs=6, lr=1.0
    )
    factors = [lr_factor(section, step, 2) for step in range(12)]
    assert factors == [1, 1, 1, 1, 0.5, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_the_rate_is_scaled_to_what_a_step_sees():
    section = TrainSection(lr=0.1, batch_size=64, accumulate=2, lr_batch=256)
    assert section.scaled_lr(1) == pytest.approx(0.05)
    assert section.scaled_lr(8) == pytest.approx(0.4)
    assert TrainSection(lr=0.1).scaled_lr(8) == 0.1
    # Without a rate the default is that of the batch it is scaled from.
    assert TrainSection(batch_size=64, lr_batch=256).scaled_lr(1) == pytest.approx(0.025)


def test_accumulated_batches_make_the_step_of_one_large_batch(recipe, tmp_path):
    """Without batch norm statistics in the way: the loss is a mean over equal batches."""
    changes = {"train.epochs": 1, "data.augment": "none", "train.schedule": "constant"}
    rows = []
    for size, times in ((8, 2), (8, 1)):
        plan = recipe.changed(
            **changes, **{"train.batch_size": size, "train.accumulate": times, "train.lr": 0.01}
        )
        run = train(plan, tmp_path / f"{size}x{times}", progress=False)
        state = torch.load(run.last_checkpoint, weights_only=True)
        rows.append(state["global_step"])
    assert rows == [2, 4]


def test_blocks_are_visited_a_few_at_a_time_in_a_new_order_every_epoch():
    blocks = [range(start, start + 5) for start in range(0, 60, 5)]
    orders = [order_of(7, epoch, 60, blocks) for epoch in range(2)]
    assert orders[0] != orders[1]
    for order in orders:
        assert sorted(order) == list(range(60))
        for first in range(0, 60, 5 * BLOCKS_AT_ONCE):
            near = {place // 5 for place in order[first : first + 5 * BLOCKS_AT_ONCE]}
            assert len(near) == BLOCKS_AT_ONCE
    shares = [
        [key[1] for key in EpochSampler(60, 7, shuffle=True, rank=r, world=3, blocks=blocks)]
        for r in range(3)
    ]
    assert [place for share in shares for place in share] == orders[0]


def test_a_sampler_goes_on_within_its_epoch_alone():
    sampler = EpochSampler(10, 0, shuffle=True, rank=1, world=2)
    whole = {}
    for epoch in (3, 4):
        sampler.set_epoch(epoch)
        whole[epoch] = list(sampler)
    again = EpochSampler(10, 0, shuffle=True, rank=1, world=2)
    again.start_at(3, 2)
    assert list(again) == whole[3][2:]
    assert len(again) == 5
    again.set_epoch(4)
    assert list(again) == whole[4]


def test_the_launcher_says_how_many_processes_there_are(monkeypatch):
    for name in [one for one in os.environ if one.startswith(("TORCHELASTIC", "SLURM", "RANK"))]:
        monkeypatch.delenv(name)
    assert processes(TrainSection(devices=2, nodes=3)) == (2, 3)
    with monkeypatch.context() as torchrun:
        torchrun.setenv("TORCHELASTIC_RUN_ID", "x")
        torchrun.setenv("LOCAL_WORLD_SIZE", "8")
        torchrun.setenv("WORLD_SIZE", "32")
        assert processes(TrainSection()) == processes(TrainSection(devices=8, nodes=4)) == (8, 4)
        with pytest.raises(ValueError, match=r"8 on each of 4 nodes; got 2 and 1; leave both out"):
            processes(TrainSection(devices=2))
    with monkeypatch.context() as slurm:
        slurm.setenv("SLURM_JOB_NAME", "train")
        slurm.setenv("SLURM_NTASKS", "8")
        with pytest.raises(ValueError, match=r"Slurm job of 8 tasks expects srun"):
            processes(TrainSection())
        slurm.setenv("SLURM_STEP_NUM_TASKS", "8")
        slurm.setenv("SLURM_STEP_NUM_NODES", "2")
        assert processes(TrainSection()) == (4, 2)
        for task, main in (("0", True), ("5", False)):
            slurm.setenv("SLURM_PROCID", task)
            assert is_main_process() is main
            assert rank() == int(task)
        slurm.setenv("SLURM_STEP_NUM_NODES", "3")
        with pytest.raises(ValueError, match=r"as many tasks on every node.* got 8 on 3 nodes"):
            processes(TrainSection())
        slurm.setenv("SLURM_JOB_NAME", "bash")
        assert processes(TrainSection()) == (1, 1)
        assert is_main_process()


def test_shared_norms_keep_names_hooks_and_what_they_compute_alone(monkeypatch):
    import timm

    network = timm.create_model("resnet18", num_classes=5)
    insert_(network, "se", "post_norm")
    wide = timm.create_model("efficientnet_b0", num_classes=5)
    image = torch.rand(2, 3, 64, 64)
    for model in (network, wide):
        model.eval()
        keys, before = list(model.state_dict()), model(image)
        assert share_batch_norms_(model, 1, "gpu") == 0
        with pytest.raises(ValueError, match=r"sync_bn expects GPUs; got a CPU"):
            share_batch_norms_(model, 2, "cpu")
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: True)
            assert share_batch_norms_(model, 2, "gpu") >= 20
        assert list(model.state_dict()) == keys
        assert torch.equal(model(image), before)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms == []


def test_a_recipe_extends_another(tmp_path):
    from foveate.training import load_recipe

    (tmp_path / "base.toml").write_text(
        'name = "base"\n[model]\nattention = "das"\noptions = { alpha = 0.1 }\n'
        "[train]\nepochs = 7\n"
    )
    (tmp_path / "sub").mkdir()
    child = tmp_path / "sub" / "child.toml"
    child.write_text('extends = "../base.toml"\n[model]\noptions = {}\n[train]\nlr = 0.5\n')
    made = load_recipe(child)
    assert (made.name, made.model.attention, made.model.options) == ("base", "das", {})
    assert (made.train.epochs, made.train.lr) == (7, 0.5)
    child.write_text('extends = "child.toml"\n')
    with pytest.raises(ValueError, match="another recipe than itself"):
        load_recipe(child)
    child.write_text("extends = 3\n")
    with pytest.raises(ValueError, match="path of a recipe beside it; got 3"):
        load_recipe(child)


def test_processes_look_for_weights_without_gradients_while_some_are_frozen():
    from foveate.detection.recipe import DetectionTrainSection

    warm = DetectionTrainSection(warm_start="backbone_then_all", epochs=14, milestones=[8, 11])
    for train_section, searches in (
        (TrainSection(), False),
        (TrainSection(gates_first=1, epochs=3), True),
        (warm, True),
    ):
        ddp = strategy(2, train_section)
        assert ddp._ddp_kwargs["find_unused_parameters"] is searches
