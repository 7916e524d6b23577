"""Seeded damage to files: bytes anywhere, and fields of each format behind a container that still opens."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from tests.data.mutate import mutated

Damage = Callable[[bytes, np.random.Generator], bytes]

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 2**31, 2**63, 10**400, -0.5, 1e300, float("nan"), float("inf"), "", "x", "\x00", "é" * 50,
    "scene0000_00", "../../etc", [], {}, [[]], [1, 2, 3], {"a": 1}, ["x"] * 5, "1" * 5000,
)  # fmt: skip


def of_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes, or one or two values, keys or entries of the tree."""
    if rng.random() < 0.4:
        return mutated(data, rng)
    tree = json.loads(data)
    for _ in range(rng.integers(1, 3)):
        tree = _changed(tree, rng)
    return _dumped(tree)


def _dumped(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", errors="surrogatepass")


def _changed(tree: Any, rng: np.random.Generator) -> Any:
    """The tree with one change at a random place."""
    parents: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            parents.append((node, key))
            visit(value)

    visit(tree)
    if not parents:
        return _odd(rng)
    node, key = parents[rng.integers(len(parents))]
    match rng.integers(6):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[f"{key}x"] = node.pop(key)
        case 2 if isinstance(node, list):
            node.insert(key, json.loads(json.dumps(node[key])))
        case 3 if isinstance(node[key], int | float) and not isinstance(node[key], bool):
            node[key] = node[key] + int(rng.integers(-3, 4)) if rng.random() < 0.7 else -node[key]
        case 4 if isinstance(node[key], str):
            node[key] = mutated(node[key].encode(), rng).decode("utf-8", errors="replace")
        case _:
            node[key] = _odd(rng)
    return tree


def _odd(rng: np.random.Generator) -> Any:
    return deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])  # later changes must not reach the next file


