"""A small builder of ONNX graphs, node by node: neither optimum nor torch's exporter is needed."""
from itertools import count

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BOOL, FLOAT, INT64 = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.INT64


class Graph:
    """Nodes by name. A branch has nodes of its own and shares everything else, so that weights are stored once."""

    def __init__(self, weights, parent=None):
        self.weights, self.nodes = weights, []
        self.constants = parent.constants if parent else {}
        self.counter = parent.counter if parent else count()

    def branch(self):
        return Graph(self.weights, self)

    def add(self, kind, *inputs, outputs=None, **attributes):
        names = outputs or [f"{kind.lower()}{next(self.counter)}"]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if len(names) == 1 else names

    def value(self, name, array):
        if name not in self.constants:
            self.constants[name] = np.ascontiguousarray(array)
        return name

    def weight(self, name):
        return self.value(name, self.weights[name])

    def ints(self, *values):
        return self.value("i" + "_".join(map(str, values)), np.array(values, np.int64))

    def real(self, value):
        return self.value(f"f{value}", np.array(value, np.float32))

    def dense(self, x, name, transpose):
        weight = self.weights[f"{name}.weight"]
        y = self.add("MatMul", x, self.value(f"{name}.weight", weight.T if transpose else weight))
        return self.add("Add", y, self.weight(f"{name}.bias")) if f"{name}.bias" in self.weights else y

    def norm(self, x, name, eps):
        return self.add("LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=eps)

    def split_heads(self, x, heads, size):
        return self.add("Transpose", self.add("Reshape", x, self.ints(0, 0, heads, size)), perm=[0, 2, 1, 3])

    def split(self, x, parts):
        number = next(self.counter)
        names = [f"split{number}_{i}" for i in range(parts)]
        return self.add("Split", x, outputs=names, axis=2, num_outputs=parts)

    def attention(self, q, k, v, size, mask=None):
        scores = self.add("MatMul", self.add("Mul", q, self.real(size**-0.5)), self.add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.add("Add", scores, mask) if mask else scores
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)
        return self.add("Reshape", self.add("Transpose", mixed, perm=[0, 2, 1, 3]), self.ints(0, 0, -1))

    def gelu(self, x):
        erf = self.add("Erf", self.add("Mul", x, self.real(0.5**0.5)))
        return self.add("Mul", self.add("Mul", x, self.add("Add", erf, self.real(1.0))), self.real(0.5))

    def gelu_new(self, x):
        cube = self.add("Mul", self.add("Pow", x, self.real(3.0)), self.real(0.044715))
        tanh = self.add("Tanh", self.add("Mul", self.add("Add", x, cube), self.real((2 / np.pi) ** 0.5)))
        return self.add("Mul", self.add("Mul", x, self.real(0.5)), self.add("Add", tanh, self.real(1.0)))

    def length(self, x, axis):
        return self.add("Squeeze", self.add("Shape", x, start=axis, end=axis + 1), self.ints(0))

    def save(self, inputs, outputs, path):
        info = lambda items: [helper.make_tensor_value_info(*item) for item in items]
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "graph", info(inputs), info(outputs), constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, path)
        onnx.checker.check_model(path)
