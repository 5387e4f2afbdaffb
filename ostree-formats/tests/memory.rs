//! How much memory readers of GVariants take for what a disk has: a small multiple of it, whatever it says.

#![allow(unsafe_code, reason = "an allocator that counts cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ostree_formats::booted_state::BootedState;
use ostree_formats::commit::Commit;
use ostree_formats::signature::PublicKeys;
use ostree_formats::staged_state::StagedState;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Children, where each of them ends, and how many bytes an offset has: an array as no serializer would write it.
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

/// Runs, and returns how many bytes were held at once beyond what is held now, and for how long.
fn peak(run: impl FnOnce() -> bool) -> (usize, Duration, bool) {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let begin = Instant::now();
    let good = run();
    (PEAK.load(Ordering::Relaxed).saturating_sub(before), begin.elapsed(), good)
}

#[test]
fn no_input_takes_many_times_its_size() {
    const BODY: usize = 500 << 10;
    let keys = PublicKeys::parse(b"/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=").unwrap();
    let words = array(&[&[b'y'; BODY - 1][..], b"\0"].concat(), &overlapping(BODY, 100_001), 4);
    let one_entry = entry("target", "s", &[b'z'; BODY]);
    let entries = array(&one_entry, &overlapping(one_entry.len(), 100_001), 4);
    let signatures = array(&[b'x'; 15 << 20], &overlapping(15 << 20, 255), 4);
    let pairs = array(&[b'z'; BODY], &overlapping(BODY, 100_001), 4);
    // In order, and as many children as the bytes have room for.
    let empty_words = array(&[0; 200_000], &(1..=200_000).collect::<Vec<_>>(), 4);
    let empty_bytes = array(&[], &[0; 255], 1);
    let read = |bytes: &[u8]| StagedState::from_bytes(bytes).is_ok();
    let verified = |bytes: &[u8]| keys.verify(b"commit", bytes).is_ok();
    let signed = |list: &[u8]| dictionary(&[("ostree.sign.ed25519", "aay", list)]);
    type Read<'a> = &'a dyn Fn(&[u8]) -> bool;
    let cases: [(&str, Vec<u8>, Read<'_>, bool); 9] = [
        ("arguments that overlap", staged("kargs", "as", &words), &read, false),
        ("pairs that overlap", staged("bootconfig-extra", "a{ss}", &pairs), &read, false),
        ("entries that overlap", entries.clone(), &read, false),
        ("many empty arguments", staged("kargs", "as", &empty_words), &read, true),
        ("entries of a booted system", entries.clone(), &|bytes| BootedState::from_bytes(bytes).is_ok(), false),
        ("signatures that overlap", signed(&signatures), &verified, false),
        ("empty signatures", signed(&empty_bytes), &verified, false),
        ("metadata that overlaps", commit(&entries, b""), &|bytes| Commit::parse(bytes).is_ok(), false),
        ("related objects that overlap", commit(b"", &pairs), &|bytes| Commit::parse(bytes).is_ok(), false),
    ];
    for (name, bytes, read, expected) in cases {
        let (peak, time, good) = peak(|| read(&bytes));
        assert_eq!(good, expected, "{name}: whether it is read");
        assert!(peak <= 16 * bytes.len(), "{name}: {peak} bytes for {}", bytes.len());
        assert!(time < Duration::from_secs(1), "{name}: {time:?} for {} bytes", bytes.len());
    }
    // The same shapes in order are read: it is the overlap that is refused.
    assert!(Commit::parse(&commit(&dictionary(&[("version", "s", b"1\0")]), b"")).is_ok());
}
