"""From the JSON of an architecture to a tree of `Model` and `Layer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webconv.frontends.keras import dialects
from webconv.frontends.keras.calls import json_list, json_object, parse_call, references
from webconv.frontends.keras.dialects import structure
from webconv.frontends.keras.errors import Problems, label, shown
from webconv.frontends.keras.layers.activations import Activation
from webconv.frontends.keras.reader import Dialect
from webconv.frontends.keras.schema import config_names, keywords, words
from webconv.frontends.keras.tree import Call, Layer, Model, Ref, Rule, flatten, map_leaves, refs
from webconv.ir import dtypes
from webconv.ir.dtypes import DType
from webconv.ir.errors import ModelFormatError, UnsupportedError

# Arguments of every layer that say nothing about what it computes.
IGNORED = frozenset(
    words(
        "name trainable dtype autocast batch_input_shape batch_shape input_shape "
        "input_dtype sparse ragged optional activity_regularizer build_input_shape "
        "quantization_config"
    )
)
IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
# A layer's compute dtype by the name of its dtype policy.
Config = dict[str, Any]
POLICIES: Mapping[str, DType] = {
    "float32": dtypes.f32,
    "float64": dtypes.f64,
    "float16": dtypes.f16,
    "mixed_float16": dtypes.f16,
    "bfloat16": dtypes.f32,  # wider than what was asked for
    "mixed_bfloat16": dtypes.f32,
}


class Parser:
    """Reads configs; what has no rule goes to `problems`."""

    def __init__(
        self,
        dialect: Dialect,
        rules: Mapping[str, Rule],
        plugins: Mapping[str, Rule],
        problems: Problems,
    ) -> None:
        self.dialect, self.rules, self.problems = dialect, rules, problems
        self.plugins = plugins
        self.shared: dict[int, Layer | Model] = {}

    def node(self, json: object) -> Layer | Model:
        """The layer or model that `json` describes; the same object for a repeated shared id."""
        entry = json_object(json, "a layer")
        shared = entry.get("shared_object_id")
        if isinstance(shared, int) and shared in self.shared:
            return self.shared[shared]
        class_name = entry.get("class_name")
        if not isinstance(class_name, str):
            raise ModelFormatError(f"a layer needs a class_name, but it is {shown(class_name)}")
        config = entry.get("config")
        if class_name == "Sequential" or _looks_like_model(config):
            found: Layer | Model = self.model(class_name, config)
        else:
            found = self.layer(class_name, config, entry)
        if isinstance(shared, int):
            self.shared[shared] = found
        return found

    def model(self, class_name: str, config: object) -> Model:
        """A Sequential or functional model."""
        if not _looks_like_model(config):
            return self._sequential(config)
        return self._functional(class_name, json_object(config, "the config of a model"))

    def _sequential(self, config: object) -> Model:
        body: dict[str, Any] = {"layers": config} if isinstance(config, list) else {}
        body = body or json_object(config, "the config of a Sequential")
        name = body.get("name")
        model = Model(name if isinstance(name, str) else "sequential", {}, {}, None, None, True)
        model.class_name, model.trainable = "Sequential", body.get("trainable") is not False
        entries = json_list(body.get("layers"), f"{model.label}: layers")
        if not entries:
            raise ModelFormatError(f"{model.label}: there are no layers")
        if structure.is_merge_of_branches(entries[0]):
            return self._branches(model, entries)
        entries = structure.with_input_layer(entries, body.get("build_input_shape"))
        model.has_input_layer = not structure.is_made_up(entries[0])
        previous: Any = None
        for entry in entries:
            key = self._add(model, entry)
            model.calls[key] = [Call([] if previous is None else [previous], {})]
            previous = Ref(key, 0, None)
            if model.inputs is None:
                model.inputs = [Ref(key, 0, 0)]
        model.outputs = previous
        return model

    def _branches(self, model: Model, entries: list[Any]) -> Model:
        """A Sequential of Keras 1 that begins by merging other models; each has its own inputs."""
        merge, *rest = entries
        inputs: list[Ref] = []
        outputs: list[Ref] = []
        for entry in merge["config"]["layers"]:
            key = self._add(model, entry, f"branch_{len(outputs) + 1}")
            branch = model.layers[key]
            if not isinstance(branch, Model):
                raise ModelFormatError(f"{model.label}: {branch.label} must be a model")
            own: list[Ref] = []
            for ref in flatten(branch.inputs):
                inner = branch.layers[ref.layer]
                assert isinstance(inner, Layer)
                name = f"input_{len(inputs) + len(own) + 1}"
                entry = {"class_name": "InputLayer", "config": {**inner.raw, "name": name}}
                own.append(Ref(self._add(model, entry), 0, 0))
                model.calls[name] = [Call([], {})]
            model.calls[key] = [Call([own if len(own) > 1 else own[0]], {})]
            inputs += own
            outputs.append(Ref(key, 0, None))
            model.branches |= {key}
        model.inputs, model.has_input_layer = inputs, False
        previous: Any = outputs
        for entry in (merge, *rest):
            key = self._add(model, entry)
            model.calls[key] = [Call([previous], {})]
            previous = Ref(key, 0, None)
        model.outputs = previous
        return model

    def _add(self, model: Model, entry: object, name: object = None) -> str:
        node = self.node(entry)
        if name is None:
            name = node.name
        if not isinstance(name, str):
            rule = f"a layer's name must be a text, not {shown(name)}"
            raise ModelFormatError(f"{model.label}: {rule}")
        if name in model.layers:
            raise ModelFormatError(f"{model.label}: two layers have the name {shown(name)}")
        model.layers[name] = node
        return name

    def _functional(self, class_name: str, config: dict[str, Any]) -> Model:
        name = config.get("name")
        model = Model(name if isinstance(name, str) else "model", {}, {}, None, None)
        model.class_name, model.trainable = class_name, config.get("trainable") is not False
        for entry in json_list(config.get("layers"), f"{model.label}: layers"):
            entry = json_object(entry, f"{model.label}: a layer")
            key = self._add(model, entry, entry.get("name"))
            calls = json_list(
                entry.get("inbound_nodes", []), f"{model.label}: inbound_nodes of {key}"
            )
            model.calls[key] = [parse_call(c) for c in calls] or [Call([], {})]
        model.inputs = references(config.get("input_layers"), f"{model.label}: input_layers")
        model.outputs = references(config.get("output_layers"), f"{model.label}: output_layers")
        _renumber(model, self.dialect)
        return model

    def layer(self, class_name: str, config: object, entry: Mapping[str, Any]) -> Layer:
        """A layer with its children; unsupported ones get a rule that gives nothing."""
        if not isinstance(config, dict):
            config = {} if config is None else {"value": config}
        name = config.get("name", entry.get("name"))
        name = name if isinstance(name, str) else class_name.lower()
        is_operation = self._is_operation(class_name, config, entry)
        policy = config.get("dtype")
        trainable = config.get("trainable") is not False
        key, config = dialects.canonical(class_name, config, self.dialect)
        class_name = class_name.partition(":")[0]
        where = label(class_name, name)
        rule = self._rule(key, name, is_operation)
        if rule is None:
            self.problems.add(f"{where}: {_advice(key, class_name, name)}")
            rule = Rule(_nothing)
        ignores = {*IGNORED, *rule.ignores.split()}
        wanted = config_names(rule.function)
        given = {
            k: v
            for k, v in config.items()
            if k in wanted or not (v is None or {k, "*"} & ignores or k.endswith(IGNORED_ENDINGS))
        }
        dtype = self._dtype(where, policy)
        layer = Layer(name, class_name, given, rule, self.dialect, dtype, trainable)
        layer.is_operation = is_operation
        layer.raw = config
        layer.plugins = self.plugins
        self._children(layer, rule.children(config) if rule.children else {})
        layer.config, problems = keywords(where, rule.function, given)
        problems += self._unknown_activations(layer)
        for problem in problems:
            self.problems.add(problem)
        if problems:
            layer.rule = Rule(_nothing)
        return layer

    def _is_operation(self, class_name: str, config: Config, entry: Mapping[str, Any]) -> bool:
        if self.dialect.major < 3 or f"op:{class_name}" not in self.rules:
            return False
        return dialects.is_operation(class_name, config, entry)

    def _children(self, layer: Layer, children: Mapping[str, Any]) -> None:
        for attribute, child in children.items():
            if child is None:
                raise ModelFormatError(f"{layer.label}: the config has no {attribute}")
            found = self.node(child)
            if isinstance(found, Model):
                found = model_as_layer(found, self.dialect)
            found.outer_class = layer.class_name if found.name == layer.name else ""
            layer.children[attribute] = found

    def _unknown_activations(self, layer: Layer) -> list[str]:
        found = []
        for key, value in layer.config.items():
            if isinstance(value, Activation) and not layer.plugin_function(value.name):
                try:
                    value.known_name(self.dialect)
                except UnsupportedError as e:
                    found.append(f"{layer.label}: {key}: {e}")
        return found

    def _rule(self, key: str, name: str, is_operation: bool) -> Rule | None:
        for known in (name, key, key.rpartition(">")[2]):
            if known in self.plugins:
                return self.plugins[known]
        return self.rules.get(f"op:{key}" if is_operation else key)

    def _dtype(self, where: str, policy: object) -> DType:
        if isinstance(policy, dict):
            inner = policy.get("config")
            policy = inner.get("name") if isinstance(inner, dict) else policy
        quantised = isinstance(policy, str) and "_from_" in policy
        if quantised:
            self.problems.add(f"{where}: weights quantised by Keras ({policy}) are not supported")
        found = POLICIES.get(policy) if isinstance(policy, str) else None
        return found or dtypes.f32


def _nothing(layer: Layer, *tensors: object, **config: object) -> object:
    """The function of layers that are unsupported."""
    return None


def model_as_layer(model: Model, dialect: Dialect) -> Layer:
    """A layer that calls `model`, for wrappers around one."""
    from webconv.frontends.keras.layers.wrappers import call_model

    rule = Rule(call_model, keeps_mask=False)
    layer = Layer(model.name, model.class_name, {"model": model}, rule, dialect)
    layer.trainable = model.trainable
    return layer


def _advice(rule: str, class_name: str, name: str) -> str:
    """What to do about a layer that has no rule: the three lines of a plugin."""
    reason, key = "no layer of this class is known", class_name
    if rule == "Lambda":
        reason, key = "runs Python code, which the file does not hold as data", name
    function = "".join(c if c.isascii() and c.isalnum() else "_" for c in key) or "layer"
    function = f"_{function}" if function[0].isdigit() else function
    return (
        f"{reason}; say what it computes in a file for --plugin:\n"
        "      from webconv.ir import ops\n"
        f"      def {function}(layer, x, **config): return ops.Identity()(x)\n"
        f"      LAYERS = {{{key!a}: {function}}}"
    )


def _looks_like_model(config: object) -> bool:
    return isinstance(config, dict) and {"layers", "input_layers", "output_layers"} <= config.keys()


def _renumber(model: Model, dialect: Dialect) -> None:
    """Makes call indices start at 0.

    A nested model's own graph counts as its call 0, so its calls in the outer model start at 1. In
    Keras 1 and 2 they do so everywhere: the largest index used tells, for every call that is saved
    is used. In Keras 3 only the lists of outputs count like that, and not for a Sequential.
    """
    if dialect.major == 3:
        model.outputs = map_leaves(lambda leaf: _without_own_call(model, leaf), model.outputs)
        return
    used: dict[str, int] = {}
    everything = [model.inputs, model.outputs]
    everything += [x for calls in model.calls.values() for c in calls for x in (c.args, c.kwargs)]
    for ref in refs(everything):
        used[ref.layer] = max(used.get(ref.layer, 0), ref.call)
    late = {n for n, k in used.items() if n in model.calls and k == len(model.calls[n])}
    late = {n for n in late if isinstance(model.layers[n], Model)}

    def earlier(leaf: Any) -> Any:
        if isinstance(leaf, Ref) and leaf.layer in late:
            return leaf._replace(call=leaf.call - 1)
        return leaf

    if late:
        model.inputs = map_leaves(earlier, model.inputs)
        model.outputs = map_leaves(earlier, model.outputs)
        for calls in model.calls.values():
            for call in calls:
                call.args = map_leaves(earlier, call.args)
                call.kwargs = map_leaves(earlier, call.kwargs)


def _without_own_call(model: Model, leaf: Any) -> Any:
    node = model.layers.get(leaf.layer) if isinstance(leaf, Ref) else None
    if isinstance(node, Model) and not node.is_sequential and leaf.call > 0:
        return leaf._replace(call=leaf.call - 1)
    return leaf
