"""Pretrain the teacher on packed rows: warm-up, a stable phase that any later run continues, and a decay on demand.

    python -m recipe.lm.pretrain --packed build/packed --tokenizer build/tokenizer --out build/teacher --size cpu --steps 8000
    python -m recipe.lm.pretrain ... --decay-steps 1200    # branch off the newest stable checkpoint, finish into OUT/final
    torchrun --nproc-per-node 4 -m recipe.lm.pretrain ... --size gpu    # or: accelerate launch -m recipe.lm.pretrain ...

The learning rate is constant after the warm-up (warm-up, stable, decay: Hu et al. 2024), so every checkpoint of the stable phase
is a place to go on from. A decay branch, linear to zero, turns one into a finished model and leaves the stable run as it was.
Nothing after the first weights draws random numbers and the step's number is the position in the text, so a resumed run repeats
an uninterrupted one on the same kind of machine. Stop it whenever you like: the same command goes on from the last checkpoint.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipe.lm.architecture import SIZES, new_model, new_optimizers
from recipe.lm.checkpoints import checkpoints_of, export, load_checkpoint, save_checkpoint, step_of
from recipe.lm.errors import RecipeError
from recipe.lm.rows import PackedRows, rows_of_step

MAX_POSITIONS = 512


def rate_factor(step: int, *, warmup_steps: int, decay_from: int, decay_steps: int) -> float:
    """Share of the full learning rate at `step`: linear warm-up, constant, and linear to zero where a decay was asked for."""
    warm = min(1.0, (step + 1) / warmup_steps)
    return warm * (1.0 - (step - decay_from) / decay_steps) if decay_steps else warm


def starting_point(out: Path, decay_steps: int) -> tuple[Path, Path | None, int]:
    """Where a run writes its checkpoints, the checkpoint it begins with (None: from nothing), and the step its decay begins at.

    A decay of so many steps that was interrupted goes on in its folder; else a new one leaves the newest stable checkpoint.
    """
    stable = checkpoints_of(out)
    if not decay_steps:
        return out, stable[-1] if stable else None, 0
    for branch in out.glob(f"decay-*-{decay_steps}"):
        if begun := checkpoints_of(branch):
            return branch, begun[-1], int(branch.name.split("-")[1])
    if not stable:
        raise RecipeError(f"{out}: no checkpoint to decay from; train without --decay-steps first")
    decay_from = step_of(stable[-1])
    return out / f"decay-{decay_from}-{decay_steps}", stable[-1], decay_from


def train(arguments: argparse.Namespace) -> None:
    """Train to the last step, or as far as `arguments.seconds` reach; the arguments are those of `main`."""
    # 1 Devices and rows
    accelerator = Accelerator(cpu=arguments.device == "cpu")
    device, processes = accelerator.device, accelerator.num_processes
    size = SIZES[arguments.size]
    packed = PackedRows.open(*arguments.packed)
    if size.rows % processes:
        raise RecipeError(f"{processes} processes cannot share the {size.rows} rows of a step evenly; start a divisor of {size.rows}")

    # 2 Model and optimizers, from the newest checkpoint where there is one
    vocabulary = len(AutoTokenizer.from_pretrained(arguments.tokenizer))
    if arguments.initial_weights:
        model = AutoModelForCausalLM.from_pretrained(arguments.initial_weights, dtype=torch.float32).to(device)
        if model.config.vocab_size != vocabulary:
            found = f"{arguments.initial_weights} has {model.config.vocab_size} tokens"
            raise RecipeError(f"--initial-weights: {found}, --tokenizer {vocabulary}; give its own")
    else:
        model = new_model(size, vocabulary, max_positions=MAX_POSITIONS, seed=arguments.seed).to(device)
    # Compiled plain attention takes 0.7 of the time of a CPU's fused kernel at this length; a GPU's is the faster one there.
    model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")
    rates = (arguments.muon_rate, arguments.adamw_rate)
    optimizers = new_optimizers(model, muon_rate=rates[0], adamw_rate=rates[1])
    folder, checkpoint, decay_from = starting_point(arguments.out, arguments.decay_steps)
    step = load_checkpoint(checkpoint, model, optimizers) if checkpoint else 0
    last_step = decay_from + arguments.decay_steps if arguments.decay_steps else arguments.steps
    folder.mkdir(parents=True, exist_ok=True)
    forward = accelerator.prepare(model)
    if arguments.compile:
        forward = torch.compile(forward, dynamic=False)

    # 3 Steps
    began = saved = time.monotonic()
    losses: list[Tensor] = []
    stopping = False
    while step < last_step and not stopping:
        factor = rate_factor(step, warmup_steps=arguments.warmup_steps, decay_from=decay_from, decay_steps=arguments.decay_steps)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        rows = rows_of_step(step, len(packed.tokens), size.rows, arguments.seed)
        targets = packed.target_count(rows)
        loss = torch.zeros((), device=device)
        for batch in packed.micro_batches(rows[accelerator.process_index :: processes], size.micro_rows, device):
            with torch.autocast(device.type, torch.bfloat16):
                summed = forward(**batch, use_cache=False, num_items_in_batch=1).loss
            # Divided by the whole step's count of targets, so that rows with fewer do not weigh more; and here, not inside the
            # compiled model, which would be compiled anew for every count it meets.
            part = summed * (processes / targets)
            accelerator.backward(part)
            loss += part.detach() / processes
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        step += 1

        # 4 Log by the step, as all processes take part; save by the clock, as a shared machine's steps take as long as they take
        if time.monotonic() - began > arguments.seconds:
            accelerator.set_trigger()
        stopping = step == last_step or accelerator.check_trigger()
        if step % arguments.log_steps == 0 or stopping:
            mean_loss = accelerator.reduce(torch.stack(losses).mean(), "sum").item()
            losses = []
            if not math.isfinite(mean_loss):
                raise RecipeError(f"the loss is {mean_loss} at step {step}: lower --muon-rate or --adamw-rate, go on from {folder}")
            if accelerator.is_main_process:
                record = {
                    "step": step,
                    "tokens": step * size.rows * packed.tokens.shape[1],
                    "loss": round(mean_loss, 4),
                    "rate": round(factor, 4),
                    "seconds": round(time.monotonic() - began, 1),
                    "branch": folder.name if arguments.decay_steps else "stable",
                }
                with (arguments.out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)
        if accelerator.is_main_process and (time.monotonic() - saved > arguments.save_seconds or stopping):
            save_checkpoint(folder, step, model, optimizers)
            saved = time.monotonic()

    # 5 A decayed model is a finished one
    if arguments.decay_steps and step == last_step and accelerator.is_main_process:
        export(model, arguments.tokenizer, arguments.out / "final")
        print(f"finished model: {arguments.out / 'final'}")
    accelerator.wait_for_everyone()  # a process that leaves while another still writes can leave it waiting for ever
    accelerator.end_training()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed", type=Path, nargs="+", required=True, help="folders written by recipe.lm.pack and recipe.lm.denoise")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder written by recipe.lm.tokenizer")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for checkpoints, log.jsonl and final/; gone on with where it exists"
    )
    parser.add_argument("--size", choices=SIZES, default="cpu", help="shape of the model and of a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8000, help="steps of the stable phase, all runs together (default: %(default)s)")
    parser.add_argument("--decay-steps", type=int, default=0, help="decay to zero in so many steps instead (default: stable phase)")
    parser.add_argument("--initial-weights", type=Path, help="first weights: a finished model's folder, of any shape (default: random)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop with a checkpoint after so long (default: never)")
    parser.add_argument("--warmup-steps", type=int, default=100, help="steps of linear warm-up (default: %(default)s)")
    parser.add_argument("--muon-rate", type=float, default=0.02, help="learning rate of the matrices (default: %(default)s)")
    parser.add_argument("--adamw-rate", type=float, default=3e-3, help="learning rate of the rest (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first weights and row order (default: %(default)s)")
    parser.add_argument("--save-seconds", type=float, default=300, help="between checkpoints (default: %(default)s)")
    parser.add_argument("--log-steps", type=int, default=10, help="between log lines (default: %(default)s)")
    parser.add_argument("--device", choices=["auto", "cpu"], default="auto", help="auto: GPUs where there are any (default: auto)")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="torch.compile the model (default: yes)")
    train(parser.parse_args(argv))


if __name__ == "__main__":
    main()
