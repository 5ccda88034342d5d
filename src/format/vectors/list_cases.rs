//! Lists that a reader takes or rejects.

use super::STRIPE;
use super::cases::{Case, set_byte};
use super::examples::entries;
use super::frames::{one_byte, raw_zstd, repeated};
use crate::format::list::{DataShard, End, Entry, Extent, Item, Kind, Method, Place, State};
use crate::format::list_writer::{ListWriter, encode};
use crate::format::wire::Put;

pub(super) fn all() -> Vec<Case> {
    let mut all = entry_cases();
    all.extend(number_cases());
    all.extend(relative_cases());
    all.extend(field_cases());
    all.extend(lacks_cases());
    all.extend(piece_cases());
    all.extend(whole_cases());
    all.extend(place_cases());
    all.extend(run_cases());
    all
}

const SHARD: DataShard = DataShard { stripe: STRIPE, index: 0 };

fn coded(entry: &Entry) -> Vec<u8> {
    super::alone(entry)
}

/// An entry without fields, with these.
fn with_fields(entry: &Entry, fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = super::alone(entry);
    assert_eq!(bytes[1] & 32, 0, "it has fields");
    bytes[1] |= 32;
    let mut coded = Vec::new();
    for (tag, field) in fields {
        coded.put_u8(*tag);
        coded.put_counted(field);
    }
    bytes.put_counted(&coded);
    bytes
}

fn file() -> Entry {
    Entry { size: 100, ..Entry::new("a", Kind::File) }
}

fn folder() -> Entry {
    Entry::new("a", Kind::Folder)
}

fn entry_cases() -> Vec<Case> {
    let named = |path: &[u8]| coded(&Entry { size: 0, ..Entry::new(path, Kind::File) });
    let flags = |entry: Entry, flags| set_byte(coded(&entry), 1, flags);
    let link = |target: &[u8]| {
        coded(&Entry { target: target.to_vec(), ..Entry::new("l", Kind::HardLink) })
    };
    let [known, ..] = entries();
    vec![
        ("an entry", coded(&known), true),
        ("no item", Vec::new(), true),
        ("an entry cut short", coded(&file())[..8].to_vec(), false),
        ("an unknown kind of entry", set_byte(coded(&file()), 2, 99), false),
        ("an unknown flag", flags(file(), 64), false),
        ("changed, but not whole", flags(file(), 4), false),
        ("whole, of a folder", flags(folder(), 2), false),
        ("continued, of a folder", flags(folder(), 1), false),
        ("continued, of a whole file", flags(Entry::new("a", Kind::File), 3), false),
        ("a mode above 0o7777", set_byte(coded(&file()), 6, 0x10), false),
        ("10^9 nanoseconds", coded(&Entry { mtime_nanos: 1_000_000_000, ..file() }), false),
        ("the dataset's own folder", coded(&Entry::new("", Kind::Folder)), true),
        ("a file of the empty path", named(b""), false),
        ("an absolute path", named(b"/a"), false),
        ("a path that ends in a slash", named(b"a/"), false),
        ("a name of one dot", named(b"a/./b"), false),
        ("a name of two dots", named(b"a/../b"), false),
        ("a zero byte in a path", named(b"a\0b"), false),
        ("a name of 1,020 bytes", named(&[b'n'; 1020]), true),
        ("a name of 1,021 bytes", named(&[b'n'; 1021]), false),
        ("a path that is not UTF-8", named(&[0xff, 0xfe]), true),
        ("a hard link", link(b"a"), true),
        ("a hard link to the outside", link(b"../a"), false),
        ("a link without a target", coded(&Entry::new("l", Kind::Symlink)), false),
        ("an entry that is continued", encode(SHARD, &[continued()]), true),
        ("continued within a list", encode(SHARD, &[item(file()), continued()]), false),
    ]
}

fn item(entry: Entry) -> Item {
    Item::Entry { entry, continued: false }
}

fn continued() -> Item {
    Item::Entry { entry: file(), continued: true }
}

/// A folder `a` of mode 0 with these bytes for the numbers behind its mode.
fn numbers(owner: &[u8], group: &[u8], time: &[u8], nanos: &[u8]) -> Vec<u8> {
    [&[1, 0, 1, 1, b'a', 0, 0][..], owner, group, &[0, 0], time, nanos].concat()
}