def of_table(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes, or lines and cells of a tab- or comma-separated text."""
    if rng.random() < 0.3:
        return mutated(data, rng)
    lines = data.decode().split("\r\n" if b"\r\n" in data else "\n")
    at = int(rng.integers(len(lines)))
    cells = lines[at].split("\t")
    match rng.integers(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            rng.shuffle(cells)
            lines[at] = "\t".join(cells)
        case 3:
            cells[rng.integers(len(cells))] = str(ODD_VALUES[rng.integers(len(ODD_VALUES))])
            lines[at] = "\t".join(cells)
        case _:
            lines[at] = "\t".join(cells[: rng.integers(len(cells) + 1)])
    return "\n".join(lines).encode()


def of_ply(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes, a line of the header, or numbers of the body."""
    end = data.index(b"end_header\n") + len(b"end_header\n")
    head, body = data[:end], data[end:]
    match rng.integers(4):
        case 0:
            return mutated(data, rng)
        case 1:
            return mutated(head, rng) + body
        case 2:
            lines = head.split(b"\n")
            at = int(rng.integers(1, len(lines) - 1))
            lines[at : at + 1] = [[], [lines[at]] * 2, [b"comment " + lines[at]]][rng.integers(3)]
            return b"\n".join(lines) + body
        case _:
            return head + _numbers(body, rng)


def _numbers(body: bytes, rng: np.random.Generator) -> bytes:
    """Four bytes in a row made into an odd number."""
    out = bytearray(body)
    odd = (struct.pack("<f", v) for v in (np.nan, np.inf, 1e30, -1e6, 0.0))
    odd_bytes = [*odd, struct.pack("<i", -1), struct.pack("<i", 2**31 - 1)]
    for _ in range(rng.integers(1, 6)):
        if len(out) > 4:
            at = int(rng.integers(len(out) - 4))
            out[at : at + 4] = odd_bytes[rng.integers(len(odd_bytes))]
    return bytes(out)


def of_glb(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes anywhere, fields of the JSON chunk, or numbers and pixels of the binary chunk; lengths kept right."""
    (json_length,) = struct.unpack("<I", data[12:16])
    document, rest = data[20 : 20 + json_length], data[20 + json_length :]
    match rng.integers(4):
        case 0:
            return mutated(data, rng)
        case 1:
            return _glb(document, rest[:8] + _numbers(rest[8:], rng))
        case 2:
            return _glb(document, rest[:8] + mutated(rest[8:], rng))
        case _:
            return _glb(_dumped(_changed(json.loads(document), rng)), rest)


def _glb(document: bytes, rest: bytes) -> bytes:
    document += b" " * (-len(document) % 4)
    rest = struct.pack("<I", max(0, len(rest) - 8)) + rest[4:]
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(document) + len(rest), len(document), b"JSON")
    return head + document + rest


def of_npy(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes, the header, or an array of another shape, type or content."""
    if rng.random() < 0.5:
        return mutated(data, rng) if rng.random() < 0.6 else mutated(data[:128], rng) + data[128:]
    array = np.load(io.BytesIO(data))
    match rng.integers(6):
        case 0:
            array = array.astype(["f4", "f8", "i4", "u1", "S3", "?", "c8"][rng.integers(7)])
        case 1:
            array = array[: rng.integers(len(array) + 1)]
        case 2:
            array = array.reshape(-1) if rng.random() < 0.5 else array[None]
        case 3:
            array = np.asfortranarray(array)
        case 4:
            array = np.concatenate([array, array[:3]])
        case _:
            flat = array.reshape(-1)
            odd = [0, 1, 200, np.nan, np.inf, -1e9] if array.dtype.kind == "f" else [0, 1, 39, 40, 41, 2**31]
            for _ in range(4):
                flat[rng.integers(len(flat))] = odd[rng.integers(len(odd))]
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def of_safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes, or fields of the header with its length kept right, or tensors exchanged, cut, or of odd values."""
    (length,) = struct.unpack("<Q", data[:8])
    header, body = data[8 : 8 + length], data[8 + length :]
    match rng.integers(4):
        case 0:
            return mutated(data, rng)
        case 1:
            return data[: 8 + length] + _numbers(body, rng)
        case 2:
            header = _dumped(_changed(json.loads(header), rng))
        case _:
            header = mutated(header, rng)
    return struct.pack("<Q", len(header)) + header + body


def of_checkpoint(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes, or tensors renamed, dropped, of other shapes, types and values, or other containers around them."""
    if rng.random() < 0.4:
        return mutated(data, rng)
    content = torch.load(io.BytesIO(data), weights_only=True)
    key = next((key for key in ("model", "model_state_dict") if isinstance(content.get(key), dict)), None)
    holder = content if key is None else content[key]
    names = list(holder)
    for name in rng.choice(names, rng.integers(1, 4)):
        _change_entry(holder, str(name), rng)
    out = io.BytesIO()
    torch.save({"model": content} if rng.random() < 0.1 else content, out)
    return out.getvalue()


def _change_entry(holder: dict[str, Any], name: str, rng: np.random.Generator) -> None:
    """Drop, rename or replace one tensor, or put a strange one beside it."""
    tensor = holder.pop(name, None)
    if not isinstance(tensor, torch.Tensor) or rng.random() < 0.1:
        return
    if rng.random() < 0.15:
        holder[f"{name}.x"] = tensor
        return
    odd = tensor.clone()
    if odd.numel():
        odd.view(-1)[0] = float(rng.choice([0.0, 1e30, np.nan] if odd.is_floating_point() else [0, 1, -1]))
    changed = (
        tensor[None], tensor.to(torch.float64), tensor.to(torch.float16), tensor.to(torch.int64), tensor.flatten()[:1],
        odd, odd, tensor, "text", None, [1, 2], torch.zeros(0),
    )  # fmt: skip
    holder[name] = changed[rng.integers(len(changed))]
    holder[f"extra.{rng.integers(9)}"] = torch.zeros(2)
