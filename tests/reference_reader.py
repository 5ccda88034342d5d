#!/usr/bin/env python3
"""reader.py: reads drives that holdall packed, without holdall.

It was written from format.md alone, which lies beside it, and shares no code with the program. It is what one
falls back on where the program is not to be had, and what the program is tested against. It is simpler:

- It has no threads. A shard is read whole into memory, and up to CACHE bytes of shards and chunks are kept.
- All entries of the dataset are held in memory at once.
- It only reads drives. It repairs nothing, resumes nothing, and restores into a new or empty folder only.
- A file that lacks bytes is named, and left as NAME.incomplete with zeros in their place and no time or mode of its
  own; nothing is left if it lacks all. Only root gives owners, by number.
- It runs on Linux, macOS and Windows. What a system or file system cannot hold (links, attributes, modes, some names)
  is named or counted at the end; a hard link that cannot be made becomes a file of its own.
- It leans on Python's integers: parity and BLAKE3's inner values are computed on long integers, many bytes at
  once. That is slow beside the program, so whole files are hashed by the blake3 package wherever one hash does
  for many, and blocks by themselves only where that hash is wrong, or if --all-blocks asks for it.

Whoever can write to a drive can change this file as well: compare it before it is given an identity.

It needs Python 3.9 or later and `pip install blake3 zstandard cryptography pyrage`; on Windows, write `py -m pip` for
`pip` and `py` for `python3`.

    reader.py verify  DRIVE...                       checks everything that can be checked without a key
    reader.py ls      DRIVE... -i IDENTITY           prints the paths
    reader.py restore DRIVE... -i IDENTITY --to DIR  restores what can be had
    reader.py vectors FILE                           checks itself against the worked values of the format

A DRIVE is a folder in which the folder `holdall` lies: /media/usb1, /Volumes/usb1, E:. The exit code is 0 if all is
well; 3 if something is damaged or missing but everything can be restored, or if every file was restored but the
destination cannot hold all of the rest; and 1 if not.
"""

import argparse
import bisect
import contextlib
import copy
import errno
import io
import itertools
import json
import os
import posixpath
import re
import shutil
import signal
import stat
import struct
import sys
import tempfile
from array import array
from collections import OrderedDict
from functools import lru_cache
from os.path import join, lexists

if sys.version_info < (3, 9):
    sys.exit("failed: reader.py needs Python 3.9 or later; this is %d.%d" % sys.version_info[:2])
PACKAGES = "blake3 zstandard cryptography pyrage"
LACKING = []  # those that are to be installed
SUITES = {}
try:
    import pyrage
except ImportError:
    LACKING.append("pyrage")
try:
    import zstandard
except ImportError:
    LACKING.append("zstandard")
try:
    from blake3 import blake3
except ImportError:
    LACKING.append("blake3")
try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    SUITES = {1: ChaCha20Poly1305, 2: AESGCM}
except ImportError:
    LACKING.append("cryptography")


def flags(*names):
    """The flags of open() of these names, but for those that this system does not have."""
    return sum(getattr(os, name, 0) for name in names)


