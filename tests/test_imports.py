"""What imports what, and what that costs."""

import ast
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import skdeep

ROOT = Path(skdeep.__file__).parent
TASKS = {"multilabel", "few_shot", "transfer", "cluster", "metric_learning"}

# a module may import from its own level only what the graph of edges keeps free of
# circles, and from lower levels; names are the first part below the package
LEVELS = {
    "exceptions": 0,
    "_version": 0,
    "utils": 0,
    "_callbacks": 1,
    "_engine": 1,
    "_values": 1,
    "_model_file": 1,
    "nn": 1,
    "_metric_spaces": 1,
    "_tiled_search": 1,
    "_sharded_search": 1,
    "neighbors": 1,
    "metrics": 1,
    "model_selection": 1,
    "datasets": 1,
    "base": 2,
    **dict.fromkeys(TASKS, 3),
    # by name only: it resolves the class of a file when one is read
    "_persistence": 3,
    "__main__": 4,
    "__init__": 4,
}

WITHOUT_TORCH = ("metrics", "model_selection", "datasets", "exceptions")
INSIDE_FUNCTIONS_ONLY = {
    "matplotlib",
    "pandas",
    "polars",
    "pynndescent",
    "numba",
    "rich",
}


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def statements_at_import(tree):
    """All statements that run when a module is imported; not those of functions."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if isinstance(node, ast.If) and is_type_checking(node.test):
            continue
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += [
                child
                for child in ast.iter_child_nodes(node)
                if isinstance(child, ast.stmt)
            ]
            waiting += [
                child
                for handler in getattr(node, "handlers", [])
                for child in handler.body
            ]


def is_type_checking(test):
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def imports_of(name):
    """Full names of what a module imports when it is imported, without functions."""
    path = FILES[name]
    for node in statements_at_import(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FILES else node.module


EDGES = {
    name: {target for target in imports_of(name) if target.split(".")[0] == "skdeep"}
    for name in FILES
}


def part_of(name):
    """First part below the package, e.g. "metrics" of "skdeep.metrics._opis"."""
    return name.split(".")[1] if "." in name else "__init__"


def test_every_part_of_the_package_has_a_level():
    assert {part_of(name) for name in FILES} <= set(LEVELS)


def test_no_module_imports_from_a_higher_level():
    upward = [
        f"{name} -> {target}"
        for name, targets in EDGES.items()
        for target in targets
        if LEVELS[part_of(target)] > LEVELS[part_of(name)]
    ]
    assert upward == []


def test_no_task_imports_another_task():
    sideways = [
        f"{name} -> {target}"
        for name, targets in EDGES.items()
        for target in targets
        if part_of(name) in TASKS and part_of(target) in TASKS - {part_of(name)}
    ]
    assert sideways == []


def test_imports_have_no_circle():
    done, path = set(), []

    def visit(name):
        if name in path:
            pytest.fail(f"circle: {' -> '.join([*path[path.index(name) :], name])}")
        if name in done:
            return
        path.append(name)
        # `from skdeep.metrics import x` runs the __init__ of metrics, and a file of a
        # package may be imported by its __init__: those are edges to files, not circles
        for target in sorted(EDGES.get(name, ())):
            visit(target)
        done.add(path.pop())

    for name in FILES:
        visit(name)


def test_mathematics_never_imports_its_estimator():
    shells = {
        name
        for name in FILES
        if part_of(name) in TASKS and "skdeep.base" in EDGES[name] and "._" in name
    }
    upward = [
        f"{name} -> {target}"
        for name, targets in EDGES.items()
        for target in targets & shells
        if part_of(name) == part_of(target)
        and name not in shells
        # a comparison is about estimators, and belongs above them
        and FILES[name].name not in ("__init__.py", "_compare.py")
    ]
    assert upward == []


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_data_side_imports_no_torch(part):
    found = [
        f"{name} -> {target}"
        for name in FILES
        if part_of(name) == part
        for target in imports_of(name)
        if target.split(".")[0] in ("torch", "skorch")
    ]
    assert found == []


# loops for numba: their files are imported inside functions, like numba itself
COMPILED = {name for name in FILES if "numba" in imports_of(name)}


def test_heavy_or_optional_packages_are_imported_inside_functions():
    found = [
        f"{name} -> {target}"
        for name in FILES
        for target in imports_of(name)
        if target.split(".")[0] in INSIDE_FUNCTIONS_ONLY
        and not (name in COMPILED and target == "numba")
    ]
    assert found == []


def test_compiled_loops_are_imported_inside_functions():
    assert all(name.split(".")[-1].startswith("_") for name in COMPILED)
    found = [
        f"{name} -> {target}"
        for name, targets in EDGES.items()
        for target in targets & COMPILED
    ]
    assert found == []


def test_nothing_private_of_scikit_learn_is_imported():
    private = [
        f"{name} -> {target}"
        for name in FILES
        for target in imports_of(name)
        if target.startswith(("sklearn.", "skorch.", "torch."))
        and any(part.startswith("_") for part in target.split("."))
    ]
    assert private == []


def test_no_module_does_work_at_import():
    """Calls at module level only make constants: no setting, thread or registration."""
    forbidden = {"set_num_threads", "manual_seed", "seed", "simplefilter", "start"}
    forbidden |= {
        "filterwarnings",
        "basicConfig",
        "environ",
        "chdir",
        "set_default_dtype",
    }
    found = [
        f"{name}:{node.lineno}"
        for name, path in FILES.items()
        for node in statements_at_import(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Expr, ast.Assign))
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and part.attr in forbidden
    ]
    assert found == []


LOADED = "import sys; {}; print(*sorted(n for n in sys.modules if '.' not in n))"


def modules_after(statement):
    env = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement)],
        capture_output=True,
        text=True,
        env=env,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"torch", "sklearn", "skorch", "numpy", "scipy", *INSIDE_FUNCTIONS_ONLY}
    assert not modules_after("import skdeep") & heavy


def test_errors_cost_no_torch():
    heavy = {"torch", "skorch"}
    assert not modules_after("from skdeep.exceptions import DivergedError") & heavy


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "from skdeep import opis_score",
        "import skdeep.model_selection",
        "import skdeep.datasets",
    ],
)
def test_data_side_imports_what_scikit_learn_imports(statement):
    alone = modules_after("import sklearn.model_selection, scipy.spatial, secrets")
    extra = modules_after(statement) - alone
    assert not extra & {"torch", "skorch", *INSIDE_FUNCTIONS_ONLY}


@pytest.mark.slow
def test_estimators_import_no_more_than_what_they_train_with():
    alone = modules_after("import skorch, sklearn.metrics, sklearn.neighbors")
    extra = modules_after("from skdeep import TCMEmbedder") - alone
    assert not extra & INSIDE_FUNCTIONS_ONLY


def test_importing_the_package_takes_no_time():
    program = (
        "import time; start = time.process_time(); import skdeep;"
        "print(time.process_time() - start)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", program], env=env))
        for _ in range(5)
    ]
    assert statistics.median(seconds) <= 0.05


def test_names_are_listed_and_unknown_ones_refused():
    assert set(skdeep.__all__) <= set(dir(skdeep))
    for name in skdeep.__all__:
        assert getattr(skdeep, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = skdeep.nonsense


def test_every_public_name_of_a_subpackage_is_there():
    for name in skdeep.__all__:
        module = getattr(skdeep, name)
        for public in getattr(module, "__all__", ()):
            assert hasattr(module, public), f"{module.__name__}.{public}"


def test_type_checkers_see_the_names_that_are_resolved_late():
    tree = ast.parse(Path(skdeep.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and is_type_checking(node.test)
    )
    seen = {
        alias.asname or alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(skdeep.__all__) - {"__version__"}


def test_files_and_functions_keep_to_their_size():
    for name, path in FILES.items():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 600, f"{name} is too long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node, clean=False) or ""
                n_lines = node.end_lineno - node.lineno + 1 - docstring.count("\n")
                assert n_lines <= 80 or node.name == "__init__", f"{name}.{node.name}"
