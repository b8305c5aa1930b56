"""Docstrings are the contract: complete, true to the signature, and they run."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

import skdeep

PACKAGES = [name for name in skdeep.__all__ if inspect.ismodule(getattr(skdeep, name))]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(skdeep.__path__, "skdeep.")
    if not module.name.endswith("__main__")
)


def public_objects():
    """Each public class and function once, by its documented name."""
    found = {}
    for name in PACKAGES:
        module = getattr(skdeep, name)
        for public in module.__all__:
            found.setdefault(getattr(module, public), f"skdeep.{name}.{public}")
    for public in skdeep.__all__:
        thing = getattr(skdeep, public)
        if callable(thing):
            found.setdefault(thing, f"skdeep.{public}")
    return {
        name: thing
        for thing, name in found.items()
        if inspect.isclass(thing) or inspect.isfunction(thing)
    }


OBJECTS = public_objects()


def methods_of(cls):
    """Own public methods, and those of classes of the package that it inherits."""
    return {
        name: method
        for name, method in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and method.__module__.startswith("skdeep")
    }


def is_contract(cls, method):
    """Whether a method has to be documented in full.

    All of an estimator's are. Of other classes those that have sections at all; for the
    rest the class and a line tell enough. Some belong to torch.
    """
    if method.__name__ in ("forward", "extra_repr", "init_weights"):
        return False
    return hasattr(cls, "get_params") or "-------" in (method.__doc__ or "")


METHODS = {
    f"{name}.{method_name}": method
    for name, thing in OBJECTS.items()
    if inspect.isclass(thing)
    for method_name, method in methods_of(thing).items()
    if is_contract(thing, method)
}
ALL_METHODS = {
    f"{name}.{method_name}": method
    for name, thing in OBJECTS.items()
    if inspect.isclass(thing)
    for method_name, method in methods_of(thing).items()
}
ESTIMATORS = {
    name: thing for name, thing in OBJECTS.items() if hasattr(thing, "get_params")
}


def parsed(thing):
    if inspect.isclass(thing):
        return ClassDoc(thing, config={"show_class_members": False})
    return FunctionDoc(thing)


def documented_names(thing):
    """Names of the section Parameters; "X1, X2" are two."""
    return [
        name.strip(" *")
        for parameter in parsed(thing)["Parameters"]
        for name in parameter.name.split(",")
    ]


def signature_names(thing):
    parameters = inspect.signature(thing).parameters
    return [name for name in parameters if name not in ("self", "cls")]


DOCUMENTED = {**OBJECTS, **METHODS}


def takes_arguments(thing):
    """Whether the arguments are ours, and not those of a class of torch."""
    if not inspect.isclass(thing):
        return True
    if not inspect.isfunction(thing.__init__):
        return False
    return thing.__init__.__module__.startswith("skdeep")


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_parameter_is_documented_in_order_and_no_other(name):
    thing = DOCUMENTED[name]
    if takes_arguments(thing):
        assert documented_names(thing) == signature_names(thing)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_defaults_are_those_of_the_signature(name):
    thing = DOCUMENTED[name]
    if not takes_arguments(thing):
        return
    signature = inspect.signature(thing).parameters
    for parameter in parsed(thing)["Parameters"]:
        written = re.search(r"default=(.+?)(?:, \w+)?$", parameter.type)
        for argument in re.split(r",\s*", parameter.name):
            default = signature[argument.strip(" *")].default
            if default is inspect.Parameter.empty:
                assert written is None, f"{argument} has no default"
            elif inspect.isfunction(thing) and written is None:
                # "X1, X2 : as in ..." may leave a shared default out
                assert "," in parameter.name, f"default of {argument} is not documented"
            else:
                assert written, f"default of {argument} is not documented"
                assert ast.literal_eval(written.group(1)) == default, argument


def own_nodes(function):
    """Nodes of a function, without those of functions inside."""
    waiting = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_comes_back_is_documented(name):
    thing = inspect.unwrap(DOCUMENTED[name])
    if not inspect.isfunction(thing) or inspect.isgeneratorfunction(thing):
        return
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    returns = any(
        isinstance(node, ast.Return) and node.value is not None
        for node in own_nodes(tree)
    )
    document = parsed(thing)
    assert bool(document["Returns"]) == returns
    for value in document["Returns"]:
        assert value.type, "a returned value needs a type"


# codes of numpydoc: summary line, its form, its end, parameters without type, sections
# in another order, unknown sections, blank lines, text after a directive
CHECKED = {
    *("GL01", "GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10"),
    *("SS01", "SS02", "SS03", "SS04"),
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR10"),
    *("RT01", "YD01"),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_numpydoc_finds_nothing_wrong(name):
    thing = DOCUMENTED[name]
    # our docstrings begin on the line of the quotes; classes of torch keep its arguments
    allowed = CHECKED - {"GL01"}
    if not takes_arguments(thing):
        allowed -= {"PR01", "PR02"}
    target = name
    if "." in name and not _resolves(name):
        target = f"{thing.__module__}.{thing.__qualname__}"
    found = [
        f"{code}: {text}"
        for code, text in validate(target)["errors"]
        if code in allowed
    ]
    assert found == []


def _resolves(name):
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except ImportError:
        return False


@pytest.mark.parametrize("name", ALL_METHODS)
def test_every_public_method_says_what_it_does(name):
    document = parsed(ALL_METHODS[name])
    if name.rsplit(".", 1)[1] != "forward":
        assert " ".join(document["Summary"]).endswith(".")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_have_all_sections(name):
    document = parsed(ESTIMATORS[name])
    for section in ("Parameters", "Attributes", "See Also", "Notes", "References"):
        assert document[section], f"no section {section}"
    assert document["Examples"]
    assert re.search(r"O\(.*\)", "\n".join(document["Notes"])), "no cost in Notes"


@pytest.mark.parametrize("name", ESTIMATORS)
def test_rules_of_parameters_are_told_in_the_docstring(name):
    """Each string that is accepted is named, and each that is named is accepted."""
    cls = ESTIMATORS[name]
    types = {entry.name: entry for entry in parsed(cls)["Parameters"]}
    for parameter, rules in cls._parameter_constraints.items():
        if parameter not in types:  # a rule of the base class for other estimators
            continue
        for rule in rules:
            for option in getattr(rule, "options", ()):
                entry = types[parameter]
                assert f'"{option}"' in entry.type + " ".join(entry.desc), option
        if None in rules:
            assert "None" in types[parameter].type, f"{parameter} may be None"


@pytest.mark.parametrize(
    "name", [name for name, thing in OBJECTS.items() if name.endswith("_score")]
)
def test_scores_have_an_example_and_a_cost(name):
    document = parsed(OBJECTS[name])
    assert document["Examples"]
    assert "O(" in "\n".join(document["Notes"])


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", ["skdeep", *MODULES])
def test_modules_say_what_they_are_for(name):
    document = (importlib.import_module(name).__doc__ or "").strip()
    assert document
    assert document.split("\n\n")[0].endswith((".", ":", "?"))


@pytest.mark.parametrize("name", MODULES)
def test_references_of_code_to_code_lead_somewhere(name):
    """Names of the package in backquotes or in See Also exist."""
    source = inspect.getsource(importlib.import_module(name))
    for target in set(re.findall(r"(?<![\w.])skdeep(?:\.\w+)+", source)):
        module, attribute = target, ""
        while not _is_module(module):
            module, _, head = module.rpartition(".")
            attribute = f"{head}.{attribute}" if attribute else head
        thing = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            assert hasattr(thing, part), f"{target} does not exist"
            thing = getattr(thing, part)


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