fn number_cases() -> Vec<Case> {
    let most_32 = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let nines = [0xff; 9];
    let owner = |owner: &[u8]| numbers(owner, &[0], &[0], &[0]);
    let time = |time: &[u8]| numbers(&[0], &[0], time, &[0]);
    vec![
        ("a varint of two bytes", owner(&[0x80, 1]), true),
        ("a varint that is longer than it need be", owner(&[0x81, 0]), false),
        ("a zero of two bytes", owner(&[0x80, 0]), false),
        ("a varint of 32 bits", owner(&most_32), true),
        ("one of 33 bits where 32 are read", owner(&[0x80, 0x80, 0x80, 0x80, 0x10]), false),
        ("a varint of 64 bits", time(&[&nines[..], &[1]].concat()), true),
        ("one of 65 bits", time(&[&nines[..], &[2]].concat()), false),
        ("one of 11 bytes", time(&[&nines[..], &[0x81, 0]].concat()), false),
        ("a varint cut short", owner(&[0x80])[..8].to_vec(), false),
        ("nanoseconds below 0", numbers(&[0], &[0], &[0], &[1]), false),
        ("a name of more bytes than there are", set_byte(coded(&folder()), 9, 9), false),
    ]
}

/// A folder, and one that says how it differs: flags, bytes that the paths share, and the path's rest.
fn relative(flags: u8, shared: u64, rest: &[u8], nanos: i64) -> Vec<u8> {
    let before =
        Entry { mode: 0o755, mtime_nanos: 7, user: b"u".into(), ..Entry::new("abc", Kind::Folder) };
    let mut bytes = super::alone(&before);
    bytes.put(&[1, flags, Kind::Folder as u8]);
    bytes.put_varint(shared);
    bytes.put_counted(rest);
    bytes.put_signed_varint(0);
    bytes.put_signed_varint(nanos);
    bytes
}

fn relative_cases() -> Vec<Case> {
    let (relative_to, same_owners) = (8, 16);
    let both = relative_to | same_owners;
    let nothing_before =
        relative(both, 3, b"d", 0).split_off(coded(&Entry::new("abc", Kind::Folder)).len() + 1);
    vec![
        ("an entry that says what differs", relative(both, 3, b"d", 0), true),
        ("one that shares less than it could", relative(both, 0, b"abcd", 0), true),
        ("one that shares more than there is", relative(both, 4, b"d", 0), false),
        ("one whose path is none in the end", relative(both, 3, b"/..", 0), false),
        ("what differs, with nothing before", nothing_before, false),
        ("owners as before, without what differs", relative(same_owners, 3, b"d", 0), false),
        ("nanoseconds that fall to 0", relative(both, 3, b"d", -7), true),
        ("nanoseconds that fall below 0", relative(both, 3, b"d", -8), false),
        ("nanoseconds that rise to 10^9", relative(both, 3, b"d", 999_999_993), false),
    ]
}

fn field_cases() -> Vec<Case> {
    let of_file = |fields: &[(u8, &[u8])]| with_fields(&file(), fields);
    let holes = |holes: &[(u64, u64)]| coded(&Entry { holes: holes.to_vec(), ..file() });
    let attribute = |name: &[u8]| [&(name.len() as u16).to_le_bytes()[..], name, b"v"].concat();
    let two = |a: &[u8], b: &[u8]| of_file(&[(4, &attribute(a)), (4, &attribute(b))]);
    let device = Entry::new("d", Kind::BlockDevice);
    let cut = of_file(&[(127, b"xyz")]);
    vec![
        ("a hole to the end", holes(&[(50, 50)]), true),
        ("a hole behind the end", holes(&[(50, 51)]), false),
        ("a hole of no bytes", holes(&[(50, 0)]), false),
        ("holes that touch", holes(&[(0, 10), (10, 10)]), false),
        ("holes that overlap", holes(&[(0, 10), (9, 10)]), false),
        ("holes in descending order", holes(&[(20, 10), (0, 10)]), false),
        ("a hole of a folder", with_fields(&folder(), &[(6, &[1; 16])]), false),
        ("attributes in ascending order", two(b"a", b"b"), true),
        ("an attribute twice", two(b"a", b"a"), false),
        ("attributes in descending order", two(b"b", b"a"), false),
        ("an attribute without a name", of_file(&[(4, &attribute(b""))]), false),
        ("a zero byte in an attribute's name", of_file(&[(4, &attribute(b"a\0"))]), false),
        ("an attribute cut short", of_file(&[(4, &[9, 0, b'a'])]), false),
        ("flag 32, but no fields", of_file(&[]), false),
        ("fields cut short", set_byte(cut.clone(), cut.len() - 4, 4), false),
        ("tag 0", of_file(&[(0, b"x")]), false),
        ("an unknown tag below 128", of_file(&[(127, b"x")]), true),
        ("tags that nothing has any more", of_file(&[(2, b"u"), (3, b"g")]), true),
        ("an unknown tag above 127", of_file(&[(128, b"x")]), false),
        ("tags in descending order", of_file(&[(100, b"g"), (99, b"u")]), false),
        ("a tag twice", of_file(&[(99, b"g"), (99, b"u")]), false),
        ("a file with a target", of_file(&[(1, b"t")]), false),
        ("a device without a number", coded(&device.clone()), true),
        ("a device's number of 7 bytes", with_fields(&device, &[(5, &[0; 7])]), false),
        ("a folder with a bad device", with_fields(&folder(), &[(5, &[0])]), false),
    ]
}

