//! Beside another implementation, the crate `gvariant`: what is in normal form is read alike, and nothing else is read.

use ::gvariant::aligned_bytes::copy_to_align;
use ::gvariant::{Marker, SerializeTo, Structure, Variant, VariantWrap, gv};
use proptest::prelude::*;
use proptest::sample::Index;

use super::reader::*;
use super::*;

/// What stands for a value of a dictionary.
#[derive(Debug, Clone)]
enum Sample {
    Bool(bool),
    Text(String),
    Words(Vec<String>),
    Bytes(Vec<u8>),
}

impl SerializeTo<Variant> for &Sample {
    fn serialize(self, out: &mut impl std::io::Write) -> std::io::Result<usize> {
        match self {
            Sample::Bool(on) => VariantWrap(gv!("b"), on).serialize(out),
            Sample::Text(text) => VariantWrap(gv!("s"), text.as_str()).serialize(out),
            Sample::Words(words) => VariantWrap(gv!("as"), words).serialize(out),
            Sample::Bytes(bytes) => VariantWrap(gv!("ay"), bytes.as_slice()).serialize(out),
        }
    }
}

impl Sample {
    fn ours(&self) -> Vec<u8> {
        match self {
            Sample::Bool(on) => writer::value("b", &writer::boolean(*on)),
            Sample::Text(text) => writer::value("s", &writer::text_bytes(text)),
            Sample::Words(words) => writer::value("as", &writer::texts(words)),
            Sample::Bytes(bytes) => writer::value("ay", bytes),
        }
    }

    fn assert_read(&self, value: Value<'_>) {
        match self {
            Sample::Bool(on) => assert_eq!(boolean(value.of_type("b").unwrap()), Ok(*on)),
            Sample::Text(wanted) => assert_eq!(text(value.of_type("s").unwrap()), Ok(wanted.as_str())),
            Sample::Words(words) => assert_eq!(&texts(value.of_type("as").unwrap()).unwrap(), words),
            Sample::Bytes(bytes) => assert_eq!(value.of_type("ay").unwrap(), bytes),
        }
    }
}

/// Long enough for every size of offset but the largest.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[^\0]{0,12}", 1 => "[a-z]{200,300}", 1 => (65_400..65_700usize).prop_map(|n| "x".repeat(n))]
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        any::<bool>().prop_map(Sample::Bool),
        string().prop_map(Sample::Text),
        proptest::collection::vec(string(), 0..5).prop_map(Sample::Words),
        any::<Vec<u8>>().prop_map(Sample::Bytes),
    ]
}

/// Changes some bytes of a value, or cuts it off.
fn damage(bytes: &mut Vec<u8>, changes: &[(Index, u8)], cut: Option<Index>) {
    for (at, byte) in changes.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len() + 1));
    }
}

fn changes() -> impl Strategy<Value = (Vec<(Index, u8)>, Option<Index>)> {
    let byte = prop_oneof![3 => any::<u8>(), 1 => Just(0)];
    (proptest::collection::vec((any::<Index>(), byte), 0..4), proptest::option::weighted(0.2, any::<Index>()))
}

proptest! {
    #[test]
    fn a_dictionary_is_written_and_read_alike(entries in proptest::collection::vec((string(), sample()), 0..6)) {
        let theirs: Vec<(&str, &Sample)> = entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let theirs = gv!("a{sv}").serialize_to_vec(&theirs);
        let ours = writer::dictionary(entries.iter().map(|(key, value)| (key.as_str(), value.ours())));
        prop_assert_eq!(&ours, &theirs);
        let dictionary = Dictionary::new(&theirs).unwrap();
        for (key, _) in &entries {
            let (_, first) = entries.iter().find(|(name, _)| name == key).unwrap();
            first.assert_read(dictionary.get(key).unwrap());
        }
    }

    #[test]
    fn strings_are_read_where_they_would_be_written_so(
        words in proptest::collection::vec(string(), 0..6), (changes, cut) in changes(),
    ) {
        let mut bytes = gv!("as").serialize_to_vec(&words);
        damage(&mut bytes, &changes, cut);
        let aligned = copy_to_align(&bytes);
        let theirs: Vec<&str> = gv!("as").cast(aligned.as_ref()).iter().map(|word| word.to_str()).collect();
        let normal = gv!("as").serialize_to_vec(&theirs) == bytes;
        prop_assert_eq!(texts(&bytes), if normal { Ok(theirs) } else { Err(Damaged) });
    }

    #[test]
    fn pairs_are_read_where_they_would_be_written_so(
        pairs in proptest::collection::vec((string(), string()), 0..6), (changes, cut) in changes(),
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut bytes = gv!("a{ss}").serialize_to_vec(&pairs);
        damage(&mut bytes, &changes, cut);
        let aligned = copy_to_align(&bytes);
        let theirs = gv!("a{ss}").cast(aligned.as_ref()).iter().map(|pair| pair.to_tuple());
        let theirs: Vec<(&str, &str)> = theirs.map(|(key, value)| (key.to_str(), value.to_str())).collect();
        let normal = gv!("a{ss}").serialize_to_vec(&theirs) == bytes;
        prop_assert_eq!(text_pairs(&bytes), if normal { Ok(theirs) } else { Err(Damaged) });
    }

    #[test]
    fn a_dictionary_is_read_where_it_would_be_written_so(
        entries in proptest::collection::vec((string(), sample()), 0..4), (changes, cut) in changes(),
    ) {
        let entries: Vec<(&str, &Sample)> = entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let mut bytes = gv!("a{sv}").serialize_to_vec(&entries);
        damage(&mut bytes, &changes, cut);
        let aligned = copy_to_align(&bytes);
        let theirs = gv!("a{sv}").cast(aligned.as_ref()).iter().map(|entry| entry.to_tuple());
        let theirs: Vec<(&str, &Variant)> = theirs.map(|(key, value)| (key.to_str(), value)).collect();
        let normal = gv!("a{sv}").serialize_to_vec(&theirs) == bytes;
        // A value without a type is more than that crate demands.
        prop_assert!(normal || Dictionary::new(&bytes).is_err());
        if changes.is_empty() && cut.is_none() {
            prop_assert!(Dictionary::new(&bytes).is_ok());
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = (Array::new(&bytes, 1), Dictionary::new(&bytes), texts(&bytes), text_pairs(&bytes));
        let _ = (pair(&bytes, 8), two_numbers(&bytes), boolean(&bytes), text(&bytes));
        for (kind, offset) in (0..9).flat_map(|kind| bytes.iter().map(move |byte| (kind, *byte))) {
            // An end that lies far outside.
            let far = [&bytes[..], &u64::from(offset).to_le_bytes()[..kind.min(8)]].concat();
            let _ = (Array::new(&far, 8), pair(&far, 8));
        }
    }
}

#[test]
fn children_that_overlap_are_damage() {
    // "abcd" and an empty one behind it; then both begin before the other one ends.
    assert!(Array::new(b"abcd\x04\x04", 1).is_ok());
    assert!(Array::new(b"abcd\x04\x00\x04", 1).is_err());
    assert!(Array::new(b"abcd\x02\x01\x04", 1).is_err());
}

#[test]
fn an_offset_that_is_wider_than_it_need_be_is_damage() {
    let mut bytes = vec![b'x'; 254];
    bytes.extend([254, 0]);
    assert!(Array::new(&bytes, 1).is_err());
}
