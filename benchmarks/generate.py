"""`generate` against one raw in-process `vllm.LLM.chat` call over the same missing requests.

    python benchmarks/generate.py [--requests 256] [--rounds 5]

Both run the embedded model with the same engine settings, in alternating order, each in a process of its own. The
requests are distinct: orca2 asks a repeated one once, which its tokens/s must not be charged for. Engine
start is excluded from both rates and printed beside them. The two runs of a round follow each other, so the machine is
much the same for both: the median of the rounds' ratios counts. Claim: it is at least 0.90 of the tokens/s.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_TOKENS = 64


def main() -> None:
    arguments = _arguments()
    if arguments.side:
        {"raw": _raw, "ours": _ours}[arguments.side](arguments.requests)
        return
    rates: dict[str, list[float]] = {"raw": [], "ours": []}
    for round_number in range(arguments.rounds):
        for side in ("raw", "ours") if round_number % 2 == 0 else ("ours", "raw"):
            result = _measure(side, arguments.requests)
            rates[side].append(result["tokens"] / result["seconds"])
            print(f"{side:5} {rates[side][-1]:7.1f} tokens/s, {result['tokens']} tokens, start {result['start']:.1f} s")
    ratios = [ours / raw for ours, raw in zip(rates["ours"], rates["raw"], strict=True)]
    print(f"of each round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    raw, ours = statistics.median(rates["raw"]), statistics.median(rates["ours"])
    each = f"generate: {ours:.1f} tokens/s, vllm.LLM.chat: {raw:.1f} tokens/s"
    print(f"{each}, median ratio {statistics.median(ratios):.3f} (claim: 0.90)")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=["raw", "ours"], help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(side: str, requests: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--requests", str(requests)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def build_requests(count: int) -> tuple:
    import reasoning_gym

    from orca2.core.rows import Example, Sampling
    from orca2.recipe import models
    from orca2.recipe.requests import build_request
    from orca2.recipe.templates import Templates

    teacher, templates = models.read_prepared(ROOT / "models/models.json")["teacher"], Templates(ROOT / "templates")
    dataset = reasoning_gym.create_dataset("chain_sum", size=2 * count, seed=1, max_terms=2, max_digits=2)
    entries = list({entry["question"]: entry for entry in dataset}.values())[:count]
    strategies = templates.strategies
    requests = []
    for number, entry in enumerate(entries):
        example = Example(
            row_id=f"{number:064x}", task="sum", category="arithmetic", split="train", question=entry["question"],
            answer=str(entry["answer"]), grader="numeric", metadata="{}", source="", licence="",
        )  # fmt: skip
        strategy = strategies[number % len(strategies)]
        conversation = templates.teacher(example, strategy)
        requests.append(
            build_request(
                row_id=example.row_id,
                sample_index=0,
                task="sum",
                strategy=strategy,
                template=conversation.template,
                model=teacher.digest,
                messages=conversation.messages,
                sampling=Sampling(max_tokens=MAX_TOKENS),
                seed=1,
            )
        )
    return replace(teacher, folder=ROOT / teacher.on_disk), requests


def _raw(count: int) -> None:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from vllm import LLM, SamplingParams

    from orca2.engines.vllm import EngineConfig

    teacher, requests = build_requests(count)
    config = EngineConfig()
    begin = time.perf_counter()
    llm = LLM(
        model=str(teacher.folder), dtype=config.dtype, max_model_len=config.max_model_len,
        max_num_seqs=config.max_num_seqs, block_size=config.block_size, enforce_eager=True,
        kv_cache_memory_bytes=int(config.kv_cache_gib * 2**30),
    )  # fmt: skip
    started = time.perf_counter()
    chats = [[{"role": m.role, "content": m.content} for m in r.messages] for r in requests]
    outputs = llm.chat(chats, SamplingParams(temperature=0, max_tokens=MAX_TOKENS), use_tqdm=False)
    seconds = time.perf_counter() - started
    tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
    print(json.dumps({"tokens": tokens, "seconds": seconds, "start": started - begin}))


def _ours(count: int) -> None:
    from orca2.engines.config import GenerationConfig
    from orca2.engines.generation import answer
    from orca2.store.store import Store

    teacher, requests = build_requests(count)
    with tempfile.TemporaryDirectory() as store:
        run = answer(requests, teacher, Store(Path(store)), GenerationConfig())
    print(json.dumps({"tokens": run.generated_tokens, "seconds": run.generate_s, "start": run.start_s}))


if __name__ == "__main__":
    main()