/// What an entry says that the packer could not take.
fn lacks_cases() -> Vec<Case> {
    let lacks =
        |path: &str, kind, codes: &[u8]| with_fields(&Entry::new(path, kind), &[(7, codes)]);
    let bare = || Entry::new("x", Kind::Unknown);
    vec![
        ("a name of which nothing is known", coded(&bare()), true),
        ("nothing known, a mode", coded(&Entry { mode: 0o644, ..bare() }), false),
        ("nothing known, a time", coded(&Entry { mtime: -1, ..bare() }), false),
        ("nothing known, an owner's name", coded(&Entry { user: b"u".into(), ..bare() }), false),
        ("nothing known, a device", coded(&Entry { device: Some((0, 0)), ..bare() }), false),
        ("a folder not listed", lacks("f", Kind::Folder, &[1]), true),
        ("a folder listed in part, without attributes", lacks("f", Kind::Folder, &[2, 3]), true),
        ("a folder not listed and listed in part", lacks("f", Kind::Folder, &[1, 2]), false),
        ("a file not listed", lacks("f", Kind::Socket, &[1]), false),
        ("an unknown folder", lacks("f", Kind::Unknown, &[1]), true),
        ("an unknown folder listed in part", lacks("f", Kind::Unknown, &[2]), false),
        ("nothing known, but that attributes lack", lacks("f", Kind::Unknown, &[3]), false),
        ("a socket without attributes", lacks("f", Kind::Socket, &[3]), true),
        ("no attributes at all, of the dataset", lacks("", Kind::Folder, &[4]), true),
        ("no attributes at all, of another folder", lacks("f", Kind::Folder, &[4]), false),
        ("lacks in descending order", lacks("f", Kind::Folder, &[3, 1]), false),
        ("a lack twice", lacks("f", Kind::Folder, &[3, 3]), false),
        ("a lack that is not known", lacks("f", Kind::Folder, &[5]), false),
    ]
}

fn place(plain: u32) -> Place {
    let DataShard { stripe, index } = SHARD;
    let method = Method::Plain;
    Place { stripe, index, method, offset: 0, head: plain, stored: plain, plain }
}

fn extent() -> Extent {
    Extent { file_offset: 0, len: 100, chunk_offset: 0, id: [7; 32], place: place(100) }
}

/// The bytes of one item behind the shard's.
fn lone(write: impl FnOnce(&mut ListWriter)) -> Vec<u8> {
    let mut list = ListWriter::of(SHARD);
    write(&mut list);
    list.into_bytes()
}

fn shard() -> Vec<u8> {
    lone(|list| list.shard(SHARD))
}

