"""Runs the reader as if elsewhere: python other_system.py windows|macos|exfat|fuse READER ARGUMENT...

What those systems lack is taken from `os`; what they do otherwise is done so: names that they refuse or take for the
same, text mode, paths of 259 characters, times that are noted when a file is closed, links that need a right. On
"windows", paths are those of ntpath, and drive letters stand for folders: DRIVE_D=/some/folder in the environment.
"exfat" is Windows with a file system that has no hard links, and with the right to make symbolic ones.
"fuse" is exFAT on Linux through FUSE, which says of names that it cannot hold that they are not there, and leaves an
empty file where it fails to make a pipe.
"""

import builtins
import errno
import ntpath
import os
import re
import signal
import stat
import sys
import types
import unicodedata

# What imports modules of the real system comes first.
import argparse, bisect, contextlib, copy, io, itertools, json, posixpath, shutil, struct, tempfile  # noqa: E401, F401
import blake3, cryptography.hazmat.primitives.ciphers.aead, pyrage, zstandard  # noqa: E401, F401

SYSTEM = sys.argv[1]
real = {name: getattr(os, name) for name in ("open", "mkdir", "lstat", "stat", "listdir", "symlink", "link", "chmod",
                                             "utime", "close", "mknod", "rename", "unlink")}
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3])(\.|$)", re.IGNORECASE)


def lack(*names):
    for name in names:
        delattr(os, name)


def same(name):
    return unicodedata.normalize("NFD", name).casefold() if SYSTEM == "macos" else name.casefold()


def taken(folder, name):
    """The name in a folder that the system takes for this one."""
    return next((other for other in real["listdir"](folder) if same(other) == same(name)), None)


# ---- Windows

O_BINARY = 1 << 30
opened = {}  # handle: path, of files that are written


def unix(path):
    """The real path of a Windows one, or what Windows says of it."""
    if isinstance(path, bytes):
        path = path.decode("utf-8", "surrogatepass")
    if len(path) > 259 and not path.startswith("\\\\?\\"):
        raise FileNotFoundError(errno.ENOENT, "the path is too long", path)
    verbatim = path.startswith("\\\\?\\")
    if verbatim and ("/" in path or "\\..\\" in path):
        raise OSError(errno.EINVAL, "a path that is taken to the letter has no such parts", path)
    path = path[4:] if verbatim else path.replace("/", "\\")
    drive, rest = re.fullmatch(r"(?:([A-Za-z]):)?(.*)", path, re.DOTALL).groups()
    if drive and not rest.startswith("\\"):
        raise FileNotFoundError(errno.ENOENT, "relative to a folder of that drive", path)
    at = os.environ["DRIVE_" + drive.upper()] if drive else ""
    for name in rest.split("\\"):
        if not name:
            continue
        if any(ord(c) < 32 or c in '<>:"|?*' for c in name):
            raise OSError(errno.EINVAL, "the file name is not right", path)
        if name[-1:] in (".", " ") and name not in (".", "..") or RESERVED.match(name):
            # Taken to the letter such a name is made, and nobody gets rid of it; else it is another, or a device.
            sys.exit(f"a name that nobody may make: {path}")
        found = taken(at, name) if drive and stat.S_ISDIR(real["stat"](at).st_mode) else None
        at = f"{at}/{found or name}"
    return at


