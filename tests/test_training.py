"""One curve however the work is spread, attention inside a segment, and a kill that costs only the work in flight."""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orca2.core.errors import Orca2Error
from orca2.core.rows import PackedSequence
from orca2.project.shards import read_rows, write_rows
from orca2.recipe.chat import load_tokenizer
from orca2.recipe.packing import PackConfig, pack
from orca2.training import checkpoints, run, worker
from orca2.training.loop import learning_rate, load_model, plan_steps, supervised_loss
from orca2.training.run import TrainClusterConfig, train
from tests.test_packing import make_chats
from tests.tiny import make_tiny_model
from tests.train_here import train_in
from tests.two_ranks import CONFIG, STAGES

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a tiny model and what was packed for it: 11 sequences."""
    folder = tmp_path_factory.mktemp("data")
    make_tiny_model(folder / "model")
    sequences, _ = pack(make_chats(40), load_tokenizer(folder / "model"), PackConfig(max_tokens=160))
    write_rows(folder / "packed", PackedSequence, sequences)
    return folder


@pytest.fixture(scope="module")
def reference(data, ray, tmp_path_factory):
    """An uninterrupted run with one rank."""
    folder = tmp_path_factory.mktemp("reference")
    return folder, train_in(folder, data=data)


@pytest.fixture(scope="module")
def killed(data, tmp_path_factory):
    """A run of which every process was killed by SIGKILL after its first checkpoint."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.train_here", str(folder), str(data)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        while not list(folder.glob("checkpoints/*-step-*/complete.json")):
            assert process.poll() is None, "training ended before it could be killed"
            time.sleep(0.01)
        kill_all(process.pid)
    return folder


def kill_all(pid):
    import psutil

    root = psutil.Process(pid)
    for process in [*root.children(recursive=True), root]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def copy_of(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def logged(folder, name="loss"):
    with (folder / "curve" / "plots" / "metrics" / f"{name}.tsv").open() as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file, delimiter="\t")]


def losses(folder):
    return [loss for _, loss in logged(folder)]


def packed_loss(model, sequence):
    return supervised_loss(model, sequence, "cpu").item()


def num_steps(data):
    return len(plan_steps(len(read_rows(data / "packed", PackedSequence)), CONFIG, 5))


@pytest.fixture(scope="module")
def two_ranks(data, tmp_path_factory):
    """What two ranks logged, by ZeRO stage."""
    out = tmp_path_factory.mktemp("two_ranks") / "curves.json"
    command = [sys.executable, "-m", "tests.two_ranks", *map(str, (data / "packed", data / "model", out))]
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    return json.loads(out.read_text())


@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_under_every_zero_stage_give_the_curve_of_one_rank(reference, two_ranks, stage):
    assert two_ranks[str(stage)]["losses"] == pytest.approx(losses(reference[0]), abs=1e-4)


def test_bfloat16_gives_nearly_the_curve_of_float32(reference, two_ranks):
    assert two_ranks["bfloat16"]["losses"] == pytest.approx(losses(reference[0]), rel=0.05)


def test_the_gradient_is_that_of_the_mean_over_the_whole_batch(data, two_ranks):
    import torch

    model = load_model(data / "model", "float32")
    sequences = read_rows(data / "packed", PackedSequence)
    batch = [sequences[index] for index in plan_steps(len(sequences), CONFIG, 5)[0]]
    num_supervised = sum(label >= 0 for sequence in batch for label in sequence.labels)
    sum(supervised_loss(model, sequence, "cpu") for sequence in batch).div(num_supervised).backward()
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in model.parameters()]).item()
    for stage in (1, 2, 3):
        assert two_ranks[str(stage)]["norms"][0] == pytest.approx(norm, rel=1e-4)
    assert max(two_ranks["1"]["norms"]) > CONFIG.max_grad_norm > min(two_ranks["1"]["norms"])


