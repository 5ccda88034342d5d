#!/usr/bin/env bash
# The same data out and back with holdall and with what else is installed of restic, borg and
# tar | zstd | age, in one run, in memory. Prints seconds of wall clock and of all cores, and what
# was stored.
#
#   benches/peers.sh            1 GB of noise and 1 GB of a table, made for this
#   benches/peers.sh FOLDER     what lies in FOLDER (it should fit into memory three times)
#
# holdall stores a third more: any one of its four drives may be lost. The others survive nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
holdall=$PWD/target/release/holdall
work=$(mktemp -d "${TMPDIR:-/dev/shm}/holdall-peers.XXXXXX")
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME="$work/state" HOME="$work/home"
mkdir -p "$HOME"

source=${1-}
if [ -z "$source" ]; then
    source=$work/source
    mkdir -p "$source"
    head -c 1000000000 /dev/urandom > "$source/noise"
    awk 'BEGIN { for (n = 0; ; n++) print "2026-11-22,station-" n % 7 "," n * 7919 % 1000003 "," n }' \
        2> /dev/null | head -c 1000000000 > "$source/table" || true
fi

# time_of NAME COMMAND…: runs it, prints wall clock and CPU.
time_of() {
    local name=$1
    shift
    TIMEFORMAT='%R %U %S'
    local times
    times=$({ time "$@" > "$work/log" 2>&1; } 2>&1) || { echo "$name failed:"; tail -5 "$work/log"; return; }
    # shellcheck disable=SC2086
    set -- $times
    printf '%-34s %8.2f s  %8.2f core-s\n' "$name" "$1" "$(awk "BEGIN { print $2 + $3 }")"
}

stored() { printf '%-34s %s\n' "  stored" "$(du -sh --apparent-size "$1" | cut -f1)"; }

forget() { rm -rf "$work/out"; mkdir "$work/out"; }

race_holdall() {
    "$holdall" keygen -o "$work/key" > "$work/recipient" 2> /dev/null
    local drives=()
    for drive in a b c d; do
        mkdir -p "$work/drives/$drive"
        drives+=(--drive "$drive=$work/drives/$drive")
    done
    time_of "holdall pack, 3+1, read back" "$holdall" pack "$source" --yes --folder-drives --survive cases=1 \
        -R "$work/recipient" "${drives[@]}"
    stored "$work/drives"
    rm -rf "$work/out"
    time_of "holdall restore" "$holdall" restore "$work"/drives/* -i "$work/key" --to "$work/out"
    rm -rf "$work/drives" "$work/out"
}

race_restic() {
    command -v restic > /dev/null || return 0
    export RESTIC_PASSWORD=secret RESTIC_REPOSITORY="$work/restic"
    restic init --quiet
    time_of "restic backup" restic backup --quiet "$source"
    stored "$work/restic"
    forget
    time_of "restic restore" restic restore --quiet latest --target "$work/out"
    rm -rf "$work/restic" "$work/out"
}

race_borg() {
    command -v borg > /dev/null || return 0
    export BORG_PASSPHRASE=secret
    borg init --encryption repokey-blake2 "$work/borg" 2> "$work/log"
    time_of "borg create, zstd 3" borg create --compression zstd,3 "$work/borg::one" "$source"
    stored "$work/borg"
    forget
    time_of "borg extract" env -C "$work/out" borg extract "$work/borg::one"
    rm -rf "$work/borg" "$work/out"
}

race_tar() {
    command -v age > /dev/null && command -v zstd > /dev/null || return 0
    age-keygen -o "$work/age" 2> "$work/log"
    local recipient
    recipient=$(awk '/public key/ { print $NF }' "$work/age")
    mkdir "$work/tar"
    time_of "tar | zstd -3 -T0 | age" bash -c \
        "tar -C '$source' -c . | zstd -3 -T0 | age -r '$recipient' > '$work/tar/all'"
    stored "$work/tar"
    forget
    time_of "age -d | zstd -d | tar" bash -c \
        "age -d -i '$work/age' '$work/tar/all' | zstd -d | tar -C '$work/out' -x"
    rm -rf "$work/tar" "$work/out"
}

echo "$(nproc) cores, $(du -sh --apparent-size "$source" | cut -f1)"
race_holdall
race_restic
race_borg
race_tar
