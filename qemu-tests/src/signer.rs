//! Somebody who signs commits: Debian's `ostree` is built without Ed25519.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer as _, SigningKey};
use gvariant::{Marker, SerializeTo, VariantWrap, gv};
use ostree_formats::deployment::Checksum;

/// A key pair that is the same in each run.
pub struct Signer(SigningKey);

impl Signer {
    /// Another number is another one.
    pub fn number(number: u8) -> Signer {
        Signer(SigningKey::from_bytes(&[number; 32]))
    }

    /// A file of trusted keys with this one.
    pub fn key_file(&self) -> String {
        format!("{}\n", Base64::encode_string(self.0.verifying_key().as_bytes()))
    }

    /// Signs the commit that a branch is at, in the repository of the physical root `root`.
    pub fn sign(&self, root: &Path, branch: &str) -> Result<()> {
        let head = read(&root.join("ostree/repo/refs/heads").join(branch))?;
        let commit: Checksum = String::from_utf8_lossy(&head).trim_end().parse().context(branch.to_owned())?;
        let object = read(&root.join(commit.object("commit")))?;
        let path = root.join(commit.object("commitmeta"));
        fs::write(&path, self.metadata(&object, 1)).with_context(|| format!("writing {}", path.display()))
    }

    /// Detached metadata with this many signatures of a commit object.
    pub fn metadata(&self, object: &[u8], signatures: usize) -> Vec<u8> {
        let signature = self.0.sign(object).to_bytes();
        let list: Vec<Bytes> = (0..signatures).map(|_| Bytes(&signature)).collect();
        gv!("a{sv}").serialize_to_vec(&[("ostree.sign.ed25519", VariantWrap(gv!("aay"), &list))])
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

struct Bytes<'a>(&'a [u8]);

impl SerializeTo<[u8]> for &Bytes<'_> {
    fn serialize(self, out: &mut impl Write) -> std::io::Result<usize> {
        out.write_all(self.0)?;
        Ok(self.0.len())
    }
}