def test_training_lowers_the_loss_and_the_results_say_so(data, reference):
    results = reference[1]["results"]
    assert results["steps"] == num_steps(data) == len(losses(reference[0]))
    assert results["loss_last_epoch"] < results["loss_first_step"] - 0.3
    assert results["loss_first_step"] == pytest.approx(losses(reference[0])[0], abs=1e-6)
    assert reference[1]["speed"]["tokens_per_s"] > 0


def test_the_trained_folder_is_a_model_that_predicts_better(data, reference):
    trained = reference[0] / "trained"
    sequence = read_rows(data / "packed", PackedSequence)[0]
    before, after = (packed_loss(load_model(f, "float32"), sequence) for f in (data / "model", trained))
    assert after < 0.95 * before
    assert json.loads((trained / "config.json").read_text())["dtype"] == "float32"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (trained / name).read_bytes() == (data / "model" / name).read_bytes()
    assert load_tokenizer(trained).chat_template
    assert not list(reference[0].glob(".trained*"))


def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_with_the_same_losses(
    data, reference, killed, ray, tmp_path, capsys
):
    folder = copy_of(killed, tmp_path)
    assert not (folder / "trained").exists()
    train_in(folder, data=data)
    assert "resuming after step 4" in capsys.readouterr().out
    assert logged(folder) == [(step, pytest.approx(loss, abs=1e-6)) for step, loss in logged(reference[0])]
    sequence = read_rows(data / "packed", PackedSequence)[0]
    ours, theirs = (load_model(f / "trained", "float32") for f in (folder, reference[0]))
    assert packed_loss(ours, sequence) == pytest.approx(packed_loss(theirs, sequence), rel=1e-6)


def test_a_checkpoint_of_other_inputs_is_not_gone_on_from(data, reference, killed, ray, tmp_path, capsys):
    folder = copy_of(killed, tmp_path)
    config = replace(CONFIG, zero_stage=3)
    train_in(folder, data=data, config=config, workers=2)
    assert "starting afresh" in capsys.readouterr().out
    assert losses(folder) == pytest.approx(losses(reference[0]), abs=1e-4)
    assert len(list(folder.glob("checkpoints/*-step-*"))) == 1
    sequence = read_rows(data / "packed", PackedSequence)[0]
    ours, theirs = (load_model(f / "trained", "float32") for f in (folder, reference[0]))
    assert packed_loss(ours, sequence) == pytest.approx(packed_loss(theirs, sequence), rel=1e-3)


def test_a_checkpoint_cut_off_by_a_kill_is_not_seen(killed, tmp_path):
    folder = copy_of(killed, tmp_path) / "checkpoints"
    marker = next(folder.glob("*-step-*/complete.json"))
    identity = json.loads(marker.read_text())["identity"]
    assert len(checkpoints.find(folder, identity).history) == 4
    assert checkpoints.find(folder, "another") is None
    marker.unlink()
    assert checkpoints.find(folder, identity) is None


def test_a_loss_that_is_not_a_number_is_an_error_with_its_step(data, ray, tmp_path):
    import torch

    model = load_model(data / "model", "float32")
    torch.nn.init.constant_(model.model.norm.weight, math.nan)
    broken = copy_of(data / "model", tmp_path)
    model.save_pretrained(str(broken))
    with pytest.raises(Orca2Error, match="training step 1 of 8: the loss is nan"):
        train_in(tmp_path, data=data, model=broken)
    assert not (tmp_path / "trained").exists()


def test_logits_of_a_packed_segment_equal_those_of_the_segment_alone(data):
    import torch

    model = load_model(data / "model", "float32")
    sequence = max(read_rows(data / "packed", PackedSequence), key=lambda sequence: len(sequence.segments))
    assert len(sequence.segments) > 2
    alone = [
        PackedSequence(
            sequence_index=0,
            input_ids=sequence.input_ids[s.start : s.start + s.length],
            labels=sequence.labels[s.start : s.start + s.length],
            segments=(replace(s, start=0),),
        )
        for s in sequence.segments
    ]
    packed_logits = logits_of(model, sequence)
    alone_logits = torch.cat([logits_of(model, segment) for segment in alone])
    assert torch.allclose(packed_logits, alone_logits, atol=1e-4)
    total = sum(packed_loss(model, segment) for segment in alone)
    assert packed_loss(model, sequence) == pytest.approx(total, rel=1e-5)