CACHE = 1 << 30  # bytes of shards and chunks that are kept in memory
# Of drives: no link is followed, no pipe awaited.
READ = flags("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
CREATE = flags("O_RDWR", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
# Can names be made below open folders? Windows has none: there it is done by paths, link by link looked at.
HANDLES = all(hasattr(os, name) for name in ("O_NOFOLLOW", "O_DIRECTORY")) and os.open in os.supports_dir_fd
WINDOWS = os.sep == "\\"
DEVICES = re.compile(rb"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)([0-9]|\xc2[\xb2\xb3\xb9]))", re.IGNORECASE)
SLICE = 1 << 20  # bytes that one long integer holds, about; more does not make it faster


class Bad(Exception):
    """Something is to be rejected, or cannot be had. Its text says why."""


class Unholdable(Bad):
    """This system cannot hold something, of the kind `kind`."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Report:
    """What is said on standard error, each thing once, and the worst of it."""

    def __init__(self):
        self.said, self.worst = set(), 0

    def note(self, text):
        if text not in self.said:
            self.said.add(text)
            print(text, file=sys.stderr)

    def exit_code(self):
        return (0, 3, 1)[self.worst]

    def bad(self, text):
        """Something is damaged or missing, but may still be had from elsewhere."""
        self.worst = max(self.worst, 1)
        self.note("bad: " + text)

    def lost(self, text):
        """Something cannot be restored."""
        self.worst = max(self.worst, 2)
        self.note("LOST: " + text)


class Cache:
    """Keeps values up to a number of bytes; those not used for the longest time go first."""

    def __init__(self, budget):
        self.budget, self.used, self.kept = budget, 0, OrderedDict()

    def get(self, key, size, make):
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key][0]
        value = make()
        self.kept[key] = value, size
        self.used += size
        while self.used > self.budget and len(self.kept) > 1:
            self.used -= self.kept.popitem(last=False)[1][1]
        return value


def show(path):
    """A path as text on one line."""
    text = path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else str(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def ranges(numbers):
    """[1, 2, 3, 7] as "1-3, 7"."""
    spans = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [str(a) if a == b else f"{a}-{b}" for a, b in spans[:12]]
    return ", ".join(words) + (", ..." if len(spans) > 12 else "")


def open_on_drive(path):
    """Opens a file of a drive. Where open() cannot refuse links, they are looked for before."""
    if not hasattr(os, "O_NOFOLLOW") and stat.S_ISLNK(os.lstat(path).st_mode):
        raise OSError(errno.ELOOP, "it is a link")
    return os.open(path, READ)


def read_file(path, limit=1 << 32):
    """The bytes of a file on a drive: no link, no pipe, not above `limit`."""
    try:
        with open(open_on_drive(path), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise Bad("it is no regular file")
            if info.st_size > limit:
                raise Bad(f"it has {info.st_size} bytes, more than {limit}")
            return file.read(limit)
    except OSError as error:
        raise Bad(error.strerror)


def read_at(handle, count, offset):
    if hasattr(os, "pread"):
        return os.pread(handle, count, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, count)


def write_at(handle, data, offset):
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, data, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.write(handle, data)


def power_of_two(number, low, high):
    return low <= number <= high and number & (number - 1) == 0


# ---- Hashes (section 8): BLAKE3's inner values, which the package does not give. One long integer holds the same word
# of many inputs, each in 64 bits of its own, so that one addition or xor of Python's works on all of them at once.

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def plain_hash(data):
    return blake3(data).digest()


@lru_cache(maxsize=32)
def lanes(count):
    """A 1 for each of `count` inputs."""
    return int.from_bytes((1).to_bytes(8, sys.byteorder) * count, sys.byteorder)


def wide(words):
    return int.from_bytes(array("Q", words).tobytes(), sys.byteorder)


def words_of(data):
    """Bytes as 32-bit words."""
    words = array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def compress(cv, block, counter, length, flags, count):
    """BLAKE3's compress() of `count` inputs: `cv` is 8 wide words, `block` 16, `counter` two; gives 8 arrays."""
    ones = lanes(count)
    mask = ones * 0xFFFFFFFF
    v = list(cv) + [word * ones for word in IV[:4]] + [counter[0], counter[1], ones * length, ones * flags]
    for turn in range(7):
        for number, (a, b, c, d) in enumerate(MIXES):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = va + vb + block[2 * number] & mask
            vd ^= va
            vd = (vd >> 16 | vd << 16) & mask
            vc = vc + vd & mask
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & mask
            va = va + vb + block[2 * number + 1] & mask
            vd ^= va
            vd = (vd >> 8 | vd << 24) & mask
            vc = vc + vd & mask
            vb ^= vc
            vb = (vb >> 7 | vb << 25) & mask
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
        block = [block[number] for number in ORDER]
    return [array("Q", (v[i] ^ v[i + 8]).to_bytes(8 * count, sys.byteorder)) for i in range(8)]


def chunk_values(data, counter):
    """The values of BLAKE3's chunks of 1,024 bytes in `data`, the last of which may be shorter, as 8 arrays."""
    count = len(data) // 1024
    values = [array("Q") for _ in IV]
    if count:
        words = words_of(data[:count * 1024])
        numbers = wide(range(counter, counter + count))
        mask = lanes(count) * 0xFFFFFFFF
        counters = numbers & mask, numbers >> 32 & mask
        cv = [word * lanes(count) for word in IV]
        for i in range(16):
            block = [wide(words[16 * i + word::256]) for word in range(16)]
            flags = (CHUNK_START if i == 0 else 0) | (CHUNK_END if i == 15 else 0)
            values = compress(cv, block, counters, 64, flags, count)
            cv = [wide(value) for value in values]
    rest = bytes(data[count * 1024:])
    if rest:
        cv, counter = IV, counter + count
        for at in range(0, len(rest), 64):
            part = rest[at:at + 64]
            flags = (CHUNK_START if at == 0 else 0) | (CHUNK_END if at + 64 >= len(rest) else 0)
            block = words_of(part.ljust(64, b"\0"))
            last = compress(cv, block, (counter & 0xFFFFFFFF, counter >> 32), len(part), flags, 1)
            cv = [value[0] for value in last]
        values = [value + more for value, more in zip(values, last)]
    return values


def pair(values, top):
    """One level of the tree: the parents of neighbours; the last value goes up as it is if it has none."""
    count = len(values[0]) // 2
    left = [wide(value[0:2 * count:2]) for value in values]
    right = [wide(value[1:2 * count:2]) for value in values]
    iv = [word * lanes(count) for word in IV]
    parents = compress(iv, left + right, (0, 0), 64, PARENT | (ROOT if top and len(values[0]) == 2 else 0), count)
    return [parent + value[2 * count:] for parent, value in zip(parents, values)]


def as_bytes(values):
    """8 arrays of words as a list of hashes."""
    return [struct.pack("<8I", *words) for words in zip(*values)]


def merge(hashes, top):
    """merge() of section 8, level by level, which gives the same tree."""
    if len(hashes) == 1:
        return hashes[0]
    words = words_of(b"".join(hashes))
    values = [array("Q", words[i::8]) for i in range(8)]
    while len(values[0]) > 1:
        values = pair(values, top)
    return as_bytes(values)[0]


def subtree(data, counter):
    """subtree(data, counter, false) of section 8. `data` is not empty."""
    values = [array("Q") for _ in IV]
    for at in range(0, len(data), SLICE):
        more = chunk_values(data[at:at + SLICE], counter + at // 1024)
        values = [value + word for value, word in zip(values, more)]
    while len(values[0]) > 1:
        values = pair(values, False)
    return as_bytes(values)[0]


def block_hashes(data, size, first=0):
    """The hashes of the blocks of `size` bytes in `data`, the first of which has the number `first`."""
    hashes = []
    step = max(size, SLICE)
    for at in range(0, len(data), step):
        part = data[at:at + step]
        values = chunk_values(part, (first * size + at) // 1024)
        while len(values[0]) > len(part) // size:
            values = pair(values, False)
        hashes += as_bytes(values)
    return hashes


# ---- Parity (section 9). A factor's table of 256 bytes and bytes.translate() multiply; xor goes through integers.

EXP, LOG = [0] * 510, [0] * 256
_value = 1
for _power in range(255):
    EXP[_power] = EXP[_power + 255] = _value
    LOG[_value] = _power
    _value = _value << 1 ^ (0x11D if _value & 0x80 else 0)


def gf_mul(a, b):
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def gf_inverse(a):
    return EXP[255 - LOG[a]]


@lru_cache(maxsize=256)
def gf_table(factor):
    return bytes(gf_mul(factor, byte) for byte in range(256))


def xor(a, b):
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def matrix_row(i, k):
    """Row i of the matrix of which the first k rows are the unit matrix."""
    return bytes(int(i == j) for j in range(k)) if i < k else bytes(gf_inverse(i ^ j) for j in range(k))


def combine(factors, blocks):
    """The sum of blocks times factors."""
    total = 0
    for factor, block in zip(factors, blocks):
        if factor:
            total ^= int.from_bytes(block.translate(gf_table(factor)), "little")
    return total.to_bytes(len(blocks[0]), "little")


@lru_cache(maxsize=64)
def invert(have, k):
    """The inverse of the rows `have` of the matrix, by Gauss and Jordan; row i gives data block i."""
    rows = [matrix_row(i, k) + matrix_row(number, k) for number, i in enumerate(have)]
    for column in range(k):
        pivot = next(r for r in range(column, k) if rows[r][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = rows[column].translate(gf_table(gf_inverse(rows[column][column])))
        for r in range(k):
            factor = rows[r][column]
            if r != column and factor:
                rows[r] = xor(rows[r], rows[column].translate(gf_table(factor)))
    return [row[k:] for row in rows]


# ---- Keys (section 5) and sealed blocks (sections 6, 7 and 14)

CONTEXT = "holdall 2026-11-22 format 1 "


def derive(context, message):
    return blake3(message, derive_key_context=CONTEXT + context).digest()


def commitment(run_key, owner):
    return derive("run key commitment", run_key + owner)


def record_key(run_key, owner):
    return derive("record key", run_key + owner)


def set_key(run_key, owner):
    return derive("set key", run_key + owner)


def shard_key(run_key, salt, suite, owner, stripe, index, k, m, B, n):
    return derive("shard key", run_key + salt + struct.pack("<HBB", 1, suite, 0) + owner
                  + struct.pack("<IBBBBII", stripe, index, k, m, 0, B, n))


def catalog_key(run_key, salt, suite, owner, part, B, n):
    return derive("catalog key", run_key + salt + struct.pack("<HBB", 1, suite, 0) + owner
                  + struct.pack("<III", part, B, n))


def catalog_name(run, part):
    return f"catalog/{run}-index.cat" if part == 0xFFFFFFFF else f"catalog/{run}-{part:08x}.cat"


def owner_bytes(shipment, number, run):
    return struct.pack("<QIQ", int(shipment, 16), number, int(run, 16))


def parse_run_key(data, owner):
    if len(data) != 72:
        raise Bad("the key has %d bytes instead of 72" % len(data))
    magic, version, zero = struct.unpack_from("<16sHH", data)
    if magic != b"holdall run key\n" or zero:
        raise Bad("it is no run key")
    if version != 1:
        raise Bad(f"its version is {version}; this reader knows version 1")
    if data[20:40] != owner:
        raise Bad("it belongs to another shipment, set or run")
    return data[40:]


def open_block(cipher, number, block):
    """The plain bytes of a sealed block, or None. Block 0 begins with the salt."""
    try:
        return cipher.decrypt(struct.pack("<QI", number, 0), bytes(block[32:] if number == 0 else block), None)
    except InvalidTag:
        return None


def read_identities(paths):
    """The identities in files as age writes them (or an SSH key)."""
    found = []
    for path in paths:
        with open(path, "rb") as file:
            text = file.read(1 << 20)
        before = len(found)
        if text.startswith(b"-----BEGIN"):
            found.append(pyrage.ssh.Identity.from_buffer(text))
            continue
        try:  # PowerShell's > writes UTF-16
            text = text.decode("utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        except UnicodeDecodeError:
            raise Bad(f"{path}: it holds no identity in text")
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                found.append(pyrage.x25519.Identity.from_str(line.strip()))
        if len(found) == before:
            raise Bad(f"{show(path)}: it holds no identity")
    return found


# ---- label.json (section 4) and set.txt (section 15)

def members(pairs):
    if len(dict(pairs)) < len(pairs):
        raise Bad("a member is there twice")
    return dict(pairs)


def parse_label(data, shipment, number):
    try:
        label = json.loads(data.decode("utf-8"), object_pairs_hook=members)
    except (ValueError, RecursionError):
        raise Bad("it is no JSON")
    if not isinstance(label, dict) or label.get("what") != "holdall drive":
        raise Bad("it is no label of holdall")
    for name in ("format", "set", "slot", "drives", "suite", "chunk_bytes", "block_bytes"):
        if type(label.get(name)) is not int:
            raise Bad(f"{name} is no number")
    for name in ("program", "shipment", "case", "survive", "created", "name", "contact"):
        if type(label.get(name)) is not str:
            raise Bad(f"{name} is no text")
    if label["format"] != 1:
        raise Bad(f"it is of a newer format, {label['format']}")
    if (label["shipment"], label["set"]) != (shipment, number) or number == 0:
        raise Bad("it belongs to another set")
    if not 1 <= label["slot"] <= label["drives"] <= 65535:
        raise Bad("its slot is out of range")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", label["case"]):
        raise Bad("the name of its case has another form")
    if not power_of_two(label["chunk_bytes"], 1024, 1 << 26) or not 1 <= label["suite"] <= 255:
        raise Bad("chunk_bytes is out of range")
    if not power_of_two(label["block_bytes"], 4096, 4194304):
        raise Bad("block_bytes is out of range")
    return label


class SetText:
    """A set.txt: slots as {number: (case, hash)}, runs and parts in order."""

    def __init__(self, data, shipment, number):
        try:
            lines = data.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise Bad("it is not UTF-8")
        if lines.pop() != "":
            raise Bad("its last line does not end")
        self.lines, self.root = lines, plain_hash(data)
        if lines[:1] != ["holdall-set 1"]:
            newer = re.match(r"holdall-set (\d+)$", lines[0] if lines else "")
            raise Bad("it is of a newer format" if newer else "it is no set.txt")
        lines.pop(0)
        decimal, hex16, hex64 = r"(0|[1-9][0-9]*)", r"([0-9a-f]{16})", r"([0-9a-f]{64})"
        if self.one("shipment " + hex16)[0] != shipment or int(self.one("set " + decimal)[0]) != number:
            raise Bad("it belongs to another set")
        self.closed = self.one(r"closed (\S.*)")[0]
        self.survive = self.one(r"survive (\S.*)")[0]
        slots = self.many(rf"slot {decimal} ([A-Za-z0-9._-]{{1,32}}(?= [0-9a-f])|\?(?= none$)) ([0-9a-f]{{64}}|none)")
        if not slots or [int(slot[0]) for slot in slots] != list(range(1, len(slots) + 1)):
            raise Bad("its slots are not numbered 1, 2, 3, ...")
        self.slots = {int(slot): (case, label) for slot, case, label in slots}
        self.runs = [(run, bytes.fromhex(promise), int(files), int(stripes), bytes.fromhex(last))
                     for run, promise, files, stripes, last
                     in self.many(f"run {hex16} {hex64} {decimal} {decimal} {hex64}")]
        self.parts = [(run, int(part), int(size), bytes.fromhex(digest))
                      for run, part, size, digest in self.many(f"part {hex16} {decimal} {decimal} {hex64}")]
        self.index = self.parts[-1] if self.parts and self.parts[-1][1] == 0xFFFFFFFF else None
        if sum(part == 0xFFFFFFFF for _, part, _, _ in self.parts) != (self.index is not None):
            raise Bad("the index is not the last of its catalog files")
        self.one("before ([0-9a-f]{64}|none)")
        self.one("base ([0-9a-f]{16}|none)")
        self.last = self.one("last (yes|no)")[0] == "yes"
        mac = self.one("mac ([0-9a-f]{64}|none)")[0]
        self.mac = None if mac == "none" else bytes.fromhex(mac)
        self.sealed = data[:data.rindex(b"mac ")]
        if (self.mac is None) != (self.index is None) or not self.runs:
            raise Bad("it has an index and no MAC, or a MAC and no index, or no run")
        known = [run for run, *_ in self.runs]
        named = [(run, part) for run, part, *_ in self.parts]
        if len(set(known)) < len(known) or len(set(named)) < len(named) or {run for run, _ in named} - set(known):
            raise Bad("it names a run or a part twice, or a part of no run")
        if lines:
            raise Bad("it has a line too many: " + show(lines[0][:60]))

    def one(self, pattern):
        found = re.fullmatch(pattern, self.lines.pop(0)) if self.lines else None
        if not found:
            raise Bad("a line is missing or has another form: " + pattern.split()[0])
        return found.groups()

    def many(self, pattern):
        found = []
        while self.lines and self.lines[0].startswith(pattern.split()[0] + " "):
            found.append(self.one(pattern))
        return found


# ---- Records (section 10)

class Record:
    """What there is to know of one stripe."""

    def __init__(self, data, at, shipment, number, run):
        """Reads the record that begins at `at`."""
        if len(data) - at < 48:
            raise Bad("a record ends early")
        (length, self.kind, reason, self.suite, self.k, self.m, zero, version, self.B, self.n, *owner, self.stripe,
         members) = struct.unpack_from("<IBBBBBBHIIIQQII", data, at)
        if version > 1:
            raise Bad(f"a record is of a newer format, {version}")
        self.total = self.k + self.m
        if (version == 0 or zero or self.kind > 1 or reason > 3 or self.total > 255
                or (self.k < 1 if self.kind == 0 else (self.k, self.m) != (0, 1))
                or not power_of_two(self.B, 4096, 4194304) or not 1 <= self.n <= 65536
                or self.B * self.n >= 1 << 32 or self.suite == 0
                or owner != [number, int(shipment, 16), int(run, 16)] or (members > 0) != (self.kind == 1)):
            raise Bad("a field of a record is out of range")
        places = at + 48
        hashes = places + 34 * self.total + 16 * members
        self.end = hashes + 32 * self.total * self.n
        if length != self.end - at or self.end > len(data):
            raise Bad("a record's length is not what its fields give")
        self.run = run
        self.slots = [struct.unpack_from("<H", data, places + 34 * i)[0] for i in range(self.total)]
        self.salts = [bytes(data[places + 34 * i + 2:places + 34 * i + 34]) for i in range(self.total)]
        if self.kind == 0 and len(set(self.slots)) < self.total:
            raise Bad("a record has a slot twice")
        if any(any(salt) for salt in self.salts[self.k:]):
            raise Bad("a record has a salt for parity")
        self.members = []
        for place in range(hashes - 16 * members, hashes, 16):
            run, stripe, index, zeros = struct.unpack_from("<QIB3s", data, place)
            if any(zeros):
                raise Bad("a member's zeros are none")
            self.members.append((f"{run:016x}", stripe, index))
        self.head, self.hashes = data[at:hashes], data[hashes:self.end]

    def hash(self, index, block):
        at = 32 * (index * self.n + block)
        return bytes(self.hashes[at:at + 32])

    @lru_cache(maxsize=512)
    def root(self, index):
        """The plain BLAKE3 of a whole shard."""
        return merge([self.hash(index, block) for block in range(self.n)], True)


RECORD_FILE = struct.Struct("<8sHHIQQIIIII32s32s32s")


class RecordFile:
    """One commit of the packer."""

    def __init__(self, data, shipment, number, run, file_number):
        if len(data) < 212:
            raise Bad("it ends early")
        (magic, version, flags, *owner, count, part, part_B, part_n, part_hash,
         self.commitment, self.previous) = RECORD_FILE.unpack_from(data)
        if magic != b"holdrec\n":
            raise Bad("it is no record file")
        if version > 1:
            raise Bad(f"it is of a newer format, {version}")
        if plain_hash(data[:-32]) != data[-32:]:
            raise Bad("it does not match its own hash")
        if version == 0 or flags > 1 or owner != [number, int(shipment, 16), int(run, 16), file_number]:
            raise Bad("a field of its head is out of range, or it is of another set or run")
        if count > 65536:
            raise Bad("it has more records than it may")
        if flags == 0 and any(data[40:84]):
            raise Bad("it names a part, but has none")
        if flags and not (power_of_two(part_B, 4096, 4194304) and 1 <= part_n <= 65536
                          and part_B * part_n < 1 << 32 and part != 0xFFFFFFFF):
            raise Bad("the sizes of its part are out of range")
        self.run, self.number, self.data = run, file_number, data
        self.part = (run, part, part_B * part_n, part_hash) if flags else None
        self.root, self.mac, self.body = plain_hash(data), data[-64:-32], plain_hash(data[:-64])
        view, at = memoryview(data)[:-64], 148
        self.records = []
        for _ in range(count):
            self.records.append(Record(view, at, shipment, number, run))
            at = self.records[-1].end
        if at != len(view):
            raise Bad("more follows behind its records")

    def authentic(self, key):
        return blake3(self.body, key=key).digest() == self.mac


# ---- Lists (section 11)

FOLDER, FILE, SYMLINK, HARDLINK, FIFO, CHARACTER, BLOCK, SOCKET, UNKNOWN = range(1, 10)
LACKS = {1: "what lies in it", 2: "some of what lies in it", 3: "extended attributes or ACLs",
         4: "extended attributes and ACLs, with all of the dataset"}
WHOLE, CHANGED, VOID = range(3)
MOST_ITEMS, MOST_BYTES = 131072, 67108864


class Fields:
    """What stands in bytes that may be anything, in order."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise Bad("a list ends early")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self, bits=64):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if value >> bits or shift and not byte:
                raise Bad("a varint is too large, or longer than it need be")
            if byte < 128:
                return value
            shift += 7

    def signed(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def counted(self):
        return self.take(self.varint())

    def shard(self):
        run, stripe, index = struct.unpack("<QIB", self.take(13))
        return f"{run:016x}", stripe, index


class Entry:
    """A path with its metadata, and what follows it: extents and an end."""

    def __init__(self, data, before):
        """Reads an entry behind its first byte; `before` is the one before it in its list, or None."""
        self.flags, self.kind = data.byte(), data.byte()
        relative, same_owners = self.flags & 8, self.flags & 16
        if (self.flags > 63 or not FOLDER <= self.kind <= UNKNOWN or self.flags & 7 and self.kind != FILE
                or self.flags & 3 == 3 or self.flags & 6 == 4 or same_owners and not relative
                or relative and before is None):
            raise Bad("the flags of an entry say what cannot be, or its kind is unknown")
        self.continued, self.whole = bool(self.flags & 1), bool(self.flags & 2)
        shared = data.varint() if relative else 0
        if shared and shared > len(before.path):
            raise Bad("an entry shares more of a path than there is")
        self.path = (before.path[:shared] if shared else b"") + data.counted()
        check_path(self.path, self.kind == FOLDER)
        if same_owners:
            self.mode, self.uid, self.gid, self.names = before.mode, before.uid, before.gid, before.names
        else:
            self.mode = int.from_bytes(data.take(2), "little")
            self.uid, self.gid = data.varint(32), data.varint(32)
            self.names = data.counted(), data.counted()
        self.seconds, self.nanos = data.signed(), data.signed()
        if relative:
            self.seconds = (self.seconds + before.seconds + (1 << 63)) % (1 << 64) - (1 << 63)
            self.nanos += before.nanos
        self.size = data.varint() if self.kind == FILE else 0
        if self.mode > 0o7777 or not 0 <= self.nanos < 10**9:
            raise Bad("a field of an entry is out of range")
        self.target, self.device, self.holes, self.xattrs, self.lacks = b"", None, [], [], b""
        if self.flags & 32:
            self.fields(Fields(data.counted()))
        if (self.kind == UNKNOWN and (self.mode or self.uid or self.gid or any(self.names) or self.seconds or self.nanos
                                      or self.target or self.xattrs or self.device is not None or self.holes)
                or 2 in self.lacks and (1 in self.lacks or self.kind != FOLDER)
                or 1 in self.lacks and self.kind not in (FOLDER, UNKNOWN)
                or 3 in self.lacks and self.kind in (HARDLINK, UNKNOWN) or 4 in self.lacks and self.path):
            raise Bad("an entry says of itself what cannot be")
        if (self.kind in (SYMLINK, HARDLINK)) != bool(self.target):
            raise Bad("a link has no target, or an entry has one and is no link")
        if self.kind == HARDLINK:
            check_path(self.target, False)
        self.extents, self.end, self.seen = [], None, 0

    def fields(self, data):
        if not data.left():
            raise Bad("an entry announces fields and has none")
        before = 0
        while data.left():
            tag, value = data.byte(), data.counted()
            if tag >= 128:
                raise Bad(f"an entry has a field of a newer format, {tag}")
            if tag < before or (tag == before and tag != 4):
                raise Bad(f"an entry has the field {tag} twice, or out of order")
            before = tag
            if tag == 1:
                self.target = value
            elif tag == 4:
                name = 2 + int.from_bytes(value[:2], "little")
                if len(value) < 2 or name > len(value):
                    raise Bad("an extended attribute ends early")
                if name == 2 or b"\0" in value[2:name] or self.xattrs and value[2:name] <= self.xattrs[-1][0]:
                    raise Bad("the name of an extended attribute is none, or out of order")
                self.xattrs.append((value[2:name], value[name:]))
                if len(self.xattrs) > 32768:
                    raise Bad("too many extended attributes")
            elif tag == 5:
                if len(value) != 8:
                    raise Bad(f"the number of a device has {len(value)} bytes")
                self.device = struct.unpack("<II", value)
            elif tag == 6:
                if len(value) % 16:
                    raise Bad("a hole ends early")
                for start, size in struct.iter_unpack("<QQ", value):
                    if size == 0 or start + size > self.size or self.holes and start <= self.holes[-1][1]:
                        raise Bad("a hole is out of range")
                    self.holes.append((start, start + size))
            elif tag == 7:
                if any(code not in LACKS for code in value) or bytes(sorted(set(value))) != value:
                    raise Bad("an entry lacks what is not known, or in no order")
                self.lacks = value

    @property
    def time(self):
        return self.seconds * 10**9 + self.nanos

    def holes_in(self, start, end):
        """The parts of holes that lie between `start` and `end`."""
        first = max(bisect.bisect(self.holes, (start, 0)) - 1, 0)
        for a, b in itertools.islice(self.holes, first, None):
            if a >= end:
                break
            if b > start:
                yield max(a, start), min(b, end)

    def open(self):
        """Does more of this file follow, in this set or the next one?"""
        return self.kind == FILE and not self.whole and self.end is None

    def void(self):
        return self.end is not None and self.end[0] == VOID

    def final_size(self):
        return self.end[1] if self.end else self.size

    def root(self):
        """The plain BLAKE3 of the file, or None; of a whole one, the id of its chunk says all."""
        return self.end[2] if self.end else None


class Extent:
    """A piece of a file, or all of a whole one, and where it lies. `id` is the value of the piece, but of a whole
    file the plain hash of the chunk."""

    __slots__ = ("offset", "length", "skip", "id", "chunk", "whole", "set")

    def __init__(self, offset, length, skip, id, chunk, whole):
        self.offset, self.length, self.skip, self.id, self.chunk, self.whole = offset, length, skip, id, chunk, whole


def check_path(path, empty_allowed):
    if path == b"" and empty_allowed:
        return
    for name in path.split(b"/"):
        if name in (b"", b".", b"..") or len(name) > 1020 or b"\0" in name:
            raise Bad("a path is not allowed: " + show(path))


def sort_key(entry):
    folder = entry.kind == FOLDER or entry.kind == UNKNOWN and 1 in entry.lacks
    return entry.path + b"/" if folder and entry.path else entry.path


def parse_list(data):
    """The items of a list: entries, extents, and ends as (state, size, root). All are good, or it is rejected. A whole
    entry with bytes is followed by the extent of its chunk that it takes."""
    reader = ListReader()
    reader.read(Fields(bytes(data)), False)
    return reader.items


class ListReader:
    def __init__(self):
        self.items, self.count, self.plain, self.names = [], 0, 0, 0
        self.before, self.open, self.shard, self.chunk = None, False, None, None

    def read(self, data, compressed):
        kinds = {1: self.entry, 2: self.extent, 3: self.end, 4: self.name_chunk, 5: self.name_shard}
        if not compressed:
            kinds[6] = self.compressed
        while data.left():
            kind = data.byte()
            if kind not in kinds:
                raise Bad(f"an item is of the unknown kind {kind}")
            kinds[kind](data)
            self.count += 1
            if self.count > MOST_ITEMS:
                raise Bad("a list has too many items")

    def entry(self, data):
        entry = Entry(data, self.before)
        if entry.continued and self.items:
            raise Bad("an entry within a list is marked continued")
        self.before, self.open = entry, entry.kind == FILE and not entry.whole
        self.count += len(entry.xattrs)
        self.names += len(entry.path) + sum(map(len, entry.names))
        if self.names > MOST_BYTES:
            raise Bad("the paths and names of a list are too long")
        self.items.append(entry)
        if entry.whole and entry.size:
            if self.chunk is None:
                raise Bad("a whole file has bytes, and no chunk is named")
            name, place, start = self.chunk
            if start + entry.size > place[-1]:
                raise Bad("a whole file ends behind its chunk")
            self.items.append(Extent(0, entry.size, start, name, place, True))
            self.chunk = name, place, start + entry.size

    def extent(self, data):
        offset, length, skip, name = data.varint(), data.varint(32), data.varint(32), data.take(32)
        place = self.place(data)
        most = offset & -offset  # the largest power of two that divides it
        if length == 0 or offset + length >= 1 << 64 or skip + length > place[-1]:
            raise Bad("a field of an extent is out of range")
        if offset and (most < 1024 or length > most) or not self.open:
            raise Bad("an extent is no piece of a file, or follows none")
        self.items.append(Extent(offset, length, skip, name, place, False))

    def end(self, data):
        state, size = data.byte(), data.varint()
        root = data.take(32) if state >= 128 else None
        if state & 127 > 2 or not self.open:
            raise Bad("an end has no known state, or follows no file that is open")
        self.open = False
        self.items.append((state & 127, size, root))

    def name_chunk(self, data):
        name, place, start = data.take(32), self.place(data), data.varint(32)
        if start >= place[-1]:
            raise Bad("a file begins behind its chunk")
        self.chunk = name, place, start

    def name_shard(self, data):
        self.shard = data.shard()

    def compressed(self, data):
        size, frame = data.varint(32), data.counted()
        self.plain += size
        if size == 0 or self.plain > MOST_BYTES:
            raise Bad("compressed items have too many bytes, or none")
        self.read(Fields(inflate(frame, size)), True)

    def place(self, data):
        """Where a chunk lies: run, stripe, index, method, offset, head, stored and plain bytes."""
        method, named = data.byte(), data.byte()
        if method > 22 or named > 1 or not named and self.shard is None:
            raise Bad("a chunk has an unknown method, or no shard is named")
        shard = data.shard() if named else self.shard
        offset, head, stored, plain = (data.varint(32) for _ in range(4))
        if not 0 < head <= stored or not 0 < plain <= 1 << 27 or method == 0 and plain != stored:
            raise Bad("a field of a place is out of range")
        return (*shard, method, offset, head, stored, plain)


def gather(lists, into):
    """Puts the items of a set's lists together: {path: [entries of this path]}."""
    entry = None
    for items in lists:
        for item in items:
            if isinstance(item, Entry):
                entry = item
                if item.continued and item.path in into and into[item.path][-1].open():
                    entry = into[item.path][-1]
                elif item.path in into:
                    into[item.path].append(item)
                else:
                    into[item.path] = [item]
            elif isinstance(item, Extent):
                entry.extents.append(item)
            else:
                entry.end = item
    return into


# ---- A set: the folders of one shipment and number on all drives (sections 3, 14, 17)

class Folder:
    """A set's folder on one drive."""

    def __init__(self, path):
        self.path, self.slot, self.hashes = path, 0, {}


class HoldallSet:
    def __init__(self, shipment, number, report, cache, all_blocks):
        self.shipment, self.number, self.report, self.all_blocks = shipment, number, report, all_blocks
        self.name = f"{shipment}-{number:03d}"
        self.folders, self.keys, self.label, self.text, self.cache = [], {}, None, None, cache
        self.keyed = False

    def bad(self, text):
        self.report.bad(f"set {self.name}: {text}")

    def lost(self, text):
        self.report.lost(f"set {self.name}: {text}")

    def owner(self, run):
        return owner_bytes(self.shipment, self.number, run)

    def copies(self, name, limit=1 << 32, parse=None, missing=False):
        """Gives (folder, bytes or what `parse` makes of them) for each good copy, and reports the bad ones."""
        for folder in self.folders:
            for place in (name, "copy/" + name):
                path = join(folder.path, place)
                if lexists(path):
                    try:
                        data = read_file(path, limit)
                        yield folder, parse(data) if parse else data
                    except Bad as why:
                        self.report.bad(f"{path}: {why}")
                elif missing and (place == name or self.text and name.endswith(".age")):
                    self.report.bad(f"{path}: it is missing")

    def load(self):
        """Reads what is in clear: labels, set.txt and records."""
        self.load_text()
        self.load_labels()
        self.load_records()

    def load_text(self):
        found = {}
        for _, text in self.copies("set.txt", 4 << 20, lambda data: SetText(data, self.shipment, self.number)):
            found[text.root] = text
        if len(found) > 1:
            roots = ", ".join(sorted(root.hex() for root in found))
            self.bad(f"CONFLICT: there are different valid copies of set.txt; none is used; their roots: {roots}")
        elif found:
            self.text = next(iter(found.values()))
            for folder, place in itertools.product(self.folders, ("set.txt", "copy/set.txt")):
                if not lexists(join(folder.path, place)):
                    self.report.bad(f"{folder.path}/{place}: it is missing")
        else:
            self.bad("there is no set.txt: the set was not closed, or that is lost; more may belong to it")

    def load_labels(self):
        shared = ("drives", "survive", "suite", "chunk_bytes", "block_bytes")
        for folder in self.folders:
            for place in ("label.json", "copy/label.json"):
                path = join(folder.path, place)
                try:
                    data = read_file(path, 65536)
                    label = parse_label(data, self.shipment, self.number)
                    known = self.text and self.text.slots.get(label["slot"])
                    if self.text and known not in ((label["case"], plain_hash(data).hex()), ("?", "none")):
                        raise Bad("it is not the label that set.txt names for its slot")
                except Bad as why:
                    unknown = self.text and self.text.slots.get(folder.slot) == ("?", "none")
                    if self.text and not unknown or lexists(path):  # copies are made when a set is closed
                        self.report.bad(f"{path}: {why}")
                    continue
                folder.slot = folder.slot or label["slot"]
                self.label = self.label or label
                if any(label[name] != self.label[name] for name in shared):
                    self.report.bad(f"{path}: it does not agree with the other labels")

    def load_records(self):
        """All valid record files: {run: {number: [different contents]}}. Without a key each may be believed."""
        self.found = {}
        names = set()
        for folder, place in itertools.product(self.folders, ("records", "copy/records")):
            if os.path.isdir(join(folder.path, place)):
                names.update(os.listdir(join(folder.path, place)))
        for name in sorted(name for name in names if re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{8}\.rec", name)):
            run, number = name[:16], int(name[17:25], 16)
            files = self.found.setdefault(run, {}).setdefault(number, [])
            counts = not self.text or any(run == line[0] and number < line[2] for line in self.text.runs)
            for _, file in self.copies("records/" + name, 1 << 25, missing=counts, parse=lambda data: RecordFile(
                    data, self.shipment, self.number, run, number)):
                if all(file.data != other.data for other in files):
                    files.append(file)

    def unwrap(self, identities):
        """Opens the run keys; drops runs without one, and record files that are not authentic."""
        self.keyed = True
        runs = dict.fromkeys(list(self.found) + [run for run, *_ in self.text.runs] if self.text else self.found)
        for run in runs:
            promises = {file.commitment for files in self.found.get(run, {}).values() for file in files}
            if self.text:
                promises.update(promise for name, promise, *_ in self.text.runs if name == run)
            found, why = set(), "it is on none of the drives"
            for _, wrapped in self.copies(f"key-{run}.age", 1 << 16):
                try:
                    key = parse_run_key(pyrage.decrypt(wrapped, identities), self.owner(run))
                    if promises and commitment(key, self.owner(run)) not in promises:
                        raise Bad("it is not the key that the records promise")
                    found.add(key)
                except (Bad, pyrage.DecryptError) as error:
                    why = error
            if len(found) == 1:
                self.keys[run] = found.pop()
            else:
                self.lost(f"the key of run {run}: {'CONFLICT: there are several' if found else why}")
        for run, numbers in list(self.found.items()):
            if run not in self.keys:
                del self.found[run]
                continue
            key, promise = record_key(self.keys[run], self.owner(run)), commitment(self.keys[run], self.owner(run))
            for number, files in numbers.items():
                good = [file for file in files if file.commitment == promise and file.authentic(key)]
                if len(good) < len(files):
                    self.bad(f"a copy of records/{run}-{number:08x}.rec is not authentic")
                numbers[number] = good
        if self.text and self.text.mac:
            run = self.text.index[0]
            key = run in self.keys and set_key(self.keys[run], self.owner(run))
            if not key or blake3(self.text.sealed, key=key).digest() != self.text.mac:
                if self.keys:  # else nothing is known of it, and nothing comes of this set
                    why = "is not authentic" if key else f"cannot be checked without the key of run {run}"
                    self.bad(f"set.txt {why}: more may belong to the set")
                self.text = None

    def vouched(self):
        """Of the record files those that set.txt vouches for, from the last of each run back (section 15)."""
        for run in sorted(set(self.found).difference(run for run, *_ in self.text.runs)):
            self.report.note(f"note: run {run} is not in set {self.name}; it is left aside")
        kept = {}
        for run, _, count, _, wanted in self.text.runs:
            kept[run] = numbers = {}
            for number, files in sorted(self.found.get(run, {}).items(), reverse=True):
                if number >= count:
                    self.report.note(f"note: set {self.name} was closed without records/{run}-{number:08x}.rec; "
                                     "it is left aside")
                    continue
                if number + 1 < count and number + 1 not in numbers:
                    wanted = None
                right = [file for file in files if file.root == wanted or wanted is None and len(files) == 1]
                if len(right) < len(files):
                    self.bad(f"a copy of records/{run}-{number:08x}.rec is not what set.txt vouches for")
                if right:
                    numbers[number], wanted = right, right[0].previous
        self.found = kept

    def order(self):
        """Puts the records in order, and checks their chain and set.txt against them (sections 10 and 15)."""
        if self.text and (self.text.mac or not self.keyed):
            self.vouched()
        runs = {}
        for run, numbers in self.found.items():
            runs[run] = []
            for number, files in sorted(numbers.items()):
                if len(files) > 1:
                    self.bad(f"CONFLICT: there are different valid files records/{run}-{number:08x}.rec")
                runs[run] += files[:1]
        order, before = [run for run, *_ in self.text.runs if run in runs] if self.text else [], bytes(32)
        while not self.text:
            following = [run for run in runs if run not in order and runs[run] and runs[run][0].previous == before]
            if len(following) != 1:
                break
            order.append(following[0])
            before = runs[following[0]][-1].root
        for run in sorted(set(runs) - set(order)):
            if not self.text:
                self.bad(f"run {run} is not in the chain of records")
            order.append(run)
        self.files = [file for run in order for file in runs[run]]
        self.stripes, self.along, before = {}, {}, bytes(32)
        for file in self.files:
            if file.previous != before:
                self.lost(f"the chain of records is broken before {file.run}-{file.number:08x}")
            before = file.root
            for record in file.records:
                if (record.run, record.stripe) in self.stripes:
                    self.bad(f"run {record.run} has stripe {record.stripe:08x} twice")
                else:
                    self.stripes[record.run, record.stripe] = Stripe(self, record)
                    self.along.update(dict.fromkeys(record.members, (record.run, record.stripe)))
        last = bytes(32)
        for run, promise, count, stripes, digest in self.text.runs if self.text else []:
            here = runs.get(run, [])
            last = here[-1].root if here else last
            if (len(here), sum(len(file.records) for file in here), last) != (count, stripes, digest):
                self.lost(f"run {run} ends in another record file than set.txt says: records are missing")
            if any(file.commitment != promise for file in here):
                self.bad(f"the key of run {run} in set.txt is not that of its records")
            last = digest

    def mend(self, stripe, wanted, column):
        """Bad blocks of a stripe in a column, by both codes in turn until nothing more changes (section 9):
        {index: {column: block}}, for as many of the wanted indices as can be had."""
        record = stripe.record
        bad, given, sums = [(record.run, record.stripe, index) for index in wanted], {}, {}
        for node in bad:  # grows: all stripes that hang together by bad blocks
            for key in {node[:2], self.along.get(node)}.difference(sums, {None}):
                nodes = self.blocks_of(self.stripes[key], column, wanted)
                sums[key] = nodes
                bad += [node for node in nodes if node not in bad and not self.is_good(node, column)]
        changed = True
        while changed:
            changed = False
            for key, nodes in sums.items():
                lacking = [node for node in nodes if node in bad and node not in given]
                if lacking and len(lacking) <= self.stripes[key].record.m:
                    here = [node for node in nodes if node not in lacking]
                    blocks = {node: given.get(node) or self.block(node, column) for node in here}
                    for node, block in self.stripes[key].solve(lacking, blocks).items():
                        owner = self.stripes[node[:2]]
                        data = bytearray(owner.size)
                        data[column * owner.record.B:(column + 1) * owner.record.B] = block
                        if owner.check_blocks(node[2], data, [column]):
                            given[node] = block
                            changed = True
        own = {node[2]: {column: block} for node, block in given.items() if node[:2] == (record.run, record.stripe)}
        return {index: own[index] for index in wanted if index in own}

    def blocks_of(self, stripe, column, wanted):
        """The blocks of a stripe in a column as (run, stripe, index); none if it cannot help."""
        record = stripe.record
        nodes = [(record.run, record.stripe, index) for index in range(record.total)]
        if record.kind == 0:
            return nodes
        if not self.is_good(nodes[0], column):
            return []
        for member in record.members:
            other = self.stripes.get(member[:2])
            if other is None or member[2] >= other.record.total:
                return []
            if column < other.record.n:
                nodes.append(member)
        return nodes

    def is_good(self, node, column):
        return self.stripes[node[:2]].good(node[2])[column]

    def block(self, node, column):
        stripe = self.stripes[node[:2]]
        B = stripe.record.B
        return bytes(stripe.raw(node[2])[0][column * B:(column + 1) * B])

    def missing_slots(self):
        """The slots that are not here, as text."""
        here = {folder.slot for folder in self.folders}
        if self.text:
            known = {slot: f"{slot} (case {case})" for slot, (case, _) in self.text.slots.items()}
        else:
            known = {slot: str(slot) for slot in range(1, self.label["drives"] + 1 if self.label else 0)}
        return [text for slot, text in known.items() if slot not in here]

    # The catalog (section 14)

    def catalog_file(self, run, part, size, suite, B):
        """The content of a part or of the index, each block from a copy that has it sound."""
        name = catalog_name(run, part)
        if run not in self.keys:
            raise Bad(f"{name}: there is no key for it")
        if suite not in SUITES:
            raise Bad(f"{name}: this reader does not know suite {suite}")
        if size == 0 or size % B:
            raise Bad(f"{name}: its size is no number of blocks")
        n = size // B
        copies = [data for _, data in self.copies(name, missing=True)]
        for salt in {data[:32]: None for data in copies}:
            cipher = SUITES[suite](catalog_key(self.keys[run], salt, suite, self.owner(run), part, B, n))
            plain = []
            for i in range(n):
                tries = (open_block(cipher, i, data[i * B:(i + 1) * B]) for data in copies
                         if len(data) >= (i + 1) * B and (i or data[:32] == salt))
                block = next((block for block in tries if block is not None), None)
                if block is None:
                    break
                plain.append(block)
            else:
                payload = b"".join(plain)
                length = int.from_bytes(payload[:8], "little")
                if length > len(payload) - 8:
                    raise Bad(f"{name}: its content is longer than the file")
                return payload[8:8 + length]
        raise Bad(f"{name}: no copies make a whole file")

    def catalog_lists(self):
        """The lists in the catalog's frames, in order, and if all of them could be had."""
        lists, parts, whole = [], {}, True
        if not self.text or not self.text.index or not self.label:
            return [], False
        *names, (run, number, size, _) = self.text.parts
        sizes = {(run, number): size for run, number, size, _ in names}
        suite, B = self.label["suite"], self.label["block_bytes"]
        try:
            rows = parse_index(self.catalog_file(run, number, size, suite, B))
        except Bad as why:
            self.bad(f"{why}; the lists in the shards are taken")
            return [], False
        for part, offset, stored, plain, key in rows:
            try:
                if part not in parts:
                    parts[part] = None
                    if part not in sizes:
                        raise Bad("set.txt does not name " + catalog_name(*part))
                    parts[part] = self.catalog_file(*part, sizes[part], suite, B)
                if parts[part] is None:
                    raise Bad(catalog_name(*part) + " cannot be had")
                data = parts[part][offset:offset + 8 + stored]
                if len(data) != 8 + stored or struct.unpack_from("<II", data) != (stored, plain):
                    raise Bad("a frame is not what its row says")
                items = parse_list(inflate(data[8:], plain))
                if not items or sort_key(items[0]) != key:
                    raise Bad("a frame does not begin with the entry that its row names")
                lists.append(items)
            except Bad as why:
                whole = False
                self.bad(f"catalog: {why}; the lists in the shards are taken")
        return lists, whole

    def shard_lists(self):
        """The lists of all data shards, in order, as far as they can be had."""
        for stripe in self.stripes.values():
            for index in range(stripe.record.k if stripe.record.kind == 0 else 0):
                try:
                    yield parse_list(stripe.list(index))
                except Bad as why:
                    self.lost(f"the list of {stripe.shard_name(index)}: {why}")

    def entries(self, from_lists):
        """{path: entry} of this set; of several entries of one path the last counts."""
        lists, whole = ([], False) if from_lists else self.catalog_lists()
        found = {path: last for path, (*_, last) in gather(lists, {}).items()}
        if not whole:
            partly, found = found, {path: last for path, (*_, last) in gather(self.shard_lists(), {}).items()}
            for path, entry in partly.items():
                if path not in found or len(entry.extents) > len(found[path].extents):
                    found[path] = entry
        for entry in found.values():
            for extent in entry.extents:
                extent.set = self
        return found

    # Chunks (section 12)

    def chunk(self, place, name):
        """The plain bytes of a chunk, which must match the hash `name`, if there is one."""
        return self.cache.get((place, name), place[-1], lambda: self.checked_chunk(place, name))

    def checked_chunk(self, place, name):
        data = self.read_chunk(*place)
        if name and plain_hash(data) != name:
            raise Bad("a chunk does not match its id")
        return data

    def read_chunk(self, run, number, index, method, offset, head, stored, plain):
        stripe = self.stripes.get((run, number))
        if stripe is None or stripe.record.kind != 0:
            raise Bad(f"there is no record of stripe {run}-{number:08x}")
        record, room = stripe.record, stripe.room - 16
        if index >= record.k or offset + head > room:
            raise Bad("an extent names a place outside its shard")
        parts, have = [stripe.plain(index, offset, offset + head)], head
        while have < stored:
            index += 1
            if index == record.k:
                raise Bad("a chunk runs over the end of its stripe")
            parts.append(stripe.plain(index, 0, min(stored - have, room)))
            have += len(parts[-1])
        data = b"".join(parts)
        return inflate(data, plain) if method else data


def inflate(data, size):
    """One zstd frame of a bounded window, which gives `size` bytes and is stopped from giving more."""
    try:
        head = zstandard.get_frame_parameters(data)
    except zstandard.ZstdError as why:
        raise Bad(f"zstd: {why}")
    if data[:4] != b"\x28\xb5\x2f\xfd" or head.dict_id or head.window_size > max(size, 8 << 20):
        raise Bad("it is no zstd frame, or has a dictionary, or its window is too large")
    frame, plain, at = zstandard.ZstdDecompressor().decompressobj(), bytearray(), 0
    try:
        while at < len(data) and not frame.eof and len(plain) <= size:
            plain += frame.decompress(data[at : at + 4096])
            at += 4096
    except zstandard.ZstdError as why:
        raise Bad(f"zstd: {why}")
    if len(plain) != size or not frame.eof or frame.unused_data or at < len(data):
        raise Bad("a zstd frame does not give the bytes that were announced, or is not alone")
    return bytes(plain)


def parse_index(data):
    """The rows of the catalog's index: (part, offset, stored bytes, plain bytes, sort key)."""
    if len(data) < 28:
        raise Bad("the catalog's index ends early")
    rows, at, before = [], 28, b""
    for _ in range(struct.unpack_from("<I", data, 24)[0]):
        if len(data) - at < 32:
            raise Bad("the catalog's index ends early")
        run, number, offset, stored, plain, length = struct.unpack_from("<QIQIII", data, at)
        key = data[at + 32:at + 32 + length]
        at += 32 + length
        if at > len(data):
            raise Bad("the catalog's index ends early")
        if stored == 0 or not 0 < plain <= 67108864 or key < before:
            raise Bad("a row of the catalog's index is out of range")
        before = key
        rows.append(((f"{run:016x}", number), offset, stored, plain, key))
    if at != len(data):
        raise Bad("more follows behind the rows of the catalog's index")
    return rows


def parse_trailer(data, room):
    """How many bytes the list has."""
    chunks, size, zero = struct.unpack("<IIQ", data)
    if zero or chunks + size + 16 > room:
        raise Bad("a trailer is out of range")
    return size


class Stripe:
    """The shards of one record, from whichever drives have them."""

    def __init__(self, holdall_set, record):
        self.set, self.record, self.report = holdall_set, record, holdall_set.report
        self.size = record.n * record.B
        self.room = record.n * (record.B - 16) - 32  # P of section 7
        self.known = {}  # index: for each block, is it good?

    def shard_name(self, index):
        record = self.record
        return f"shards/{record.stripe // 512:05x}/{record.run}-{record.stripe:08x}-{index:02x}"

    def read_blocks(self, path):
        """The first n * B bytes of a shard's file, with zeros for what cannot be read, and the file's length."""
        handle, B = open_on_drive(path), self.record.B
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise Bad("it is no regular file")
            data = bytearray(self.size)
            for at in range(0, self.size, B):
                try:
                    piece = read_at(handle, B, at)
                    data[at:at + len(piece)] = piece
                except OSError as error:
                    self.report.bad(f"{path}: block {at // B}: {error.strerror}")
            return data, os.fstat(handle).st_size
        finally:
            os.close(handle)

    def check_blocks(self, index, data, blocks):
        """Which of these blocks match their hashes."""
        record, B = self.record, self.record.B
        if record.n == 1:
            hashes = {0: plain_hash(data)}
        elif blocks:
            first, end = blocks[0], blocks[-1] + 1
            hashes = dict(zip(range(first, end), block_hashes(data[first * B:end * B], B, first)))
        return [block for block in blocks if hashes[block] == record.hash(index, block)]

    def read(self, index, every=False):
        """A shard as it lies on the drives: (its bytes, which blocks are good). Bad blocks are looked for in further
        copies, if there are any; with `every`, all copies are read in any case."""
        record, name = self.record, self.shard_name(index)
        kept, good = None, bytearray(record.n)
        slot = record.slots[index]
        found = False
        for folder in sorted(self.set.folders, key=lambda folder: folder.slot != slot):
            path = join(folder.path, name)
            if not lexists(path):
                continue
            found = True
            try:
                data, length = self.read_blocks(path)
            except (Bad, OSError) as why:
                self.report.bad(f"{path}: {why}")
                continue
            folder.hashes[name] = plain_hash(data) if length == self.size else None
            if length != self.size:
                self.report.bad(f"{path}: it has {length} bytes instead of {self.size}")
            if not self.set.all_blocks and folder.hashes[name] == record.root(index):
                sound = range(record.n)
            else:
                sound = self.check_blocks(index, data, range(record.n))
            if len(sound) < record.n:
                bad = sorted(set(range(record.n)).difference(sound))
                self.report.bad(f"{path}: {len(bad)} of {record.n} blocks are damaged: {ranges(bad)}")
            if kept is None or len(sound) == record.n:
                kept, good = data, bytearray(record.n)
            for block in sound:
                if not good[block]:
                    kept[block * record.B:(block + 1) * record.B] = data[block * record.B:(block + 1) * record.B]
                    good[block] = 1
            if all(good) and not every:
                break
        if not found:
            for folder in self.set.folders:
                if folder.slot == slot:
                    self.report.bad(f"{join(folder.path, name)}: it is missing")
        self.known[index] = good
        return kept, good

    def raw(self, index):
        return self.set.cache.get((id(self), "raw", index), self.size, lambda: self.read(index))

    def good(self, index):
        if index not in self.known:
            self.raw(index)
        return self.known[index]

    def rebuild(self, index, columns):
        """Blocks of a data shard by parity, as {column: block}, as far as k others of their columns are good."""
        record, groups, rebuilt = self.record, {}, {}
        for column in columns:
            have = []
            for other in range(record.total):
                if other != index and len(have) < record.k and self.good(other)[column]:
                    have.append(other)
            if len(have) == record.k:
                groups.setdefault(tuple(have), []).append(column)
        for have, columns in groups.items():
            factors = invert(have, record.k)[index]
            sums = [0] * len(columns)
            for other, factor in zip(have, factors):
                data = self.raw(other)[0] if factor else None
                table = gf_table(factor)
                for number, column in enumerate(columns if factor else []):
                    block = data[column * record.B:(column + 1) * record.B]
                    sums[number] ^= int.from_bytes(block.translate(table), "little")
            for column, total in zip(columns, sums):
                rebuilt[column] = total.to_bytes(record.B, "little")
        return rebuilt

    def solve(self, lacking, blocks):
        """The lacking blocks of a column, by (run, stripe, index), from the others."""
        record = self.record
        if record.kind == 1:
            total = bytes(record.B)
            for block in blocks.values():
                total = xor(total, block)
            return {lacking[0]: total}
        have = sorted(blocks, key=lambda node: node[2])[:record.k]
        rows = invert(tuple(node[2] for node in have), record.k)
        data = [combine(row, [blocks[node] for node in have]) for row in rows]
        return {node: combine(matrix_row(node[2], record.k), data) for node in lacking}

    def sealed(self, index):
        """A data shard, rebuilt where it has to be: (its bytes, which blocks are good)."""
        record, B = self.record, self.record.B
        data, good = self.raw(index)
        lacking = [column for column in range(record.n) if not good[column]]
        if not lacking:
            return data, good
        data, good = bytearray(data or self.size), bytearray(good)
        rebuilt = self.rebuild(index, lacking)
        for column in set(lacking).difference(rebuilt):
            rebuilt.update(self.set.mend(self, [index], column).get(index, {}))
        for column, block in rebuilt.items():
            data[column * B:(column + 1) * B] = block
        if len(rebuilt) == len(lacking) and not self.set.all_blocks and plain_hash(data) == record.root(index):
            return data, bytearray(b"\1") * record.n
        for column in self.check_blocks(index, data, sorted(rebuilt)):
            good[column] = 1
        return data, good

    def open(self, index):
        """The payload of a data shard, and which of its blocks could be opened."""
        record = self.record
        if record.run not in self.set.keys:
            raise Bad(f"there is no key for run {record.run}")
        if record.suite not in SUITES:
            raise Bad(f"this reader does not know suite {record.suite}")
        data, good = self.sealed(index)
        key = shard_key(self.set.keys[record.run], record.salts[index], record.suite, self.set.owner(record.run),
                        record.stripe, index, record.k, record.m, record.B, record.n)
        cipher, payload, opened = SUITES[record.suite](key), bytearray(self.room), bytearray(record.n)
        view = memoryview(data)
        for block in range(record.n):
            if good[block]:
                plain = open_block(cipher, block, view[block * record.B:(block + 1) * record.B])
                if plain is None:
                    self.report.bad(f"{self.shard_name(index)}: block {block} matches its hash but does not open")
                else:
                    start = max(block * (record.B - 16) - 32, 0)
                    payload[start:start + len(plain)] = plain
                    opened[block] = 1
        return payload, opened

    def plain(self, index, start, end):
        """A range of the payload of a data shard."""
        payload, opened = self.set.cache.get((id(self), "open", index), self.room, lambda: self.open(index))
        if start < end:
            inner = self.record.B - 16
            if not all(opened[(start + 32) // inner:(end - 1 + 32) // inner + 1]):
                raise Bad(f"blocks of {self.shard_name(index)} cannot be had")
        return bytes(payload[start:end])

    def list(self, index):
        size = parse_trailer(self.plain(index, self.room - 16, self.room), self.room)
        return self.plain(index, self.room - 16 - size, self.room - 16)


def find_sets(drives, report, all_blocks=False, only=None):
    """The sets on the drives, in order; of one shipment, if `only` names one."""
    sets, cache = {}, Cache(CACHE)
    for drive in drives:
        if WINDOWS:  # E: alone is a folder on E that was entered before; "E:\" in quotes comes with the second of them
            drive = re.sub(r"^([A-Za-z]:)$", r"\1\\", drive.rstrip('"'))
        home = join(drive, "holdall")
        try:
            names = sorted(os.listdir(home))
        except OSError as error:
            report.bad(f"{home}: {error.strerror}")
            continue
        seen = False
        for name in names:
            match = re.fullmatch(r"([0-9a-f]{16})-([0-9]{3,10})", name)
            if not match or not os.path.isdir(join(home, name)):
                continue
            shipment, number = match.group(1), int(match.group(2))
            if name == f"{shipment}-{number:03d}" and 0 < number < 1 << 32:
                seen = True
                one = sets.setdefault((shipment, number), HoldallSet(shipment, number, report, cache, all_blocks))
                one.folders.append(Folder(join(home, name)))
        if not seen:
            report.bad(f"{home}: there is no set on it")
    found = [sets[key] for key in sorted(sets) if only in (None, key[0])]
    if sets and not found:
        there = ", ".join(sorted({shipment for shipment, _ in sets}))
        raise Bad(f"shipment {show(only)} is not on these drives; --shipment may be: {there}")
    for one in found:
        one.load()
    return found


def missing_sets(sets, report):
    """Says which sets of a shipment are known to exist but are not here."""
    for shipment in sorted({one.shipment for one in sets}):
        here = {one.number: one.text for one in sets if one.shipment == shipment}
        final = here[max(here)]
        if final and not final.last and not final.index:
            report.note(f"note: set {shipment}-{max(here):03d} was closed from its drives alone: "
                        "it cannot tell whether more of the dataset was to follow")
        known = range(1, max(here) + (2 if final and not final.last and final.index else 1))
        absent = [number for number in known if number not in here]
        if absent:
            yield f"of shipment {shipment}, set {ranges(absent)} is not here"


# ---- verify (section 17, without a key)

def verify(drives, all_blocks=False, report=None):
    report = report or Report()
    sets = find_sets(drives, report, all_blocks)
    if not sets:
        report.lost("there is no set on these drives")
    for one in sets:
        one.order()
        absent = one.missing_slots()
        if absent:
            one.bad("drives that are not here: slot " + ", ".join(absent))
        for stripe in one.stripes.values():
            verify_stripe(one, stripe)
        verify_keys(one)
        verify_catalog(one)
        for folder in one.folders:
            verify_checklist(one, folder)
        root = "root " + one.text.root.hex() if one.text else "not closed"
        print(f"set {one.name}: {len(one.stripes)} stripes, {len(one.folders)} drives here, {len(absent)} not; {root}")
    for text in missing_sets(sets, report):
        report.note("note: " + text)
    print(("whole", "restorable, but damaged or incomplete", "NOT RESTORABLE from these drives")[report.worst])
    return report.exit_code()


def verify_stripe(one, stripe):
    record = stripe.record
    count = [0] * record.n
    for index in range(record.total):
        _, good = stripe.read(index, True)  # not kept: one shard at a time
        count = [a + b for a, b in zip(count, good)]
    lost = [column for column in range(record.n) if count[column] < record.k]
    for column in list(lost):
        bad = [index for index in range(record.total) if not stripe.known[index][column]]
        if len(one.mend(stripe, bad, column)) == len(bad):
            lost.remove(column)
    if lost:
        one.lost(f"stripe {record.run}-{record.stripe:08x}: fewer than {record.k} good blocks in column {ranges(lost)}")


def verify_keys(one):
    """The key files against their .b3; nobody can tell more without an identity."""
    runs = set(one.found).union(run for run, *_ in one.text.runs) if one.text else set(one.found)
    for run in sorted(runs):
        name, here = f"key-{run}.age", {}
        for folder, data in one.copies(name, 65536, missing=True):
            here.setdefault((f"{plain_hash(data).hex()}  {name}\n").encode(), folder.path)
        sums = {line: folder.path for folder, line in one.copies(f"key-{run}.b3", 4096, missing=True)}
        for line in set(here) ^ set(sums) if sums else []:
            one.report.bad(f"{here.get(line) or sums.get(line)}: key-{run}.age or .b3 there is damaged")
        if len(set(here) & set(sums)) > 1:
            one.bad("CONFLICT: there are different copies of " + name)
        if not here or (sums and not set(here) & set(sums)):
            one.lost("there is no good copy of " + name)


def verify_catalog(one):
    parts = one.text.parts if one.text else [file.part for file in one.files if file.part]
    for run, part, size, digest in parts:
        name = catalog_name(run, part)
        for folder, data in one.copies(name, missing=True):
            if len(data) != size or plain_hash(data) != digest:
                one.report.bad(f"{folder.path}/{name}: it does not match its hash")
    for file in one.files:
        if file.part and one.text and file.part not in one.text.parts:
            one.bad("a part of the catalog is not in set.txt")


def verify_checklist(one, folder):
    """checklist.b3 (section 16): what it names must be here and match; what is here must be named."""
    path = join(folder.path, "checklist.b3")
    if not one.text and not lexists(path):
        return
    try:
        lines = read_file(path).decode().split("\n")
        if lines.pop() != "":
            raise Bad("its last line does not end")
    except (Bad, UnicodeDecodeError) as why:
        one.report.bad(f"{path}: {why}")
        return
    named = set()
    for line in lines:
        match = re.fullmatch(r"([0-9a-f]{64})  ((?:[0-9a-z-]+/)*[0-9a-z.-]+)", line)
        if not match:
            one.report.bad(f"{path}: a line has another form: {show(line[:80])}")
            continue
        digest, name = match.groups()
        named.add(name)
        try:
            known = folder.hashes.get(name) or plain_hash(read_file(join(folder.path, name)))
            if known.hex() != digest:
                raise Bad("it does not match the checklist")
        except Bad as why:
            one.report.bad(f"{folder.path}/{name}: {why}")
    unknown = one.text and one.text.slots.get(folder.slot) == ("?", "none")
    expected = {"set.txt"} if unknown else {"label.json", "set.txt"}
    for name in sorted(expected.union(folder.hashes) - named):
        if lexists(join(folder.path, name)):
            one.report.bad(f"{path}: it does not name {name}")


# ---- ls and restore (sections 13 and 17, with a key)

def read_dataset(drives, identities, report, shipment=None, from_lists=False, all_blocks=False):
    """{path: entry} of a shipment, in order, void ones left out."""
    sets = find_sets(drives, report, all_blocks, shipment)
    shipments = sorted({one.shipment for one in sets})
    if len(shipments) != 1:
        raise Bad("choose with --shipment: " + ", ".join(shipments) if shipments else "there is no set on these drives")
    dataset = {}
    for one in sets:
        one.unwrap(identities)
    if not any(one.keys for one in sets):
        raise Bad("no key of this shipment can be opened with what -i names, so nothing can be read")
    for one in sets:
        one.order()
        absent = one.missing_slots()
        if absent:
            one.bad("drives that are not here: slot " + ", ".join(absent))
        if one.text:
            report.note(f"set {one.name}: root {one.text.root.hex()}")
        for path, entry in one.entries(from_lists).items():
            before = dataset.get(path)
            if before and before.open() and entry.kind == FILE:  # it runs on from the set before
                entry.extents = before.extents + entry.extents
                entry.holes = sorted(set(before.holes + entry.holes))
            dataset[path] = entry
    for text in missing_sets(sets, report):
        report.lost(text)
    for path in [path for path, entry in dataset.items() if entry.void()]:
        report.bad("not in the dataset, could not be read when it was packed: " + show(path))
        del dataset[path]
    for path, entry in list(dataset.items()):
        if entry.kind == UNKNOWN:
            report.bad("not in the dataset, the packer could not look at it: " + show(path))
            del dataset[path]
        elif entry.lacks:
            what = "; ".join(LACKS[code] for code in entry.lacks)
            report.bad(f"the packer could not take all of {show(path or b'.')}: {what}")
    return dataset


def ls(drives, identity_files, shipment=None, from_lists=False):
    report = Report()
    dataset = read_dataset(drives, read_identities(identity_files), report, shipment, from_lists)
    for entry in dataset.values():
        print(show(entry.path or b"."))
    return report.exit_code()


def restore(drives, identities, to, shipment=None, from_lists=False, all_blocks=False, report=None):
    report = report or Report()
    os.umask(0)
    output = Output(to, report, all_blocks)
    dataset = output.dataset = read_dataset(drives, identities, report, shipment, from_lists, all_blocks)
    links = (SYMLINK, HARDLINK)
    for entry in dataset.values():
        if entry.kind not in links:
            output.attempt(output.make, entry)
    for kind in links:
        for entry in dataset.values():
            if entry.kind == kind:
                output.attempt(output.make, entry)
    for entry in sorted((entry for entry in dataset.values() if entry.kind == FOLDER), key=sort_key, reverse=True):
        output.attempt(output.finish_folder, entry)
    restored = len(output.made.keys() - output.failed)
    print(f"restored {restored} of {len(dataset)} entries, {output.bytes} bytes; "
          f"{len(dataset) - restored} are incomplete or could not be restored")
    output.tell_unheld()
    return report.exit_code()


def below(parent):
    """Where a name is made: below an open folder, if there is one."""
    return {} if parent is None else {"dir_fd": parent}


def why_unholdable(name):
    """Why this system cannot hold a name; None if it can, as far as a look at the name tells."""
    if not WINDOWS:
        return None
    try:
        name.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8"
    found = [chr(byte) for byte in name if byte < 32 or byte in b'<>:"\\|?*']
    if found:
        return f"{show(found[0])} is not allowed in it"
    if name[-1:] in b". ":
        return "it ends in a dot or a space"
    if DEVICES.fullmatch(name.partition(b".")[0].rstrip()):
        return "it is the name of a device"
    return None


def refuses(why):
    """Does an error say that the system or file system has no such thing, rather than that it failed?"""
    numbers = [getattr(errno, name, None) for name in ("ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EPERM", "EINVAL", "EACCES")]
    windows = getattr(why, "winerror", None) in (1, 50, 1314)  # no such function, not supported, no right to it
    return not isinstance(why, OSError) or windows or why.errno in numbers


def cause(why):
    return getattr(why, "strerror", None) or "this system has no such thing"


class Output:
    """The folder that is restored into. Each name is made below an open folder, and no link is followed: only folders
    that were made here, by the same spelling, are entered."""

    def __init__(self, to, report, all_blocks):
        mode = 0o700 if HANDLES else 0o777  # on Windows, 0o700 shuts all others out for good
        to = os.path.abspath(to)
        if WINDOWS and not to.startswith("\\\\?\\"):  # without it, paths may have 259 characters
            to = "\\\\?\\UNC" + to[1:] if to.startswith("\\\\") else "\\\\?\\" + to
        os.makedirs(to, mode, exist_ok=True)
        if os.listdir(to):
            raise Bad(f"{to} is not empty")
        self.report, self.all_blocks, self.dataset, self.mode = report, all_blocks, {}, mode
        self.root = hasattr(os, "geteuid") and os.geteuid() == 0
        self.made, self.failed, self.bytes, self.folders = {}, set(), 0, {b""}
        self.unheld = {}  # what this system does not hold: {kind: paths}
        self.to = os.fsencode(to)
        # The folders that were opened last, each below the one before, the output itself first.
        self.trail = [(b"", os.open(to, flags("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC")))] if HANDLES else []

    def attempt(self, action, entry):
        try:
            action(entry)
        except Unholdable as why:
            self.hold_not(why.kind, entry.path)
            if entry.kind in (FILE, FOLDER, HARDLINK):
                self.fail(entry, why)
            else:
                self.report.bad(f"{show(entry.path)}: {why}")
        except (Bad, OSError, ValueError, OverflowError, NotImplementedError) as why:
            self.fail(entry, why)

    def fail(self, entry, why):
        self.failed.add(entry.path)
        self.report.lost(f"{show(entry.path) or '.'}: {why}")

    def hold_not(self, kind, path):
        paths = self.unheld.setdefault(kind, [])
        if paths[-1:] != [path]:
            paths.append(path)

    def tell_unheld(self):
        """What the destination does not hold, each kind with its count and the first paths."""
        for kind, paths in self.unheld.items():
            first = [show(path or b".") for path in paths[:3]] + (["..."] if len(paths) > 3 else [])
            self.report.bad(f"not held by the destination: {len(paths)} {kind} ({', '.join(first)})")

    @contextlib.contextmanager
    def new_name(self, entry):
        """Gives place() of a path. That the name cannot be made because of what it is, or since the system takes
        another for the same, is told as that."""
        try:
            yield self.place(entry.path)
        except FileExistsError:
            raise Unholdable("names", "this system takes another name there for the same one")
        except UnicodeError:
            raise Unholdable("names", "this system cannot hold the name: it is not UTF-8")
        except OSError as why:
            # The folder is open and was made here, so ENOENT is of the name: exFAT through FUSE says it of "a:b".
            if why.errno not in (errno.EILSEQ, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT):
                raise
            raise Unholdable("names", f"this system cannot hold the name: {why.strerror}")

    def enter(self, path, name, parent):
        """Makes a folder, unless it was made here."""
        if path in self.folders:
            return
        why = why_unholdable(path.rpartition(b"/")[2])
        if why:
            raise Unholdable("names", f"this system cannot hold the name {show(path)}: {why}")
        os.mkdir(name, self.mode, **below(parent))
        self.folders.add(path)

    def walk(self, path):
        """A folder below the output, made if its entry was lost: open, or its path where there are no handles. No
        link is followed on the way."""
        if not HANDLES:
            return self.walk_by_path(path)
        while self.trail[-1][0] and not (path + b"/").startswith(self.trail[-1][0] + b"/"):
            os.close(self.trail.pop()[1])
        at = len(self.trail[-1][0])
        while at < len(path):
            here, at = self.trail[-1][1], path.find(b"/", at + 1)
            at = len(path) if at < 0 else at
            name = path[:at].rpartition(b"/")[2]
            self.enter(path[:at], name, here)
            inner = os.open(name, READ | os.O_DIRECTORY, dir_fd=here)
            self.trail.append((path[:at], inner))
            if len(self.trail) > 200:  # a process may have few files open
                os.close(self.trail.pop(1)[1])
        return self.trail[-1][1]

    def walk_by_path(self, path):
        here, names = self.to, path.split(b"/") if path else []
        for count, name in enumerate(names, 1):
            here = join(here, name)
            self.enter(b"/".join(names[:count]), here, None)
            if not stat.S_ISDIR(os.lstat(here).st_mode):
                raise Bad(f"{show(here)} is no folder")
        return here

    def place(self, path):
        """The folder of a path and the name in it; without handles, None and the whole path."""
        check_path(path, False)
        folder, _, name = path.rpartition(b"/")
        parent = self.walk(folder)
        why = why_unholdable(name)
        if why:
            raise Unholdable("names", f"this system cannot hold the name: {why}")
        return (parent, name) if HANDLES else (None, join(parent, name))

    def keep(self, kind, entry, action):
        """Does something about an entry's metadata. That it is not to be had here is counted."""
        try:
            action()
        except (OSError, ValueError, OverflowError, NotImplementedError, AttributeError):
            self.hold_not(kind, entry.path)

    def metadata(self, entry, parent, name, handle=None):
        """Owner, attributes, ACLs, mode and times; of an open file or folder, else of a name that was just made. Mode
        and time are read back: some file systems take and do not keep them."""
        link = entry.kind == SYMLINK
        if handle is not None:
            what, where = handle, {}
        else:
            what, where = name, {**below(parent), **({"follow_symlinks": False} if HANDLES or link else {})}
        if self.root and hasattr(os, "chown"):
            self.keep("owners", entry, lambda: os.chown(what, entry.uid, entry.gid, **where))
        acls = (b"system.posix_acl_access", b"system.posix_acl_default")
        for key, value in sorted(entry.xattrs, key=lambda pair: pair[0] in acls):
            if handle is not None:
                self.keep("attributes and ACLs", entry, lambda: os.setxattr(handle, key, value))
            else:
                self.keep("attributes and ACLs", entry, lambda: os.setxattr(
                    b"/proc/self/fd/%d/%s" % (parent, name), key, value, follow_symlinks=False))
        if not link:
            self.keep("modes", entry, lambda: os.chmod(what, entry.mode, **(below(parent) if handle is None else {})))
        self.keep("times", entry, lambda: os.utime(what, ns=(entry.time, entry.time), **where))
        held = os.lstat(name) if not HANDLES else os.stat(what, **where)
        for kind, same in (("modes", link or stat.S_IMODE(held.st_mode) == entry.mode),
                           ("times", abs(held.st_mtime_ns - entry.time) < 2 * 10**9)):  # FAT counts two seconds
            if not same and entry.path not in self.unheld.get(kind, ())[-1:]:
                self.hold_not(kind, entry.path)

    def make(self, entry):
        kinds = {FOLDER: self.folder, FILE: self.file, SYMLINK: self.symlink, HARDLINK: self.hard_link}
        kinds.get(entry.kind, self.special)(entry)

    def folder(self, entry):
        if entry.path and entry.path not in self.folders:
            with self.new_name(entry) as (parent, name):
                self.enter(entry.path, name, parent)
        self.made[entry.path] = entry

    def finish_folder(self, entry):
        if entry.path in self.made:
            folder = self.walk(entry.path)
            self.metadata(entry, None, folder, folder if HANDLES else None)

    def symlink(self, entry):
        target, more = entry.target, {}
        if WINDOWS:
            whys = [why_unholdable(part) for part in target.split(b"/") if part not in (b"", b".", b"..")]
            if target.startswith(b"//") or any(whys):
                raise Unholdable("symbolic links", "this system cannot hold its target: " + show(target))
            inside = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), target))
            of = self.dataset.get(b"" if inside == b"." else inside)
            target, more = target.replace(b"/", b"\\"), {"target_is_directory": of is not None and of.kind == FOLDER}
        with self.new_name(entry) as (parent, name):
            try:
                os.symlink(target, name, **more, **below(parent))
            except (OSError, NotImplementedError, AttributeError) as why:
                if not refuses(why):
                    raise
                hint = "; turn on Developer Mode, or run it as administrator" if WINDOWS else ""
                raise Unholdable("symbolic links", f"a symbolic link cannot be made here: {cause(why)}{hint}")
        self.made[entry.path] = entry
        self.metadata(entry, parent, name)

    def special(self, entry):
        if entry.kind in (CHARACTER, BLOCK) and entry.device is None:
            raise Bad("the number of the device is not known")
        kind = {FIFO: stat.S_IFIFO, SOCKET: stat.S_IFSOCK, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}[entry.kind]
        with self.new_name(entry) as (parent, name):
            try:
                number = os.makedev(*(entry.device or (0, 0)))
                if parent is None or os.mknod in os.supports_dir_fd:
                    os.mknod(name, kind | 0o600, number, **below(parent))
                else:  # macOS: its folder was made here, and is held open
                    os.mknod(join(self.to, entry.path), kind | 0o600, number)
            except (OSError, NotImplementedError, AttributeError) as why:
                if getattr(why, "errno", None) == errno.EIO:  # so says exfat-fuse, and leaves an empty file
                    with contextlib.suppress(OSError):
                        os.unlink(name, **below(parent))
                elif not refuses(why):
                    raise
                raise Unholdable("pipes, sockets and devices", f"it cannot be made here: {cause(why)}")
        self.made[entry.path] = entry
        self.metadata(entry, parent, name)

    def hard_link(self, entry):
        first = self.made.get(entry.target)
        if first is None or first.kind == FOLDER:
            raise Bad("the file that it is a name of was not restored: " + show(entry.target))
        with self.new_name(entry) as (parent, name):
            try:
                self.link(entry.target, parent, name)
            except (OSError, NotImplementedError, AttributeError) as why:
                if not refuses(why) and why.errno != errno.EMLINK:
                    raise
                self.hold_not("hard links, which became entries of their own", entry.path)
                first = copy.copy(first)
                first.path = entry.path
        if first.path == entry.path:
            return self.make(first)
        self.made[entry.path] = entry
        if entry.target in self.failed:
            raise Bad(f"it is a name of {show(entry.target)}")

    def link(self, target, parent, name):
        if not HANDLES:
            return os.link(self.place(target)[1], name)
        parent = os.dup(parent)
        try:
            source, source_name = self.place(target)
            os.link(source_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(parent)

    def file(self, entry):
        with self.new_name(entry) as (parent, name):
            handle = os.open(name, CREATE, 0o600, **below(parent))
        whole = False
        self.written = 0
        try:
            for why in self.content(entry, handle):
                self.fail(entry, why)
            whole = entry.path not in self.failed
            if whole:
                self.made[entry.path] = entry
                self.bytes += entry.final_size()
            if entry.flags & 4 or (entry.end and entry.end[0] == CHANGED):
                self.report.bad("changed while it was packed, and not of one moment: " + show(entry.path))
            if HANDLES and whole:
                self.metadata(entry, parent, name, handle)
        finally:
            os.close(handle)
            if not whole:
                self.leave_incomplete(entry, parent, name)
        if not HANDLES and whole:  # Windows notes the time of the last write when a file is closed
            self.metadata(entry, parent, name)

    def leave_incomplete(self, entry, parent, name):
        """Gives what there is of a file a name that is not its own; if that cannot be, or is nothing, removes it."""
        home, own = os.path.split(name)
        try:
            for number in itertools.count(1) if self.written else ():
                end = b".incomplete" if number == 1 else b".incomplete-%d" % number
                keep = min(len(own), 255 - len(end))
                while 0 < keep < len(own) and own[keep] & 0xC0 == 0x80:  # within a character
                    keep -= 1
                left = own[:keep] + end
                path = posixpath.join(posixpath.dirname(entry.path), left)
                if path in self.dataset or self.is_there(join(home, left), parent):
                    continue
                where = {"src_dir_fd": parent, "dst_dir_fd": parent} if HANDLES else {}
                os.rename(name, join(home, left), **where)
                return self.report.lost(f"{show(entry.path)}: what there is of it lies in {show(path)}")
        except OSError as why:
            self.report.lost(f"{show(entry.path)}: what there is of it is not kept: {why.strerror}")
        os.unlink(name, **below(parent))

    def is_there(self, name, parent):
        try:
            os.stat(name, follow_symlinks=False, **below(parent))
        except FileNotFoundError:
            return False
        return True

    def content(self, entry, handle):
        """Writes the bytes of a file, and gives what is wrong with them. It gets its size last, so that one that is
        stopped does not look whole.

        Of a file of many pieces the plain hash is compared with the root, which proves all pieces at once; only
        where there is no root, or another, is each piece held against its id, and cleared if it does not match."""
        size, root = entry.final_size(), entry.root()
        extents = sorted({extent.offset: extent for extent in entry.extents}.values(), key=lambda extent: extent.offset)
        each = self.all_blocks or root is None
        hasher, at, missing, doubtful = blake3(), 0, [], []
        for extent in extents:
            end = extent.offset + extent.length
            if extent.offset < at or end > size:
                yield "an extent overlaps another, or goes beyond the end of the file"
                continue
            self.gap(entry, hasher, at, extent.offset, missing)
            at = end
            try:
                chunk = extent.set.chunk(extent.chunk, extent.id if extent.whole else None)
                piece = chunk[extent.skip:extent.skip + extent.length]
                if not extent.whole and each and subtree(piece, extent.offset // 1024) != extent.id:
                    raise Bad(f"bytes {extent.offset} to {end - 1} do not match their id")
            except Bad as why:
                yield str(why)
                missing.append((extent.offset, end))
                continue
            if not each:
                doubtful.append(extent)
            if root:
                hasher.update(piece)
            self.write(entry, handle, extent.offset, piece)
            self.written += len(piece)
        self.gap(entry, hasher, at, size, missing)
        os.ftruncate(handle, size)
        right = not missing and (root is None or hasher.digest() == root)
        if not right:
            for extent in doubtful:
                piece = read_at(handle, extent.length, extent.offset)
                if subtree(piece, extent.offset // 1024) != extent.id:
                    write_at(handle, bytes(extent.length), extent.offset)
                    self.written -= extent.length
                    missing.append((extent.offset, extent.offset + extent.length))
        if missing:
            lack = sum(b - a for a, b in missing)
            yield f"incomplete: {lack} of {size} bytes are missing, from byte {min(missing)[0]} on"
        elif not right:
            yield "its content does not match its root"
        elif entry.open():
            yield "its end is missing: it may be longer, or of more than one moment"

    def gap(self, entry, hasher, start, end, missing):
        """Bytes that no extent covers: zeros where holes are listed, else missing here."""
        at = start
        for a, b in entry.holes_in(start, end):
            if a > at:
                missing.append((at, a))
            at = max(b, at)
        if at < end:
            missing.append((at, end))
        zeros = bytes(min(end - start, SLICE)) if not missing and entry.root() else b""
        while start < end and zeros:
            hasher.update(zeros[:end - start])
            start += len(zeros)

    def write(self, entry, handle, offset, piece):
        """Writes a piece, but leaves out the zeros where holes are listed."""
        end, at = offset + len(piece), offset
        for a, b in [*entry.holes_in(offset, end), (end, end)]:
            a = max(a, at)
            view = memoryview(piece)[at - offset:a - offset]
            if piece[a - offset:b - offset].strip(b"\0"):  # it was no hole any more when it was read
                view = memoryview(piece)[at - offset:b - offset]
            start = at
            while view:
                written = write_at(handle, view, start)
                view, start = view[written:], start + written
            at = b


# ---- vectors (section 18)

def vectors(path):
    """Checks every example, then verifies and restores the set, with all drives and with any one missing."""
    with open(path, "rb") as file:
        given = json.load(file)
    report, failed, seen = Report(), [], set()
    examples, inputs = given["examples"], given["inputs"]

    def check(name, value):
        value = value.hex() if isinstance(value, (bytes, bytearray, memoryview)) else value
        seen.add(name)
        if examples.get(name) != value:
            failed.append(name)
            print(f"wrong: {name}\n  given {examples.get(name)}\n  here  {value}")

    run, shipment, number = inputs["run"], inputs["shipment"], inputs["set"]
    key, owner = bytes.fromhex(inputs["run_key"]), owner_bytes(shipment, number, run)
    B = inputs["block_bytes"]
    identities = [pyrage.x25519.Identity.from_str(given["identity"])]
    check("run key file", pyrage.decrypt(bytes.fromhex(given["key_file"]), identities))
    check("commitment", commitment(key, owner))
    check("record key", record_key(key, owner))
    check("set key", set_key(key, owner))
    for index, salt in enumerate(inputs["salts"]):
        value = shard_key(key, bytes.fromhex(salt), 1, owner, inputs["stripe"], index, 2, 1, B, 3)
        check(f"shard key of data shard {index}", value)
    for salt, part, name in zip(inputs["part_salts"], (0, 0xFFFFFFFF), ("part 0", "the index")):
        check("catalog key of " + name, catalog_key(key, bytes.fromhex(salt), 1, owner, part, B, 1))
    salt, part_salt = bytes.fromhex(inputs["salts"][0]), bytes.fromhex(inputs["part_salts"][0])
    aes_key = shard_key(key, salt, 2, owner, inputs["stripe"], 0, 2, 1, B, 3)
    check("suite 2: shard key of data shard 0", aes_key)
    check("suite 2: catalog key of part 0", catalog_key(key, part_salt, 2, owner, 0, B, 1))
    blocks = [bytes((1, 2, 3, 4)), bytes((16, 32, 64, 128)), bytes((255, 0, 29, 142))]
    parity = [combine(matrix_row(i, 3), blocks) for i in (3, 4)]
    check("column of 3 data blocks and 2 parity blocks, 4 bytes each", b"".join(blocks + parity))
    with tempfile.TemporaryDirectory() as scratch:
        drives = []
        for slot, files in given["drives"].items():
            drives.append(join(scratch, slot))
            for name, data in files.items():
                target = join(drives[-1], name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(bytes.fromhex(data))
        one = find_sets(drives, report)[0]
        one.unwrap(identities)
        one.order()
        part = next(iter(one.stripes.values()))
        record, file = part.record, one.files[0]
        for index in range(2):
            data, _ = part.read(index)
            check(f"list of data shard {index}", part.list(index))
            check(f"trailer of data shard {index}", part.plain(index, part.room - 16, part.room))
        data, _ = part.read(0)
        hashes = block_hashes(bytes(data), B)
        for i in (0, 1):
            block = data[i * B:(i + 1) * B]
            check(f"block {i} of data shard 0: hash, first 48 bytes, last 16", hashes[i] + block[:48] + block[-16:])
        plain = bytes(part.plain(0, B - 48, 2 * B - 64))
        block = AESGCM(aes_key).encrypt(struct.pack("<QI", 1, 0), plain, None)
        hashed = block_hashes(bytes(data[:B]) + block + bytes(data[2 * B:]), B)[1]
        check("suite 2: block 1 of data shard 0: hash, first 48 bytes, last 16", hashed + block[:48] + block[-16:])
        check("block hashes of data shard 0", b"".join(hashes))
        check("root of data shard 0", merge(hashes, True))
        check("block hashes of the parity shard", b"".join(block_hashes(bytes(part.read(2)[0]), B)))
        check("record file head", file.data[:148])
        check("record up to its block hashes", record.head)
        check("record file MAC", blake3(file.body, key=record_key(key, owner)).digest())
        check("record file digest", file.data[-32:])
        for name in ("label.json", "set.txt"):
            with open(join(one.folders[0].path, name), "rb") as text:
                check(name, text.read().decode())
        check("set root", one.text.root)
        (_, _, size, _), (_, _, index_size, _) = one.text.parts
        check("catalog frame, first 32 bytes", one.catalog_file(run, 0, size, 1, B)[:32])
        check("catalog index", one.catalog_file(run, 0xFFFFFFFF, index_size, 1, B))
        seen.update(("extent", "end", "chunk", "entry that says what differs"))
        for name, index in (("extent", 0), ("end", 1), ("chunk", 0)):
            if bytes.fromhex(examples[name]) not in part.list(index):
                failed.append(name)
        before = next(item for item in parse_list(part.list(0)) if isinstance(item, Entry) and item.path == b"a.txt")
        differs = Entry(Fields(bytes.fromhex(examples["entry that says what differs"])[1:]), before)
        if (differs.path, differs.size, differs.mode, differs.whole, before.time - differs.time) != (
                b"a.txt.old", 14, 0o600, True, 10**9):
            failed.append("entry that says what differs")
        shown = ("entry of a file", "entry of a device", "entry of a folder that was listed in part",
                 "entry of a folder that could not be looked at")
        entry, device, part_listed, unknown = (parse_list(bytes.fromhex(examples[name]))[0] for name in shown)
        seen.update(shown)
        if (entry.path, entry.size, entry.mode, entry.time, entry.xattrs, entry.holes) != (
                "dir/é\n.img".encode(), 1 << 32, 0o4755, -876543211, [(b"user.empty", b""), (b"user.note", b"x\0y")],
                [(0, 1 << 16), (1 << 20, 1 << 32)]):
            failed.append("entry of a file")
        if (device.path, device.kind, device.mode, device.device) != (b"dev", BLOCK, 0o660, (8, 17)):
            failed.append("entry of a device")
        if (part_listed.path, part_listed.kind, part_listed.mode, part_listed.lacks) != (b"part", FOLDER, 0o750, b"\2\3"):
            failed.append("entry of a folder that was listed in part")
        if (unknown.path, unknown.kind, unknown.lacks, sort_key(unknown)) != (b"gone", UNKNOWN, b"\1", b"gone/"):
            failed.append("entry of a folder that could not be looked at")

        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            if verify(drives) != 0:
                failed.append("verify")
            for lost, options in itertools.product([None, *drives], ({}, {"from_lists": True}, {"all_blocks": True})):
                to = join(scratch, "out")
                shutil.rmtree(to, ignore_errors=True)
                restored = restore([drive for drive in drives if drive != lost], identities, to, **options)
                files = {}
                for name in given["restored"]:
                    with open(join(to, name), "rb") as file:
                        files[name] = file.read().hex()
                if (restored, files, os.readlink(to + "/d"), os.stat(to + "/e").st_ino) != (
                        3 if lost else 0, given["restored"], "b.txt", os.stat(to + "/c.bin").st_ino):
                    failed.append(f"restoring without {lost}, {options}")
        if failed:
            print(said.getvalue())
    failed += [f"no example is known as {name}" for name in set(examples) - seen]
    failed += [name for name, case in given["cases"].items() if is_taken(case, shipment, number, run) != case["taken"]]
    for name in failed:
        print("FAILED: " + name)
    print(f"{len(examples)} examples, {len(failed)} failures")
    return 1 if failed else 0


def is_taken(case, shipment, number, run):
    data = bytes.fromhex(case["bytes"])
    readers = {
        "list": parse_list,
        "record file": lambda data: RecordFile(data, shipment, number, run, 0),
        "set.txt": lambda data: SetText(data, shipment, number),
        "label.json": lambda data: parse_label(data, shipment, number),
        "index": parse_index,
        "trailer": lambda data: parse_trailer(data, 12208),
        "zstd frame": lambda data: inflate(data, 300),
    }
    try:
        readers[case["what"]](data)
    except Bad:
        return False
    return True


def main():
    install = f"{'py' if WINDOWS else 'python3'} -m pip install"
    lacking = f" Python lacks {', '.join(LACKING)}: run {install} {' '.join(LACKING)}" if LACKING else ""
    parser = argparse.ArgumentParser(
        prog="reader.py", description="Reads drives that holdall packed.",
        epilog=f"Needs Python 3.9 or later and these packages: {PACKAGES}.{lacking or ' All are there.'} "
               "Exit code: 0 all is well, 3 damaged but restorable, or restored but for what the destination cannot "
               "hold, 1 not.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("verify", "check what can be checked without a key"), ("ls", "print the paths"),
                       ("restore", "restore what can be had")):
        command = commands.add_parser(name, help=text)
        command.add_argument("drives", nargs="+", metavar="DRIVE", help="a folder in which the folder holdall lies")
        if name != "ls":
            command.add_argument("--all-blocks", action="store_true", help="hash every block by itself (slow)")
        if name != "verify":
            command.add_argument("-i", "--identity", action="append", required=True, metavar="IDENTITY")
            command.add_argument("--shipment", metavar="HEX16", help="which one, if the drives have several")
            command.add_argument("--from-lists", action="store_true", help="pass by the catalog")
        if name == "restore":
            command.add_argument("--to", required=True, metavar="DIR", help="a new or empty folder")
    commands.add_parser("vectors", help="check this reader against fixtures/vectors/v1.json").add_argument("file")
    if any(re.search("AGE-SECRET-KEY-|AGE-PLUGIN-|PRIVATE KEY--", word, re.IGNORECASE) for word in sys.argv[1:]):
        print("failed: a secret key was typed: put it into a file, and name that with -i", file=sys.stderr)
        return 1
    options = parser.parse_args()
    if LACKING:
        print(f"failed: Python lacks {', '.join(LACKING)}; run: {install} {' '.join(LACKING)}\n"
              "If Python is managed by the system: python3 -m venv ve, then ve/bin/python in place of python3",
              file=sys.stderr)
        return 1
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.stderr.reconfigure(errors="backslashreplace")
    try:
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if options.command == "verify":
            return verify(options.drives, options.all_blocks)
        if options.command == "ls":
            return ls(options.drives, options.identity, options.shipment, options.from_lists)
        if options.command == "restore":
            return restore(options.drives, read_identities(options.identity), options.to, options.shipment,
                           options.from_lists, options.all_blocks)
        return vectors(options.file)
    except (Bad, OSError, pyrage.IdentityError) as why:
        print(f"failed: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