/// Pieces and ends of files that are not whole.
fn piece_cases() -> Vec<Case> {
    let piece = || lone(|list| list.extent(&extent()));
    let at = |file_offset: u64, len: u32| {
        let extent = Extent { file_offset, len, place: place(len), ..extent() };
        encode(SHARD, &[item(file()), Item::Extent(extent)])
    };
    let end = |state, root| End { state, root, size: 100 };
    let ended = |end| encode(SHARD, &[item(file()), Item::End(end)]);
    let rooted = ended(end(State::Whole, Some([1; 32])));
    let end_at = rooted.len() - 35;
    vec![
        ("a file with an end", rooted.clone(), true),
        ("an end without a root", ended(end(State::Changed, None)), true),
        ("an end whose root is cut short", rooted[..rooted.len() - 1].to_vec(), false),
        ("a void end", ended(end(State::Void, None)), true),
        ("an unknown state", set_byte(rooted.clone(), end_at + 1, 3), false),
        ("an end twice", [&rooted[..], &rooted[end_at..]].concat(), false),
        ("an end of no file", rooted[end_at..].to_vec(), false),
        ("an extent behind the end", [&rooted[..], &piece()].concat(), false),
        ("an extent of no file", [shard(), piece()].concat(), false),
        ("an extent of a folder", [shard(), coded(&folder()), piece()].concat(), false),
        ("an unknown kind of item", [&rooted[..], &[7]].concat(), false),
        ("an item of kind 0", [&rooted[..], &[0]].concat(), false),
        ("an offset that some C divides", at(1024, 1024), true),
        ("an offset that no C divides", at(512, 100), false),
        ("a length above what divides its offset", at(1024, 1025), false),
        ("an extent that ends before 2^64", at(u64::MAX - 2047, 1024), true),
        ("an extent that ends at 2^64", at(u64::MAX - 1023, 1024), false),
    ]
}

fn chunk(plain: u32, start: u32) -> Vec<u8> {
    lone(|list| list.chunk(&place(plain), &[7; 32], start))
}

/// Whole files and the chunks in which they lie.
fn whole_cases() -> Vec<Case> {
    let whole = |size| coded(&Entry { whole: true, size, ..Entry::new("a", Kind::File) });
    let chunked = |parts: &[Vec<u8>]| [shard(), parts.concat()].concat();
    let ends = lone(|list| list.end(&End { state: State::Whole, root: None, size: 100 }));
    let changed = set_byte(whole(100), 1, 6);
    vec![
        ("a whole file", chunked(&[chunk(100, 0), whole(100)]), true),
        ("a whole file that changed", chunked(&[chunk(100, 0), changed]), true),
        ("a whole file in the middle of a chunk", chunked(&[chunk(100, 40), whole(20)]), true),
        ("two in one chunk", chunked(&[chunk(100, 0), whole(60), whole(40)]), true),
        ("two in two chunks", chunked(&[chunk(100, 0), whole(60), chunk(9, 0), whole(9)]), true),
        (
            "the second ends behind the chunk",
            chunked(&[chunk(100, 0), whole(60), whole(41)]),
            false,
        ),
        ("a whole file that ends behind its chunk", chunked(&[chunk(100, 1), whole(100)]), false),
        ("a whole file of 2^32 bytes", chunked(&[chunk(100, 0), whole(1 << 32)]), false),
        ("a whole file of which no chunk is named", chunked(&[whole(100)]), false),
        ("an empty one needs no chunk", chunked(&[whole(0)]), true),
        ("a start behind the chunk's bytes", chunked(&[chunk(100, 100)]), false),
        ("a start at the chunk's last byte", chunked(&[chunk(100, 99), whole(1)]), true),
        ("a chunk cut short", chunked(&[chunk(100, 0)])[..50].to_vec(), false),
        ("a whole file with an end", chunked(&[chunk(100, 0), whole(100), ends]), false),
        (
            "a whole file with an extent",
            chunked(&[chunk(100, 0), whole(100), lone(|list| list.extent(&extent()))]),
            false,
        ),
    ]
}

/// Where a chunk lies, as chunks and extents say it.
fn place_cases() -> Vec<Case> {
    let of = |change: &dyn Fn(&mut Extent)| {
        let mut changed = extent();
        change(&mut changed);
        encode(SHARD, &[item(file()), Item::Extent(changed)])
    };
    let elsewhere = DataShard { index: 200, ..SHARD };
    let own = lone(|list| list.chunk(&place(100), &[7; 32], 0));
    let zstd = |level, plain| {
        move |e: &mut Extent| (e.place.method, e.place.plain) = (Method::Zstd(level), plain)
    };
    vec![
        ("an extent of no bytes", of(&|e| e.len = 0), false),
        ("an extent behind its chunk", of(&|e| e.chunk_offset = 1), false),
        ("a head of no bytes", of(&|e| e.place.head = 0), false),
        ("a head above the stored bytes", of(&|e| e.place.head = 101), false),
        ("plain bytes that are not the stored ones", of(&|e| e.place.plain = 101), false),
        ("a chunk of zstd", of(&zstd(1, 101)), true),
        ("a chunk of zstd at the highest level", of(&zstd(22, 101)), true),
        ("an unknown method", of(&zstd(23, 101)), false),
        ("twice as many plain bytes as the largest C", of(&zstd(3, 128 << 20)), true),
        ("more plain bytes than that", of(&zstd(3, (128 << 20) + 1)), false),
        ("a shard that is named in the place", of(&|e| e.place.index = 1), true),
        (
            "another shard is named later",
            [shard(), lone(|list| list.shard(elsewhere)), own.clone()].concat(),
            true,
        ),
        ("the shard's own, but none is named", own.clone(), false),
        ("neither the shard's own nor another", [shard(), set_byte(own, 34, 2)].concat(), false),
        ("a shard cut short", shard()[..13].to_vec(), false),
    ]
}