def logits_of(model, sequence):
    """The logits that the loss is taken from."""
    kept = []

    def spy(**arguments):
        output = model(**arguments)
        kept.append(output.logits[0].detach())
        return output

    supervised_loss(spy, sequence, "cpu")
    return kept[0]


def test_the_loss_is_that_of_transformers_over_all_positions(data):
    import torch

    model = load_model(data / "model", "float32")
    sequence = read_rows(data / "packed", PackedSequence)[0]
    positions = [p for segment in sequence.segments for p in range(segment.length)]
    plain = model(
        input_ids=torch.tensor([sequence.input_ids]),
        position_ids=torch.tensor([positions]),
        labels=torch.tensor([sequence.labels]),
        use_cache=False,
    ).loss
    num_supervised = sum(label >= 0 for label in sequence.labels)
    assert packed_loss(model, sequence) / num_supervised == pytest.approx(plain.item(), rel=1e-5)


def test_every_epoch_takes_every_sequence_once_in_an_order_of_its_own():
    config = replace(CONFIG, epochs=3)
    plan = plan_steps(11, config, seed=1)
    epochs = [[i for step in plan[e * 4 : e * 4 + 4] for i in step] for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(11))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert plan == plan_steps(11, config, seed=1) != plan_steps(11, config, seed=2)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_rises_to_its_peak_then_follows_its_schedule(schedule):
    config = replace(CONFIG, warmup_ratio=0.1, schedule=schedule)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[10] == config.learning_rate
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert min(rates) > 0
    assert (rates[-1] < 0.02 * config.learning_rate) == (schedule != "constant")


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_schedule_of_no_or_only_warm_up_works(ratio):
    assert all(0 < learning_rate(step, 7, replace(CONFIG, warmup_ratio=ratio)) <= 3e-3 for step in range(7))


def untrainable(data, **changes):
    arguments = {
        "sequences": read_rows(data / "packed", PackedSequence), "model_folder": data / "model", "output": data / "out",
        "config": CONFIG, "cluster": TrainClusterConfig(), "seed": 1, "identity": "x", "kept_files": [],
        "checkpoint_dir": data / "c", "live_dir": data / "l",
    }  # fmt: skip
    return train(**(arguments | changes))


def test_nothing_to_train_on_is_an_error(data):
    with pytest.raises(Orca2Error, match="nothing to train on"):
        untrainable(data, sequences=[])


def test_a_missing_model_is_an_error(data):
    with pytest.raises(Orca2Error, match="no model here"):
        untrainable(data, model_folder=data / "nowhere")


def test_data_packed_for_a_larger_vocabulary_is_an_error(data):
    foreign = PackedSequence(sequence_index=0, input_ids=(1, 49151), labels=(-100, 49151), segments=())
    with pytest.raises(Orca2Error, match="token 49151"):
        untrainable(data, sequences=[foreign])


def test_more_workers_than_the_cluster_has_room_for_is_an_error(data, ray):
    with pytest.raises(Orca2Error, match="do not fit"):
        untrainable(data, cluster=TrainClusterConfig(workers=9000, cpus_per_worker=1))


def test_progress_is_said_while_workers_train(tmp_path, monkeypatch, capsys):
    live = worker.open_curve(tmp_path, [])
    monkeypatch.setattr(run, "_PROGRESS_S", 0.05)
    with run._progress(tmp_path / "metrics.json", 9):
        worker.log(live, {"loss": 2.5, "learning_rate": 0.1})
        time.sleep(0.5)
    live.end()
    assert "  step 1 of 9, loss 2.500" in capsys.readouterr().out
