"""What runs inside an environment: `python trial.py job.json --slot N`, the standard library alone until it must.

The modes of job.json: `tune` asks the API for trials until there are none left, `fit` trains one model and leaves it
with its predictions, `predict` applies a model that was trained before, `serve` answers requests with one until it is
asked to stop. The process ends with a verdict in
`slots/N.verdict.json`; one that leaves none was ended from outside, or by the model's own code.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file: the folder must not be searched, or model code would find our modules
    _here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or ".") != _here]
    _package = types.ModuleType("executors")
    _package.__path__ = [_here]
    sys.modules["executors"] = _package

from executors.inside import results, scoring, serve, verdicts
from executors.inside.handle import Handle, Pruned
from executors.inside.learner import Learner
from executors.inside.program import Program, seed_all
from executors.inside.protocol import Heart, Protocol
from executors.inside.tables import Tables
from executors.inside.verdicts import Canceled, End, InvalidJob, Stale, Terminated, UserCode, need

WAIT_LIMIT = 5.0  # seconds between two asks of a slot that waits for others
BEAT, GRACE = 5.0, 5.0


class Trial:
    """One slot at its job."""

    def __init__(self, root: Path, job: dict[str, Any], slot: str, protocol: Protocol | None) -> None:
        self.root, self.job, self.slot, self.protocol = root, job, slot, protocol
        self.out = root / job.get("out", "out")
        self.out.mkdir(parents=True, exist_ok=True)
        self.task = str(job.get("task", "classification"))
        self.seed = int(job.get("seed") or 0)
        self.metrics = list(job.get("metrics") or ())
        self.tables = Tables(root, job)
        self.learner = _learner(root, job, self.tables, slot)

    def run(self) -> None:
        """Do the job in the mode it asks for."""
        modes = {"tune": self.tune, "fit": self.fit, "predict": self.predict, "serve": self.serve}
        mode = self.job.get("mode")
        if mode not in modes:
            raise InvalidJob(f"unknown mode {mode!r}; known: {', '.join(modes)}")
        unknown = [name for name in self._measured if name not in scoring.METRICS]
        if unknown:
            raise InvalidJob(f"unknown metrics {unknown}; known: {', '.join(scoring.METRICS)}")
        modes[mode]()

    @property
    def _measured(self) -> list[str]:
        objective = self.job.get("objective")
        return [*([objective["metric"]] if objective else []), *self.metrics]

    def _program(self) -> Program:
        need("numpy")
        code = self.job["code"]
        seed_all(self.seed)
        program = Program(self.root / code.get("path", "code"), code["entry"], code.get("contract", "build"))
        self.learner.ready()
        return program

    def tune(self) -> None:
        """Ask for trials and tell how they end, until there is nothing left to try."""
        if self.protocol is None:
            raise InvalidJob("tuning needs the run protocol")
        program = self._program()
        results.info(self.out, task=self.task, code=program.seen)
        self.learner.check()
        while not (asked := self.protocol.ask()).get("done"):
            trial = asked.get("trial")
            if trial is None:
                time.sleep(min(float(asked.get("wait") or 1.0), WAIT_LIMIT))
            elif not self._crashed(trial["number"]):
                self._try(program, self.protocol, trial["number"], trial["params"])

    def _crashed(self, number: int) -> bool:
        """Tell that a trial failed whose process was ended by it; True when the shepherd says it was this one."""
        note = self.root / "slots" / f"{self.slot}.crash.json"
        if self.protocol is None or not note.exists():
            return False
        crash = json.loads(note.read_text())
        note.unlink()
        if crash["trial"] != number:
            return False
        self.protocol.tell(number, "FAIL", error=crash["message"], reason=crash["reason"])
        return True

    def _try(self, program: Program, protocol: Protocol, number: int, params: dict[str, Any]) -> None:
        self._note(number)
        protocol.on_wait = lambda waits: self._note(number, is_paused=waits)  # an API that is away costs no time
        state, told = self._attempt(program, params, number)
        protocol.on_wait = lambda waits: None
        self._note(number, is_paused=True)
        protocol.tell(number, state, **told)

    def _note(self, number: int, *, is_paused: bool = False) -> None:
        """Leave word for the shepherd, which holds the clock of the trial."""
        note = {"trial": number, "is_paused": is_paused}
        verdicts.write_json(self.root / "slots" / f"{self.slot}.trial.json", note)

    def _attempt(self, program: Program, params: dict[str, Any], number: int) -> tuple[str, dict[str, Any]]:
        """Run one trial, and say how it ended."""
        objective = self.job["objective"]["metric"]
        print(f"trial {number}: {json.dumps(params)}", flush=True)
        try:
            values = self._values(program, params, number)
            if objective not in values:
                raise UserCode(f"the objective {objective} is not a finite number")
        except Pruned as error:
            print(f"trial {number}: {error}", flush=True)
            return "PRUNED", {}
        except (End, MemoryError) as error:
            message = str(verdicts.of_user_code(error))
            print(f"trial {number} failed: {message}", flush=True)
            return "FAIL", {"error": message}
        print(f"trial {number}: {objective} = {values[objective]}", flush=True)
        return "COMPLETE", {"value": values[objective], "metrics": values}

    def _values(self, program: Program, params: dict[str, Any], number: int) -> dict[str, float]:
        objective, split = self.job["objective"]["metric"], self.job["objective"].get("split", "validate")
        handle = self._train(program, params, number)
        values = dict(handle.metrics)
        if handle.model is not None:
            values |= self.learner.measure(handle.model, split, self.metrics, required=objective)
            if self.protocol is not None and program.contract != "train" and objective in values:
                self.protocol.report(number, 0, values[objective])
        if objective not in values and handle.last_reported is not None:
            values[objective] = handle.last_reported
        if objective not in values and handle.model is None:
            raise UserCode(f"train() neither saved a model nor logged or reported {objective}")
        return values

    def _train(self, program: Program, params: dict[str, Any], number: int | None) -> Handle:
        seed_all(self.seed)
        handle = Handle(dict(params), self.tables, seed=self.seed, protocol=self.protocol, trial=number)
        try:
            self.learner.fit(program, handle)
        except UserCode as error:
            if isinstance(error.__cause__, Pruned):
                raise error.__cause__ from None
            raise
        return handle

    def fit(self) -> None:
        """Train one model; leave it with its predictions on the splits that are held out."""
        program = self._program()
        handle = self._train(program, self.job.get("params") or {}, None)
        if handle.model is None:
            raise UserCode("train() did not save a model: call run.save(model) or return it")
        model = handle.model
        file = self.learner.save(model, self.out, program.format)
        asked = (self.job.get("predict") or {}).get("splits")
        splits = [split for split in self.tables.paths if split != "train"] if asked is None else asked
        scores = {}
        for split in splits:
            path = self.out / "predictions" / f"{split}.parquet"
            scores[split] = self.learner.predict(model, split, path, metrics=self.metrics)
        self._close(model, code=program.seen, model=file, metrics=scores, logged=handle.metrics)

    def predict(self) -> None:
        """Apply a model that was trained before; nothing of it runs until its digest and types are approved."""
        asked = self.job.get("predict") or {}
        self.tables.paths |= asked.get("data") or {}
        splits = list(asked.get("data") or asked.get("splits") or self.tables.paths)
        model, given = self.learner.load(), self.job["model"]
        for split in splits:
            name = "predictions.parquet" if len(splits) == 1 else f"predictions/{split}.parquet"
            self.learner.predict(model, split, self.out / name)
        self._close(model, model={name: given[name] for name in ("sha256", "path")})

    def serve(self) -> None:
        """Answer requests with a model that was trained before."""
        serve.serve(self.learner.load(), self.job)

    def _close(self, fitted: Any, **known: Any) -> None:
        results.info(self.out, task=self.task, seed=self.seed, **self.learner.known(fitted), **known)
        results.manifest(self.out)


def _learner(root: Path, job: dict[str, Any], tables: Tables, slot: str) -> Learner:
    """What the model's code, or the model, wants to learn by."""
    if "spark" not in ((job.get("code") or {}).get("contract"), (job.get("model") or {}).get("format")):
        return Learner(root, job, tables)
    try:
        from executors.spark_yarn.inside.learner import SparkLearner
    except ModuleNotFoundError as error:
        raise InvalidJob("a model of Spark ML lives on a cluster: use the executor spark_yarn") from error
    return SparkLearner(root, job, tables, slot)