def windows():
    lack("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "pread", "pwrite", "geteuid", "getuid", "chown", "lchown",
         "fchown", "fchmod", "mknod", "mkfifo", "makedev", "setxattr", "getxattr", "listxattr", "statvfs", "sync")
    os.supports_dir_fd.clear()
    os.supports_fd.clear()
    os.supports_follow_symlinks.clear()
    del signal.SIGPIPE
    for module in ("fcntl", "pwd", "grp", "resource", "termios", "posix"):
        sys.modules[module] = None
    os.name, os.sep, os.altsep, os.O_BINARY = "nt", "\\", "/", O_BINARY
    os.fsencode = lambda path: path if isinstance(path, bytes) else path.encode("utf-8", "surrogatepass")
    os.fsdecode = lambda path: path if isinstance(path, str) else path.decode("utf-8", "surrogatepass")

    def open_(path, flags, mode=0o777, **more):
        assert not more and flags & O_BINARY, "Windows opens it as text"
        if stat.S_ISDIR(real["stat"](unix(path)).st_mode) if os.path.lexists(path) else False:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        handle = real["open"](unix(path), flags & ~O_BINARY, mode)
        if flags & os.O_RDWR:
            opened[handle] = [unix(path), False]
        return handle

    def close(handle):
        path, written = opened.pop(handle, (None, False))
        real["close"](handle)
        if written:  # the time of the last write is noted now
            real["utime"](path)

    def utime(path, *, ns, follow_symlinks=True):
        if not follow_symlinks:
            raise NotImplementedError("utime: follow_symlinks unavailable on this platform")
        for kept in opened.values():
            kept[1] |= kept[0] == unix(path)
        whole = tuple(time // 100 * 100 for time in ns)
        real["utime"](unix(path), ns=whole)

    def chmod(path, mode):
        info = real["stat"](unix(path))
        if stat.S_ISREG(info.st_mode):
            real["chmod"](unix(path), 0o666 if mode & 0o200 else 0o444)

    def as_there(info):
        """What stat() says there of modes."""
        kind, writable = stat.S_IFMT(info.st_mode), info.st_mode & 0o200
        mode = 0o777 if kind != stat.S_IFREG else 0o666 if writable else 0o444
        return types.SimpleNamespace(st_mode=kind | mode, st_mtime_ns=info.st_mtime_ns, st_size=info.st_size)

    def symlink(target, name, target_is_directory=False):
        if SYSTEM == "windows":
            error = OSError(errno.EINVAL, "A required privilege is not held by the client", name)
            error.winerror = 1314
            raise error
        target = target.decode()
        assert "/" not in target, "a link of which Windows finds no end"
        real["symlink"](target.replace("\\", "/"), unix(name))
        with plain_open(os.environ["DIRECTORY_LINKS"], "a", encoding="utf-8") as file:
            file.write(f"{ntpath.basename(name.decode())} {target_is_directory}\n")

    def link(source, name):
        if SYSTEM == "exfat":
            error = OSError(errno.EINVAL, "Incorrect function", name)
            error.winerror = 1
            raise error
        real["link"](unix(source), unix(name))

    def mkdir(path, mode=0o777):
        assert mode == 0o777, "newer Pythons shut all others out"
        real["mkdir"](unix(path), mode)

    plain_open = builtins.open

    def open_file(file, mode="r", buffering=-1, encoding=None, **more):
        assert "b" in mode or encoding, "text that is read as cp1252"
        return plain_open(file if isinstance(file, int) else unix(file), mode, buffering, encoding, **more)

    os.open, os.close, os.utime, os.chmod, os.symlink, os.link, os.mkdir = open_, close, utime, chmod, symlink, link, mkdir
    os.rename = lambda old, new: real["rename"](unix(old), unix(new))
    os.unlink = lambda path: real["unlink"](unix(path))
    os.lstat = lambda path: as_there(real["lstat"](unix(path)))
    os.stat = lambda path, **_: as_there(real["stat"](unix(path)))
    os.listdir = lambda path: real["listdir"](unix(path))
    builtins.open = open_file
    os.path = sys.modules["os.path"] = ntpath


# ---- macOS

def macos():
    lack("setxattr", "getxattr", "listxattr")
    os.supports_dir_fd.discard(os.mknod)

    def checked(path, **where):
        """The name that is there already stands in for one that the system takes for the same."""
        try:
            path.decode()
        except UnicodeDecodeError:
            raise OSError(errno.EILSEQ, "Illegal byte sequence", path)
        folder = where.get("dir_fd", where.get("dst_dir_fd"))
        if folder is None:
            return path
        found = taken(folder, path.decode())
        return found.encode() if found else path

    def open_(path, flags, mode=0o777, **where):
        if isinstance(path, bytes) and where:
            path = checked(path, **where)
        return real["open"](path, flags, mode, **where)

    def mknod(path, mode, device, **where):
        if where:
            raise NotImplementedError("mknod: dir_fd unavailable on this platform")
        if not stat.S_ISFIFO(mode):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        real["mknod"](path, mode, device)

    os.open, os.mknod = open_, mknod
    os.mkdir = lambda path, mode=0o777, **where: real["mkdir"](checked(path, **where) if where else path, mode, **where)
    os.symlink = lambda target, name, **where: real["symlink"](target, checked(name, **where), **where)
    os.link = lambda source, name, **where: real["link"](source, checked(name, dir_fd=where["dst_dir_fd"]), **where)
    os.supports_dir_fd.update((os.open, os.mkdir, os.symlink, os.link))


# ---- exFAT through FUSE

def fuse():
    def held(name):
        if isinstance(name, bytes) and any(byte < 32 or byte in b'"*:<>?\\|' for byte in name):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        return name

    os.open = lambda path, flags, mode=0o777, **where: real["open"](held(path), flags, mode, **where)
    os.mkdir = lambda path, mode=0o777, **where: real["mkdir"](held(path), mode, **where)

    def mknod(path, mode=0o600, device=0, **where):
        os.close(real["open"](path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, **where))
        raise OSError(errno.EIO, "Input/output error", path)

    os.mknod = mknod
    os.supports_dir_fd.update((os.open, os.mkdir, os.mknod))


{"macos": macos, "fuse": fuse}.get(SYSTEM, windows)()
sys.argv = sys.argv[2:]
globals_of_reader = dict(__name__="__main__", __file__=sys.argv[0])
with io.open_code(sys.argv[0]) as script:
    code = compile(script.read(), sys.argv[0], "exec")
exec(code, globals_of_reader)
