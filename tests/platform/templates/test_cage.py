"""The cage: what templates may take, what they cannot reach, and that the rest of a batch never notices."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tabellion.platform.templates import (
    Cages,
    CageUnavailable,
    Content,
    Failed,
    Kind,
    Limits,
    Part,
    PartKind,
    Reason,
    Rendered,
    Template,
    vocabulary,
)
from tabellion.platform.templates.check import check
from tabellion.platform.templates.wire import Done, frame
from tests.platform.templates.bombs import BOMBS
from tests.platform.templates.escapes import ESCAPES
from tests.support.api import descendants
from tests.support.processes import is_alive
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
NOW = datetime(2027, 3, 1, 8, 15, tzinfo=UTC)
ANN = {"profile": {"firstName": "Ann"}, "Stays": [{"hotel": "Quay"}]}
FOREVER = "{% if (1..2000000000) contains 'x' %}{% endif %}"


def html(source: str, **settings: str) -> Template:
    return Template((Part("html", PartKind.HTML, source),), **settings)


def named(name: str) -> dict[str, object]:
    return {"profile": {"firstName": name}}


@pytest.mark.timeout(120)
def test_fifty_bombs_are_stopped_within_a_second_of_cpu_and_128_mb() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.platform.templates.harness"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    nothing, *bombs = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(BOMBS) == len(bombs) == 50
    for bomb in bombs:
        assert bomb["reason"] in {"time", "memory", "output", "loops", "error", ""}, bomb
        assert bomb["bytes"] <= 2_000_000, bomb
        assert bomb["alive"], bomb
        # Beside the bomb: the first process, and the one that took its place; for memory a third.
        assert bomb["cpu_s"] - 3 * nothing["cpu_s"] <= 1.1, bomb
        assert bomb["most_kb"] <= 128 * 1024, bomb
    assert sum(bomb["reason"] != "" for bomb in bombs) >= 42


async def test_two_hundred_escapes_reach_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary-in-a-file")
    monkeypatch.setenv("CANARY_NAME", "canary-in-the-environment")
    allowed = vocabulary({"firstName": Kind.TEXT}, tables={"Stays": {"hotel": Kind.TEXT}})
    forbidden = (
        "canary-in",
        "root:",
        "<class",
        "<function",
        "<built-in",
        "<bound",
        " object at 0x",
        "&lt;class",
        "&lt;built-in",
        "{'",
        "{&#39;",
    )
    assert len(ESCAPES) >= 200
    async with Cages(1) as cages:
        (before,) = (await cages.render(html("x"), [ANN], now=NOW), cages.pids)[1]
        refused = 0
        for source in (escape.replace("CANARY_FILE", str(secret)) for escape in ESCAPES):
            refused += bool(check(source, allowed).mistakes)
            (outcome,) = await cages.render(html(source), [ANN], now=NOW)
            said = outcome.parts[0].decode() if isinstance(outcome, Rendered) else outcome.message
            assert not any(part in said for part in forbidden), (source, said)
        assert refused >= 190, "nearly all are refused when they are defined; the rest print what they say"
        assert cages.pids == [before], "none of them even broke the process"


async def test_the_process_has_no_environment_no_files_and_no_sockets() -> None:
    os.environ["CANARY_NAME"] = "canary"
    try:
        async with Cages(1) as cages:
            await cages.render(html("x"), [ANN], now=NOW)
            process = Path(f"/proc/{cages.pids[0]}")
            environment = (process / "environ").read_bytes()
            limits = (process / "limits").read_text()
            descriptors = sorted(int(each.name) for each in (process / "fd").iterdir())
            told, folder = (process / "fd" / "2").readlink(), (process / "cwd").readlink()
            status = (process / "status").read_text()
    except PermissionError:  # as a normal user: the process hides itself from everyone
        pytest.skip("only root may look into the process")
    finally:
        del os.environ["CANARY_NAME"]
    assert b"canary" not in environment
    assert set(environment.split(b"\0")) == {b"LC_ALL=C.UTF-8", b"MALLOC_ARENA_MAX=1", b""}
    assert descriptors == [0, 1, 2]
    rows = {line[:26].strip(): line[26:].split() for line in limits.splitlines()}
    assert (told, folder) == (Path(os.devnull), Path("/"))
    assert rows["Max open files"][:2] == ["3", "32"]
    assert rows["Max core file size"][:2] == ["0", "0"]
    assert rows["Max file size"][:2] == ["0", "0"]
    assert rows["Max processes"][:2] == ["0", "0"]
    assert rows["Max address space"][:2] == [str(128 << 20)] * 2
    assert "NoNewPrivs:\t1" in status


async def test_a_recipient_that_takes_too_long_fails_alone() -> None:
    source = "Hi {{ firstName }}{% if firstName == 'Bomb' %}" + FOREVER + "{% endif %}"
    names = ["Ann", "Bob", "Bomb", "Cleo", "Bomb", "Dirk"]
    async with Cages(1) as cages:
        outcomes = await cages.render(html(source), [named(name) for name in names], now=NOW)
        again = await cages.render(html("Bye {{ firstName }}"), [named("Ann")], now=NOW)
    assert [outcome.parts[0] if isinstance(outcome, Rendered) else outcome.reason for outcome in outcomes] == [
        b"Hi Ann", b"Hi Bob", Reason.TIME, b"Hi Cleo", Reason.TIME, b"Hi Dirk",
    ]  # fmt: skip
    assert again == [Rendered((b"Bye Ann",))]


async def test_a_recipient_that_takes_too_much_memory_fails_alone() -> None:
    source = "Hi {{ firstName }}{% if firstName == 'Bomb' %}" + BOMBS["many long texts"] + "{% endif %}"
    names = ["Ann", "Bomb", "Cleo"]
    contexts = [{"profile": {"firstName": name, "long": "ab " * 60_000}} for name in names]
    async with Cages(1) as cages:
        first, bomb, last = await cages.render(html(source), contexts, now=NOW)
    assert (first, last) == (Rendered((b"Hi Ann",)), Rendered((b"Hi Cleo",)))
    assert isinstance(bomb, Failed)
    assert bomb.reason is Reason.MEMORY


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_process_that_dies_between_two_questions_costs_no_answer(noticed: bool) -> None:
    async with Cages(1) as cages:
        for _ in range(3):
            assert (await cages.prepare(Content(html="<p>x</p>"))).errors == []
            (pid,) = cages.pids
            os.kill(pid, signal.SIGKILL)
            if noticed:
                await asyncio.to_thread(until, lambda pid=pid: pid not in descendants(os.getpid()))
        assert (await cages.prepare(Content(html="<p>x</p>"))).errors == []


async def test_a_process_that_is_killed_from_outside_costs_no_mail() -> None:
    source = "Hi {{ firstName }}{% for i in (1..3000) %}{{ i }}{% endfor %}"
    contexts = [named(f"N{number}") for number in range(600)]
    async with Cages(1) as cages:
        rendering = asyncio.create_task(cages.render(html(source), contexts, now=NOW))
        kills = 0
        while not rendering.done():
            # Long enough for the next process to come up and to get on: a mail that is met by two ends is given up.
            await asyncio.sleep(1.5)
            for pid in cages.pids if kills < 2 else ():
                os.kill(pid, signal.SIGKILL)
                kills += 1
        outcomes = await rendering
    assert kills == 2
    assert all(isinstance(outcome, Rendered) for outcome in outcomes)
    assert [outcome.parts[0].split(b"1")[0] for outcome in outcomes[2:9]] == [f"Hi N{n}".encode() for n in range(2, 9)]


async def test_a_process_that_falls_silent_is_replaced() -> None:
    async with Cages(1, Limits(silence_s=2)) as cages:
        await cages.render(html("x"), [ANN], now=NOW)
        os.kill(cages.pids[0], signal.SIGSTOP)
        (outcome,) = await cages.render(html("y"), [ANN], now=NOW)
        assert outcome == Failed(Reason.TIME, "no answer within 2 s")
        assert await cages.render(html("z"), [ANN], now=NOW) == [Rendered((b"z",))]


def test_a_server_that_blocks_the_clocks_signal_is_no_way_out() -> None:
    """On asyncio's own loop: children of uvloop's, on which the other tests run, have their signals back anyway."""

    async def run() -> object:
        async with Cages(1) as cages:
            (outcome,) = await cages.render(html(FOREVER), [ANN], now=NOW)
            return outcome

    before, handler = (
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF}),
        signal.signal(signal.SIGPROF, signal.SIG_IGN),
    )
    try:
        outcome = asyncio.run(run())
    finally:
        signal.signal(signal.SIGPROF, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert outcome == Failed(Reason.TIME, "more CPU time than a mail may take")


def test_asyncios_own_loop_serves_as_well() -> None:
    async def run() -> list[object]:
        async with Cages(2) as cages:
            contexts = [named("Bomb" if number == 70 else f"N{number}") for number in range(150)]
            source = "{{ firstName }}{% if firstName == 'Bomb' %}" + FOREVER + "{% endif %}"
            return [*(await cages.render(html(source), contexts, now=NOW))]

    outcomes = asyncio.run(run())
    assert [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, Rendered)] == [70]
    assert getattr(outcomes[70], "reason", None) is Reason.TIME


async def test_many_callers_share_few_processes() -> None:
    async with Cages(2) as cages:
        calls = [
            cages.render(html(f"{call} {{{{ firstName }}}}"), [named(f"N{n}") for n in range(50)], now=NOW)
            for call in range(40)
        ]
        answers = await asyncio.gather(*calls)
        assert len(cages.pids) <= 2
    for call, outcomes in enumerate(answers):
        assert outcomes == [Rendered((f"{call} N{n}".encode(),)) for n in range(50)]


async def test_a_cancelled_caller_leaves_no_answers_behind() -> None:
    async with Cages(1) as cages:
        task = asyncio.create_task(cages.render(html("{{ firstName }}"), [named("Ann")] * 5_000, now=NOW))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await cages.render(html("Bye"), [ANN], now=NOW) == [Rendered((b"Bye",))]


async def test_what_is_wrong_with_a_template_is_told_with_its_place() -> None:
    template = Template((Part("subject", PartKind.LINE, "fine"), Part("html", PartKind.HTML, "a\nb {{ x ")), "en", "UTC")
    async with Cages(1) as cages:
        broken = await cages.render(template, [ANN, ANN], now=NOW)
        missing = await cages.render(html("a\n{{ profile.age }}"), [ANN], now=NOW)
        language = await cages.render(html("a", language="zz"), [ANN], now=NOW)
        values = [html(f"{{{{ firstName | {use} }}}}") for use in ("date: '%Y'", "plus: 1", "size | currency: firstName")]
        quoted = [await cages.render(each, [named("Kanari")], now=NOW) for each in values]
    assert broken == [Failed(Reason.ERROR, "this {{ is never closed; end it with }}", "html", 2, 3)] * 2
    assert missing == [Failed(Reason.ERROR, "there is no 'age' here", "html", 2, 4)]
    assert language == [Failed(Reason.ERROR, "'zz' is no language such as nl or fr_BE", "html")]
    # It is told in reports, and kept when the person is erased.
    assert [isinstance(each, Failed) and "anari" not in each.message for (each,) in quoted] == [True] * 3


async def test_data_that_is_too_much_or_no_text_fails_its_recipient_only() -> None:
    contexts = [named("Ann"), named("x" * 1_100_000), named("\ud800"), named("Bob")]
    async with Cages(1) as cages:
        ann, large, broken, bob = await cages.render(html("{{ firstName }}"), contexts, now=NOW)
    assert (ann, bob) == (Rendered((b"Ann",)), Rendered((b"Bob",)))
    assert isinstance(large, Failed)
    assert isinstance(broken, Failed)
    assert (large.reason, broken.reason) == (Reason.MEMORY, Reason.ERROR)


async def test_a_check_that_takes_too_long_says_so() -> None:
    async with Cages(1, Limits(define_cpu_s=0.2)) as cages:
        report = await cages.check("{{ a }}" * 140_000, vocabulary({}))
        assert [mistake.code for mistake in report.mistakes] == ["template.tooLarge"]
        assert (await cages.check("{{ a }}", vocabulary({"a": Kind.TEXT}))).uses == {"profile": ["a"]}


async def test_an_answer_without_end_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = tmp_path / "python"
    # It says that it is ready, and then that an answer of 4 GB follows.
    ready = frame(msgspec.msgpack.encode(Done()))
    greedy.write_text(
        f"#!{sys.executable}\nimport os\nos.write(1, {ready + bytes([255] * 4)!r} + b'x' * 65536)\nos.read(0, 9)\n"
    )
    greedy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(greedy))
    async with Cages(1) as cages:
        (outcome,) = await cages.render(html("x"), [ANN], now=NOW)
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.DIED


async def test_no_process_at_all_is_no_recipients_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with Cages(1) as cages:
        with pytest.raises(CageUnavailable):
            await cages.render(html("x"), [ANN], now=NOW)


async def test_processes_end_with_their_server() -> None:
    script = (
        "import asyncio, os, datetime\n"
        "from tabellion.platform.templates import *\n"
        "async def main():\n"
        "    cages = Cages(1)\n"
        "    await cages.render(Template((Part('a', PartKind.TEXT, 'x'),)), [{}], now=datetime.datetime.now(datetime.UTC))\n"
        "    print(cages.pids[0], flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    caged = int(run.stdout)
    await asyncio.to_thread(until, lambda: not is_alive(caged), 10)
