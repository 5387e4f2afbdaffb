//! Ed25519 signatures of commits: over the bytes of the `.commit` object, in its `.commitmeta`, by keys of a file
//! (ostree-sign(1), `composefs.keypath` of ostree-prepare-root(1)).

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::variant::Damaged;
use crate::variant::reader::{Array, Dictionary};

/// The key of detached metadata that has them: `aay`.
const KEY: &str = "ostree.sign.ed25519";

/// More signatures than a commit needs. For each signature and each key the commit is hashed at boot, and an attacker who can write
/// to the disk could add any number.
const MOST: usize = 64;

/// Why a file has no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It has no line with a key.
    #[error("it has no key")]
    Empty,
    /// A line is not base64.
    #[error("line {0} is not base64")]
    Base64(usize),
    /// A line is base64 of something else.
    #[error("line {line} has {bytes} bytes instead of the 32 of an Ed25519 public key")]
    Length {
        /// Counted from 1.
        line: usize,
        /// How many.
        bytes: usize,
    },
    /// 32 bytes that are not a key, or a key for which everybody can sign.
    #[error("line {0} is not an Ed25519 public key")]
    NotAKey(usize),
}

/// Why a commit counts as not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The detached metadata is damaged.
    #[error("it is not a commit's metadata, or incomplete")]
    Damaged,
    /// There is none.
    #[error("it has no Ed25519 signature (ostree.sign.ed25519)")]
    None,
    /// Too many signatures.
    #[error("it has {0} signatures, more than the maximum of {MOST}")]
    TooMany(usize),
    /// None of them is valid.
    #[error("none of its {0} signatures is valid for this commit and a trusted key")]
    NoneFits(usize),
}

/// Public keys that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeys(Vec<VerifyingKey>);

impl PublicKeys {
    /// Reads a file with one key a line, in base64. Lines may be empty, and may end in CRLF.
    ///
    /// # Errors
    /// See [`KeysError`]. One bad line makes the file unusable, because the key in it is unknown.
    pub fn parse(bytes: &[u8]) -> Result<PublicKeys, KeysError> {
        let mut keys = Vec::new();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(line).map_err(|_| KeysError::Base64(number))?;
            let decoded = Base64::decode_vec(text).map_err(|_| KeysError::Base64(number))?;
            let key: [u8; 32] =
                decoded.as_slice().try_into().map_err(|_| KeysError::Length { line: number, bytes: decoded.len() })?;
            let key = VerifyingKey::from_bytes(&key).ok().filter(|key| !key.is_weak());
            keys.push(key.ok_or(KeysError::NotAKey(number))?);
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(PublicKeys(keys)) }
    }

    /// Whether one of the signatures in a commit's detached metadata is by one of these keys, over the bytes of its object.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn verify(&self, commit: &[u8], detached_metadata: &[u8]) -> Result<(), SignatureError> {
        let signatures = signatures(detached_metadata)?;
        // A signature of another length is of another kind, or damaged. Another one may be valid.
        let mut of_right_length = signatures.iter().filter_map(|bytes| Signature::from_slice(bytes).ok());
        if of_right_length.any(|signature| self.0.iter().any(|key| key.verify_strict(commit, &signature).is_ok())) {
            Ok(())
        } else {
            Err(SignatureError::NoneFits(signatures.len()))
        }
    }
}