def main(arguments: list[str] | None = None) -> int:
    """Do one job in one slot and return its exit code; see executors/inside/verdicts.py."""
    parser = argparse.ArgumentParser(description="one slot of a run")
    parser.add_argument("job", type=Path)
    parser.add_argument("--slot", default="0")
    given = parser.parse_args(arguments)
    root = given.job.resolve().parent
    try:
        job = json.loads(given.job.read_text())
    except (OSError, ValueError) as error:
        parser.error(f"{given.job} cannot be read: {error}")
    os.chdir(root)
    end, heart = _live(root, job, given.slot)
    if end is not None and heart is not None and heart.stopped_by is not None:
        end = heart.stopped_by  # and not what became of that where it met the work: an import takes it for its failure
    reason, code = (verdicts.DONE, 0) if end is None else (getattr(end, "reason", "ERROR"), getattr(end, "code", 70))
    message = None if end is None else str(end)
    print(f"slot {given.slot}: {reason}{f': {message}' if message else ''}", flush=True)
    verdicts.write(root, given.slot, reason, message)
    if heart is not None:
        heart.rest()
    return int(code)


def _live(root: Path, job: dict[str, Any], slot: str) -> tuple[BaseException | None, Heart | None]:
    """Do the job between the first beat and the last, and catch whatever ends it."""
    signal.signal(signal.SIGTERM, _on_term)
    line = job.get("protocol")
    heart = protocol = None
    try:
        if line:
            protocol = Protocol.of(line, slot=slot)
            heart = Heart(protocol, interval=float(line.get("beat") or BEAT), grace=GRACE)
            heart.start()
        Trial(root, job, slot, protocol).run()
    except (End, Canceled, Stale, Terminated) as error:
        return error, heart
    except KeyError as error:
        return InvalidJob(f"job.json lacks {error}"), heart
    except OSError as error:
        return End(f"{type(error).__name__}: {error}"), heart
    except MemoryError as error:
        return verdicts.OutOfMemory(verdicts.last_lines(error)), heart
    except Exception as error:
        if heart is None or heart.stopped_by is None:
            raise
        return error, heart
    return None, heart


def _on_fault(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A fault of ours: its traceback goes to the log, and the process ends whatever threads there are."""
    sys.__excepthook__(kind, error, trace)
    verdicts.leave(70)


def _on_term(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated("asked to stop")


if __name__ == "__main__":
    sys.excepthook = _on_fault
    verdicts.leave(main())