fn run_of(frame: &[u8], plain: usize) -> Vec<u8> {
    lone(|list| list.run(frame, plain))
}

fn run(items: &[u8]) -> Vec<u8> {
    run_of(&raw_zstd(items), items.len())
}

/// A folder of which a field that means nothing makes a run of so many bytes.
fn long_run(plain: usize) -> Vec<u8> {
    let mut head = with_fields(&folder(), &[]);
    head.pop();
    let field = plain - head.len() - 4 - 1 - 4 - 1;
    head.put_varint((field + 6) as u64);
    head.put_u8(127);
    head.put_varint((field + 1) as u64);
    assert_eq!(head.len() + field + 1, plain);
    run_of(&one_byte(&head, 9, field, &[9]), plain)
}

/// So many folders whose path and owner's name have 1 MiB together, though all but the first do
/// without.
fn long_names(count: usize) -> Vec<u8> {
    let name = (1 << 20) - 1;
    let mut head = numbers(&[0], &[0], &[], &[])[..9].to_vec();
    head.put_varint(name as u64);
    let frame = one_byte(&head, b'u', name, &[0, 0, 0]);
    [run_of(&frame, head.len() + name + 3), SAME.repeat(count - 1)].concat()
}

/// A folder of the same path, owner and time as the one before it.
const SAME: [u8; 7] = [1, 24, 1, 1, 0, 0, 0];

/// So many items: a folder, a run, and the same folder again and again.
fn items(count: usize) -> Vec<u8> {
    let (in_run, blocks) = (count - 2, 7);
    let less = blocks * (128 << 10) - in_run * SAME.len();
    let frame = repeated(SAME, blocks, less);
    [coded(&folder()), run_of(&frame, in_run * SAME.len())].concat()
}

fn run_cases() -> Vec<Case> {
    let sound = run(&coded(&folder()));
    let whole = coded(&Entry { whole: true, ..file() });
    vec![
        ("a run", sound.clone(), true),
        ("a run within a run", run(&sound), false),
        ("a run of no bytes", run(&[]), false),
        (
            "a run that ends within an item",
            [run(&coded(&folder())[..5]), coded(&folder())[5..].to_vec()].concat(),
            false,
        ),
        ("a run that announces a byte less", set_byte(sound.clone(), 1, sound[1] - 1), false),
        ("a run whose frame is cut short", sound[..sound.len() - 1].to_vec(), false),
        (
            "a frame and a byte more in a run",
            run_of(&[&raw_zstd(&SAME)[..], &[0]].concat(), 7),
            false,
        ),
        (
            "what differs from an entry before the run",
            [coded(&folder()), run(&SAME)].concat(),
            true,
        ),
        ("what differs from an entry in the run", [&sound[..], &SAME].concat(), true),
        (
            "a whole file in a run, its chunk before",
            [shard(), chunk(100, 0), run(&whole)].concat(),
            true,
        ),
        ("64 MiB in a run", long_run(64 << 20), true),
        ("a byte more in a run", long_run((64 << 20) + 1), false),
        ("64 MiB in two runs", [long_run(32 << 20), long_run(32 << 20)].concat(), true),
        ("a byte more in two runs", [long_run(32 << 20), long_run((32 << 20) + 1)].concat(), false),
        ("64 MiB of paths and names", long_names(64), true),
        ("more of paths and names", long_names(65), false),
        ("131,072 items", items(1 << 17), true),
        ("an item more", items((1 << 17) + 1), false),
    ]
}
