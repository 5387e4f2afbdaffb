//! GVariants as no serializer would write them.

use libtest_mimic::Failed;
use ostree_formats::booted_state::BootedState;
use ostree_formats::commit::Commit;
use ostree_formats::staged_state::StagedState;

use crate::SIZE;

/// Children, where each of them ends, and how many bytes an offset has.
fn array(body: &[u8], ends: &[usize], offset_size: usize) -> Vec<u8> {
    let mut bytes = body.to_vec();
    ends.iter().for_each(|end| bytes.extend(end.to_le_bytes().iter().take(offset_size)));
    bytes
}

/// Ends of which every second one is that of the whole body, so that each second child is all of it.
fn overlapping(body: usize, children: usize) -> Vec<usize> {
    (0..children).map(|child| if child % 2 == 0 { body } else { 0 }).collect()
}

fn size_of_offsets(total: usize) -> usize {
    if total < 0x100 {
        1
    } else if total < 0x1_0000 {
        2
    } else {
        4
    }
}

/// An entry of an `a{sv}`.
fn entry(key: &str, kind: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = [key.as_bytes(), b"\0"].concat();
    let end = bytes.len();
    bytes.resize(end.next_multiple_of(8), 0);
    bytes.extend([value, b"\0", kind.as_bytes()].concat());
    let size = size_of_offsets(bytes.len() + 2);
    bytes.extend(end.to_le_bytes().iter().take(size));
    bytes
}

/// An `a{sv}`.
fn dictionary(entries: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for (key, kind, value) in entries {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(entry(key, kind, value));
        ends.push(bytes.len());
    }
    let size = size_of_offsets(bytes.len() + 2 * ends.len());
    array(&bytes, &ends, size)
}

/// A staged deployment with one more key.
fn staged(key: &str, kind: &str, value: &[u8]) -> Vec<u8> {
    let (name, sum) = (format!("{}.0\0", "a".repeat(64)), format!("{}\0", "b".repeat(64)));
    let target = [("name", "s", name.as_bytes()), ("osname", "s", b"os\0"), ("bootcsum", "s", sum.as_bytes())];
    dictionary(&[("target", "a{sv}", &dictionary(&target)), (key, kind, value)])
}

/// A commit with such metadata and such related objects.
fn commit(metadata: &[u8], related: &[u8]) -> Vec<u8> {
    let mut bytes = metadata.to_vec();
    let mut ends = vec![bytes.len(), bytes.len()];
    bytes.extend(related);
    ends.push(bytes.len());
    for _ in ["subject", "body"] {
        bytes.push(0);
        ends.push(bytes.len());
    }
    bytes.resize(bytes.len().next_multiple_of(8) + 8, 0);
    bytes.extend([7; 32]);
    ends.push(bytes.len());
    bytes.extend([7; 32]);
    let size = size_of_offsets(bytes.len() + 24);
    ends.reverse();
    array(&bytes, &ends, size)
}

/// Children that overlap are refused; in order, as many as there is room for are read.
pub(crate) fn overlap_is_refused() -> Result<(), Failed> {
    type IsRead = fn(&[u8]) -> bool;
    let is_read: [(&str, IsRead); 3] = [
        ("staged-state", |bytes| StagedState::from_bytes(bytes).is_ok()),
        ("booted-state", |bytes| BootedState::from_bytes(bytes).is_ok()),
        ("commit", |bytes| Commit::parse(bytes).is_ok()),
    ];
    for (target, is_read) in is_read {
        for (name, bytes) in inputs(target) {
            if name.contains("overlap") && is_read(&bytes) {
                return Err(format!("{target}: {name}").into());
            }
        }
    }
    let in_order = inputs("staged-state").into_iter().find(|(name, _)| name == "many empty arguments");
    let in_order = in_order.is_some_and(|(_, bytes)| StagedState::from_bytes(&bytes).is_ok());
    if in_order { Ok(()) } else { Err("many empty arguments are not read".into()) }
}

/// For a target that reads any.
pub(crate) fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    const BODY: usize = SIZE / 2;
    /// With four bytes for each offset.
    const CHILDREN: usize = SIZE / 8 - 101;
    let words = || array(&[&[b'y'; BODY - 1][..], b"\0"].concat(), &overlapping(BODY, CHILDREN), 4);
    let pairs = || array(&[b'z'; BODY], &overlapping(BODY, CHILDREN), 4);
    let entries = || {
        let one = entry("target", "s", &[b'z'; BODY]);
        array(&one, &overlapping(one.len(), CHILDREN), 4)
    };
    // In order, and as many children as the bytes have room for.
    let empty_words = || array(&[0; SIZE / 5], &(1..=SIZE / 5).collect::<Vec<_>>(), 4);
    let empty_values = || {
        let one = entry("", "b", b"");
        let body = one.iter().chain(&[0; 8]).copied().take(one.len().next_multiple_of(8)).collect::<Vec<u8>>();
        let count = SIZE / (body.len() + 4);
        let ends: Vec<usize> = (0..count).map(|n| n * body.len() + one.len()).collect();
        let mut all = body.repeat(count);
        all.truncate(ends.last().copied().unwrap_or_default());
        array(&all, &ends, 4)
    };
    let inputs = match target {
        "staged-state" => vec![
            ("arguments that overlap", staged("kargs", "as", &words())),
            ("pairs that overlap", staged("bootconfig-extra", "a{ss}", &pairs())),
            ("entries that overlap", entries()),
            ("many empty arguments", staged("kargs", "as", &empty_words())),
            ("many entries", empty_values()),
        ],
        "booted-state" => vec![("entries that overlap", entries()), ("many entries", empty_values())],
        "commit" => vec![
            ("metadata that overlaps", commit(&entries(), b"")),
            ("related objects that overlap", commit(b"", &pairs())),
            ("many entries", commit(&empty_values(), b"")),
        ],
        "signature" => {
            let of = |commit: &[u8], signatures: &[u8]| {
                let size = u32::try_from(commit.len()).unwrap_or(u32::MAX).to_le_bytes();
                [&size, commit, &dictionary(&[("ostree.sign.ed25519", "aay", signatures)])].concat()
            };
            // As many as are looked at, and each of the right size.
            let sound = [&[3; 32][..], &[0; 32]].concat();
            let many = array(&sound.repeat(64), &(1..=64).map(|n| n * 64).collect::<Vec<_>>(), 2);
            vec![
                ("signatures that overlap", of(b"", &array(&[b'x'; BODY], &overlapping(BODY, 255), 4))),
                ("empty signatures", of(b"", &array(&[], &[0; 255], 1))),
                ("many signatures of a large commit", of(&[b'c'; SIZE], &many)),
            ]
        }
        _ => Vec::new(),
    };
    inputs.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}
