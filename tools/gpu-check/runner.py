"""Steps of a stage: each with a time limit, each leaving a record, so that the next call goes on where this one stopped."""
import dataclasses
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import typing


class Failed(Exception):
    """A step found something wrong; `result` keeps what was measured until then."""

    def __init__(self, message, result=None):
        super().__init__(message)
        self.result = result


class Skipped(Exception):
    """A step cannot run here; the message names what is missing."""


@dataclasses.dataclass
class Step:
    name: str
    run: typing.Callable  # (limit in seconds) -> JSON-able result
    limit: float = 120.0
    key: str = ""  # what the result depends on; another key runs the step again
    products: tuple = ()  # paths without which a finished step has to run again


class Records:
    """What is known so far, written after every step: state.json, and a copy for whoever collects the output."""

    def __init__(self, folder, out, merge=None):
        self.folder = pathlib.Path(folder)
        self.out = pathlib.Path(out) if out else None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "state.json"
        self.data = read_json(self.path) or {}
        for stage, steps in (read_json(merge) or {}).items() if merge else ():
            self.data[stage] = {**steps, **self.data.get(stage, {})}

    def of(self, stage):
        return self.data.setdefault(stage, {})

    def put(self, stage, name, record):
        self.of(stage)[name] = record
        text = json.dumps(self.data, indent=1) + "\n"
        write_whole(self.path, text)
        self.share("gpu-check.json", text)

    def share(self, name, text):
        if self.out:
            self.out.mkdir(parents=True, exist_ok=True)
            write_whole(self.out / name, text)

    def clear(self, stage):
        self.data.pop(stage, None)


def read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return None


def write_whole(path, text):
    part = pathlib.Path(f"{path}.part")
    part.write_text(text)
    os.replace(part, path)


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def finished(record, step):
    done = record and record["status"] == "passed" and record["key"] == step.key
    return bool(done) and all(os.path.exists(product) for product in step.products)


class Stage:
    """Runs steps until they are done or the time is up. Steps never tried come before steps that failed in an earlier call."""

    def __init__(self, name, records, seconds, only=""):
        self.name = name
        self.records = records
        self.deadline = time.monotonic() + seconds
        self.only = re.compile(only)
        self.counts = dict(passed=0, failed=0, skipped=0)
        self.left = []

    def remaining(self):
        return self.deadline - time.monotonic()

    def run(self, steps):
        known = self.records.of(self.name)
        wanted = [step for step in steps if self.only.search(step.name)]
        todo = [step for step in wanted if not finished(known.get(step.name), step)]
        for step in wanted:
            if step not in todo:
                self.counts["passed"] += 1
                print(f"== {step.name}: done before ({known[step.name]['date']})", flush=True)
        fresh = [step for step in todo if step.name not in known or known[step.name]["key"] != step.key]
        for step in fresh + [step for step in todo if step not in fresh]:
            if self.remaining() < min(step.limit, 10.0):
                self.left.append(step.name)
                continue
            self.run_one(step)
        return self.counts["failed"] == 0 and not self.left

    def run_one(self, step):
        limit = min(step.limit, self.remaining())
        print(f"== {step.name} (at most {limit:.0f} s)", flush=True)
        began = time.monotonic()
        record = dict(status="passed", key=step.key, date=now(), result=None)
        try:
            record["result"] = step.run(limit)
        except Skipped as reason:
            record.update(status="skipped", reason=str(reason))
        except Failed as problem:
            record.update(status="failed", reason=str(problem), result=problem.result)
        except subprocess.TimeoutExpired:
            record.update(status="failed", reason=f"not finished after {limit:.0f} s")
        except Exception as error:  # a bug in one step must not lose the others
            record.update(status="failed", reason=f"{type(error).__name__}: {error}")
        record["seconds"] = round(time.monotonic() - began, 1)
        self.counts[record["status"]] += 1
        self.records.put(self.name, step.name, record)
        reason = f": {record['reason']}" if "reason" in record else ""
        print(f"== {step.name}: {record['status']} after {record['seconds']} s{reason}", flush=True)

    def closing(self):
        if self.left:
            print(f"{len(self.left)} steps left, time is up; the same command goes on with: {', '.join(self.left)}")
        counts = self.counts
        skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
        return f"{counts['passed']} passed, {counts['failed']} failed{skipped}"


@dataclasses.dataclass
class Output:
    code: int
    text: str

    def tail(self, lines=15):
        return "\n".join(self.text.strip().splitlines()[-lines:])


def command(args, limit, log, env=None, cwd=None, stdout_only=False):
    """Runs a program with its output in `log`; at the limit its whole process group ends. Gives code and text."""
    log = pathlib.Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **(env or {})}
    with open(log, "wb") as out:
        errors = open(f"{log}.err", "wb") if stdout_only else subprocess.STDOUT
        out_or = dict(stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True)
        try:
            child = subprocess.Popen([str(arg) for arg in args], env=environment, cwd=cwd, **out_or)
        except OSError as error:
            raise Failed(f"{args[0]}: {error.strerror}") from error
        try:
            code = child.wait(timeout=max(limit, 1.0))
        finally:
            end_group(child)
    return Output(code, log.read_text(errors="replace"))


def end_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()


def checked(args, limit, log, **settings):
    output = command(args, limit, log, **settings)
    if output.code != 0:
        raise Failed(f"{os.path.basename(str(args[0]))}: exit code {output.code}; {log}:\n{output.tail()}")
    return output