fn signatures(detached_metadata: &[u8]) -> Result<Array<'_>, SignatureError> {
    let damaged = |Damaged| SignatureError::Damaged;
    let Some(value) = Dictionary::new(detached_metadata).map_err(damaged)?.get(KEY) else {
        return Err(SignatureError::None);
    };
    let list = Array::new(value.of_type("aay").ok_or(SignatureError::Damaged)?, 1).map_err(damaged)?;
    match list.len() {
        0 => Err(SignatureError::None),
        count if count > MOST => Err(SignatureError::TooMany(count)),
        _ => Ok(list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use gvariant::{Marker, SerializeTo, VariantWrap, gv};
    use proptest::prelude::*;
    use std::io::Write;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn file(seeds: &[u8], end: &str) -> String {
        seeds.iter().map(|seed| Base64::encode_string(key(*seed).verifying_key().as_bytes()) + end).collect()
    }

    struct Bytes<'a>(&'a [u8]);

    impl SerializeTo<[u8]> for &Bytes<'_> {
        fn serialize(self, out: &mut impl Write) -> std::io::Result<usize> {
            out.write_all(self.0)?;
            Ok(self.0.len())
        }
    }

    fn metadata(signatures: &[Vec<u8>]) -> Vec<u8> {
        let list: Vec<Bytes> = signatures.iter().map(|signature| Bytes(signature)).collect();
        gv!("a{sv}").serialize_to_vec(&[(KEY, VariantWrap(gv!("aay"), &list))])
    }

    fn list(metadata: &[u8]) -> Vec<Vec<u8>> {
        signatures(metadata).unwrap().iter().map(<[u8]>::to_vec).collect()
    }

    fn signed(seeds: &[u8], message: &[u8]) -> Vec<u8> {
        metadata(&seeds.iter().map(|seed| key(*seed).sign(message).to_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn any_signature_by_any_key_counts() {
        for (keys, signers) in [(&[1][..], &[1][..]), (&[1, 2], &[2]), (&[2], &[3, 2]), (&[1, 2], &[3, 4, 1])] {
            let keys = PublicKeys::parse(file(keys, "\n").as_bytes()).unwrap();
            assert_eq!(keys.verify(b"commit", &signed(signers, b"commit")), Ok(()));
        }
    }

    #[test]
    fn neither_another_key_nor_another_commit_counts() {
        let keys = PublicKeys::parse(file(&[1], "\n").as_bytes()).unwrap();
        assert_eq!(keys.verify(b"commit", &signed(&[2, 3], b"commit")), Err(SignatureError::NoneFits(2)));
        assert_eq!(keys.verify(b"commit", &signed(&[1], b"Commit")), Err(SignatureError::NoneFits(1)));
        for length in [0, 63, 65] {
            assert_eq!(keys.verify(b"commit", &metadata(&[vec![0; length]])), Err(SignatureError::NoneFits(1)));
        }
    }

    #[test]
    fn without_signatures_or_with_too_many_nothing_is_verified() {
        let keys = PublicKeys::parse(file(&[1], "\n").as_bytes()).unwrap();
        assert_eq!(keys.verify(b"commit", &[]), Err(SignatureError::None));
        assert_eq!(keys.verify(b"commit", &metadata(&[])), Err(SignatureError::None));
        let other = gv!("a{sv}").serialize_to_vec(&[("ostree.gpgsigs", VariantWrap(gv!("s"), "x"))]);
        assert_eq!(keys.verify(b"commit", &other), Err(SignatureError::None));
        let text = gv!("a{sv}").serialize_to_vec(&[(KEY, VariantWrap(gv!("s"), "x"))]);
        assert_eq!(keys.verify(b"commit", &text), Err(SignatureError::Damaged));
        let many = vec![key(1).sign(b"commit").to_bytes().to_vec(); 10_000];
        assert_eq!(keys.verify(b"commit", &metadata(&many)), Err(SignatureError::TooMany(10_000)));
    }

    #[test]
    fn lines_may_end_as_on_other_systems() {
        let unix = PublicKeys::parse(file(&[1, 2], "\n").as_bytes()).unwrap();
        assert_eq!(PublicKeys::parse(file(&[1, 2], "\r\n").as_bytes()), Ok(unix.clone()));
        assert_eq!(PublicKeys::parse(format!("\n{}", file(&[1, 2], "\n\n")).as_bytes()), Ok(unix));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line() {
        let good = file(&[1], "\n");
        for (text, error) in [
            (String::new(), KeysError::Empty),
            (" \r\n\n".to_owned(), KeysError::Empty),
            (format!("{good}not base64!\n"), KeysError::Base64(2)),
            ("\u{fffd}".to_owned(), KeysError::Base64(1)),
            (format!("{good}\n{}\n", Base64::encode_string(&[0; 31])), KeysError::Length { line: 3, bytes: 31 }),
            (Base64::encode_string(&[0; 64]), KeysError::Length { line: 1, bytes: 64 }),
            // The neutral element: everybody can sign for it.
            (Base64::encode_string(&[&[1][..], &[0; 31]].concat()), KeysError::NotAKey(1)),
        ] {
            assert_eq!(PublicKeys::parse(text.as_bytes()), Err(error), "{text:?}");
        }
    }

    /// As of RFC 8032, 7.1, test 3: made by somebody else.
    #[test]
    fn a_signature_of_the_standard_is_valid() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let public = hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        let signature = hex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        );
        let keys = PublicKeys::parse(Base64::encode_string(&public).as_bytes()).unwrap();
        assert_eq!(keys.verify(&[0xaf, 0x82], &metadata(&[signature])), Ok(()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(keys: Vec<u8>, metadata: Vec<u8>) {
            let _ = PublicKeys::parse(&keys);
            let _ = signatures(&metadata);
        }

        #[test]
        fn no_damage_counts(at in 0..200usize, byte: u8) {
            let keys = PublicKeys::parse(file(&[1], "\n").as_bytes()).unwrap();
            let mut metadata = signed(&[1], b"commit");
            let at = at % metadata.len();
            let before = metadata[at];
            metadata[at] = byte;
            // Whatever verifies has the signature unharmed.
            let verified = keys.verify(b"commit", &metadata).is_ok();
            let harmless = || list(&metadata) == list(&signed(&[1], b"commit"));
            prop_assert!(!verified || before == byte || harmless());
        }
    }
}
