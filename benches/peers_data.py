"""The data that benches/peers packs. Except for noise and /usr, the same every time."""
import os
import pathlib
import subprocess

OWN = pathlib.Path(__file__).resolve().parent.parent / "target" / "peers"  # --install fills it


def unpack(room, size, archive):
    """The first `size` bytes of the archive that shell commands write."""
    subprocess.run(["sh", "-c", f"{{ {archive}; }} | head -c {size} | tar -xC '{room}'"],
                   stderr=subprocess.DEVNULL, check=False)


def make_noise(room, size, dice):
    """In files as large as photographs."""
    while size > 0:
        length = min(size, int(dice.lognormvariate(14.5, 0.8)))
        (room / f"{size}.jpg").write_bytes(os.urandom(length))
        size -= length


def make_mixed(room, size, dice):
    """Whole folders of this machine's /usr, and a third of noise."""
    unpack(room, size * 2 // 3, """find /usr -xdev -type d | sort -R --random-source=/dev/zero |
        while read -r at; do find "$at" -maxdepth 1 ! -type d -print0; done |
        tar -c --null -T -""")
    make_noise(room, size // 3, dice)


def make_kernel(room, size, _):
    """The beginning of a large source package."""
    for package in sorted(OWN.glob("*-source*.deb"))[:1]:
        unpack(room, size, f"""dpkg-deb --fsys-tarfile '{package}' |
            tar -xO --wildcards './usr/src/*.tar.xz' | xz -dc""")
    if not os.listdir(room):
        raise RuntimeError("no source package: --install gets one, kernel=./FOLDER takes yours")


def make_tiny(room, count, dice):
    for n in range(count):
        folder = room / f"{n // 100_000}" / f"{n // 1000:05}"
        if n % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"{n:07}.json").write_text(f'{{"n":{n},"v":{dice.randrange(10**6)}}}')


def make_records(room, size, dice, names="a.csv b.csv c.csv d.csv a.json b.json c.json d.json"):
    words = "north south west dry wet calm storm night".split()
    for name in names.split():
        left, n = size // len(names.split()), 0
        with open(room / name, "w", encoding="ascii") as file:
            while left > 0:
                n += 1
                left -= file.write(
                    f"2026-11-{n // 86400 % 30 + 1:02}T{n // 3600 % 24:02}:{n // 60 % 60:02},"
                    f"station-{n % 7},{11 + 4 * dice.random():.2f},{dice.randrange(999)},{n * 3}\n"
                    if name.endswith("csv") else
                    f'{{"id":"{dice.getrandbits(64):016x}","time":{1763800000 + n},'
                    f'"tags":["{dice.choice(words)}"],"mean":{dice.random():.5f}}}\n')


def make_table(room, size, dice):
    make_records(room, size, dice, "stations.csv")


# How each is made, MB or files of it, the levels it is packed at.
DATA = {
    "mixed": (make_mixed, 1900, [3]),
    "kernel": (make_kernel, 1300, [3]),
    "noise": (make_noise, 2100, [1]),
    "tiny": (make_tiny, 1_000_000, [3]),
    "table": (make_table, 1000, [1, 3]),
    "records": (make_records, 1000, [3]),
}
