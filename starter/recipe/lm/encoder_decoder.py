"""Another M0 to try: a small encoder-decoder that learns to undo noise on the teacher's text, from nothing but the teacher's embeddings.

    python -m recipe.lm.encoder_decoder --corpus DIR --teacher build/teacher/final --out build/encoder-decoder --pairs 200000
    impdistill run starter --set student.model=build/encoder-decoder/student ...

The same noise as in recipe.lm.denoise, which a causal M0 has learnt from. Stopped at any moment, the same command goes on from its
last checkpoint.
"""

import argparse
from itertools import chain, islice
from pathlib import Path

import torch
from impdistill.recipe_student import TrainingRecipe
from impdistill.train.examples import Example
from impdistill.train.finetune import finetune
from impdistill.train.training import TrainingProgress
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from recipe.lm.denoise import noisy_sentences
from recipe.lm.documents import corpus_files

INSTRUCTION = "Restore the given sentence: "
GROUP = "restore"
HELD_OUT = 200
CHECKPOINTS = 20
HEAD_WIDTH = 64


def new_encoder_decoder(
    embeddings: torch.Tensor, tokenizer: PreTrainedTokenizerBase, *, layers: int, inner_width: int, seed: int
) -> T5ForConditionalGeneration:
    """`layers` a side, in T5's gated form (Raffel et al. 2020); `embeddings` (vocabulary, width), tied, scaled to what T5 expects."""
    torch.manual_seed(seed)
    width = embeddings.shape[1]
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=embeddings.shape[0],
            d_model=width,
            d_kv=HEAD_WIDTH,
            d_ff=inner_width,
            num_layers=layers,
            num_decoder_layers=layers,
            num_heads=width // HEAD_WIDTH,
            feed_forward_proj="gated-silu",
            dropout_rate=0.0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )
    with torch.no_grad():
        model.shared.weight.copy_(embeddings / embeddings.std())
    return model


def examples(corpus: Path, count: int, seed: int) -> list[Example]:
    """`count` noisy sentences of all domains in turn, each with what it was."""
    in_turn = chain.from_iterable(zip(*(noisy_sentences(path, seed) for path in corpus_files(corpus).values()), strict=False))
    return [Example(GROUP, x, y) for x, y in islice(in_turn, count)]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of <domain>.txt[.xz], one document a line")
    parser.add_argument("--teacher", type=Path, required=True, help="finished model: its tokenizer and embeddings are taken")
    parser.add_argument("--out", type=Path, required=True, help="folder: the finished model is its student/")
    parser.add_argument("--pairs", type=int, default=200_000, help="sentences, read once, a few of them held out (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=3, help="of each side (default: %(default)s)")
    parser.add_argument("--inner-width", type=int, default=1024, help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1e-3, help="AdamW's highest learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    blank = options.out / "blank"
    if not blank.exists():
        tokenizer = AutoTokenizer.from_pretrained(options.teacher)
        teacher = AutoModelForCausalLM.from_pretrained(options.teacher, dtype=torch.float32)
        embeddings = teacher.get_input_embeddings().weight.detach()
        model = new_encoder_decoder(embeddings, tokenizer, layers=options.layers, inner_width=options.inner_width, seed=options.seed)
        print(f"{model.num_parameters() / 1e6:.1f}M parameters", flush=True)
        tokenizer.save_pretrained(blank)
        model.save_pretrained(blank)
    held_out = min(HELD_OUT, options.pairs // 10)
    pairs = examples(options.corpus, options.pairs, options.seed)

    def show(progress: TrainingProgress) -> None:
        if progress.step % 50 == 0:
            print(f"step {progress.step} of {progress.total_steps}, loss {progress.loss}, held out {progress.held_out_loss}", flush=True)

    result = finetune(
        str(blank),
        None,
        pairs[held_out:],
        pairs[:held_out],
        options.out / "student",
        options.out / "work",
        TrainingRecipe(
            epochs=1,
            learning_rate=options.rate,
            batch_size=options.batch_size,
            gradient_accumulation=1,
            max_source_tokens=160,
            max_target_tokens=96,
            evaluations_per_epoch=CHECKPOINTS,
            patience=None,
        ),
        {GROUP: INSTRUCTION},
        seed=options.seed,
        on_progress=show,
    )
    print(f"held-out loss a token {result.best_validation_loss:.3f} after {result.seconds:.0f} s: {options.out / 'student'}")


if __name__ == "__main__":
    main()
