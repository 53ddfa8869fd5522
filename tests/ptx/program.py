"""PTX as nvcc writes it: the kernels of a file, their instructions and operands."""

import re
from dataclasses import dataclass, field

import numpy as np

REGISTERS = {"pred": np.bool_, "b16": np.uint16, "b32": np.uint32, "f32": np.uint32, "b64": np.uint64, "f64": np.uint64}


@dataclass
class Instruction:
    text: str
    guard: str  # a predicate: the threads where it does not hold skip the instruction; "" for none
    negated: bool
    name: list[str]  # the opcode and what stands behind its dots
    operands: list[str]  # registers, numbers and symbols; vectors in {}, addresses in []

    @property
    def dtype(self) -> np.dtype:
        return dtype_of(self.name[-1])


@dataclass
class Kernel:
    name: str
    parameters: dict[str, int]  # bytes, by symbol
    shared: dict[str, int]  # where a symbol lies in the block's shared memory
    shared_bytes: int  # without those that the launch gives, which follow
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    registers: dict[str, type] = field(default_factory=dict)  # the type of a register's name without its number

    def register_dtype(self, register: str) -> type:
        return self.registers[register.rstrip("0123456789")]


def dtype_of(kind: str) -> np.dtype:
    """Of .s32, .u8, .b64, .f16, .pred, …; bfloat16 is told apart by who asks."""
    if kind == "pred":
        return np.dtype(bool)
    letter, bits = re.fullmatch(r"(s|u|b|f|bf)(\d+)", kind).groups()
    return np.dtype({"s": "i", "f": "f"}.get(letter, "u") + str(int(bits) // 8))


def read_kernels(text: str) -> list[Kernel]:
    text = re.sub(r"//.*", "", text)
    sizes = re.findall(r"\.shared\s+\.align\s+\d+\s+\.b8\s+(\w+)\[(\d*)\]", text)
    kernels = []
    for name, parameters, body in re.findall(r"\.entry\s+(\w+)\((.*?)\).*?\n\{\n(.*?)\n\}\n", text, re.S):
        kernels.append(_read_kernel(name, parameters, body, sizes))
    return kernels


def _read_kernel(name: str, parameters: str, body: str, sizes: list[tuple[str, str]]) -> Kernel:
    found = re.findall(r"\.param\s+(?:\.align\s+\d+\s+)?\.[a-z](\d+)\s+(\w+)(?:\[(\d+)\])?", parameters)
    kernel = Kernel(name, {symbol: int(bits) // 8 * int(count or 1) for bits, symbol, count in found}, {}, 0)
    for symbol, size in sorted(sizes, key=lambda item: item[1] == ""):  # those of the launch's size are last
        if symbol in body and symbol not in kernel.shared:
            kernel.shared[symbol] = kernel.shared_bytes
            kernel.shared_bytes += -(-int(size or 0) // 16) * 16
    for kind, prefix in re.findall(r"\.reg\s+\.(\w+)\s+(%\w+?)(?:<\d+>)?\s*;", body):
        kernel.registers[prefix] = REGISTERS[kind]
    for statement in body.split(";"):
        rest = statement.strip().lstrip("}").strip()
        while label := re.match(r"(\$?\w+):\s*", rest):
            kernel.labels[label[1]] = len(kernel.instructions)
            rest = rest[label.end() :].strip()
        rest = re.sub(r"^\{\s*", "", rest)  # the braces of inline assembly
        if rest and not rest.startswith((".", "}")):
            kernel.instructions.append(_read_instruction(rest))
    return kernel


def _read_instruction(text: str) -> Instruction:
    negation, predicate, name, rest = re.fullmatch(r"(?:@(!?)(%p\d+)\s+)?(\S+)\s*(.*)", text, re.S).groups()
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest)
    return Instruction(text, predicate or "", negation == "!", name.split("."), operands)
