"""The examples, and the code in README and docs, run as they stand."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(ROOT.glob("examples/**/plot_*.py"))
PAGES = [
    path
    for path in sorted(ROOT.glob("docs/**/*.md"))
    if not {"_build", "auto_examples"} & set(path.parts)
]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<words>[^\n]*)\n(?P<code>.*?)^(?P=indent)```", re.M | re.S
)


def code_blocks(text):
    """Code of the Python blocks of a page, with the line where each starts.

    Blocks marked "output", "text" or "console" after the fence are no code. "no-run"
    marks code that needs what a test has not, such as the network.
    """
    for block in FENCE.finditer(text):
        words = re.findall(r"[\w-]+", block["words"])
        if words[:1] == ["python"] and not {"output", "no-run"} & set(words):
            indent = block["indent"]
            code = re.sub(rf"^{indent}", "", block["code"], flags=re.M)
            yield text[: block.start("code")].count("\n"), code


def run(program, folder):
    env = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::FutureWarning",
    }
    done = subprocess.run(
        [sys.executable, *program],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done


def ids(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=ids(SCRIPTS))
def test_example_runs(script, tmp_path):
    run([str(script)], tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=ids(SCRIPTS))
def test_example_is_short_and_opens_with_a_title(script):
    text = script.read_text(encoding="utf-8")
    assert re.match(r'r?"""\n[^\n]+\n=+\n', text)
    code = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(code) <= 80


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_code_of_a_page_runs_in_order(page, tmp_path):
    lines = []
    for start, code in code_blocks(page.read_text(encoding="utf-8")):
        # empty lines keep the line numbers of the page in a traceback
        lines += [""] * (start - len(lines)) + prompts_away(code)
    if any(lines):
        program = tmp_path / f"{page.stem}.py"
        program.write_text("\n".join(lines), encoding="utf-8")
        run([str(program)], tmp_path)


def prompts_away(code):
    """Lines of a block; of a dialogue with ``>>>`` only what was typed."""
    lines = code.splitlines()
    if any(line.startswith(">>> ") for line in lines):
        typed = (">>> ", "... ")
        return [line[4:] if line.startswith(typed) else "" for line in lines]
    return lines


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_code_of_a_page_can_be_compiled(page):
    for start, code in code_blocks(page.read_text(encoding="utf-8")):
        source = "\n" * start + "\n".join(prompts_away(code))
        compile(source, str(page), "exec")


def test_blocks_are_found_and_output_is_left_out():
    page = "a\n```python\nx = 1\n```\n```text\n3\n```\n```python no-run\nfetch()\n```\n"
    page += "- item\n  ```python\n  >>> x + 1\n  2\n  ```\n"
    (first, second) = code_blocks(page)
    assert first == (2, "x = 1\n")
    assert second[0] == 12
    assert prompts_away(second[1]) == ["x + 1", ""]


def blocks_with_output(page):
    """Code of a page and the unmarked block right behind it, which is its output."""
    blocks = [match.groupdict() for match in FENCE.finditer(page.read_text("utf-8"))]
    for block, behind in pairwise(blocks):
        if block["words"] == "python" and not behind["words"]:
            yield block["code"], behind["code"]


README = list(blocks_with_output(ROOT / "README.md"))


def test_all_examples_of_the_readme_say_what_they_print():
    n_blocks = len(list(code_blocks((ROOT / "README.md").read_text("utf-8"))))
    assert len(README) == n_blocks >= 5


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(README)))
def test_readme_prints_what_it_says(number, tmp_path):
    """The block behind an example is its output, up to the rounding of a machine."""
    code, said = README[number]
    printed = run(["-c", code], tmp_path).stdout
    number = r"\d+\.\d+"
    assert re.sub(number, "", printed).split() == re.sub(number, "", said).split()
    for value, expected in zip(re.findall(number, printed), re.findall(number, said)):
        assert float(value) == pytest.approx(float(expected), abs=0.05)
