//! `/run/ostree/staged-deployment`: what waits for shutdown. A GVariant `a{sv}`, written by `ostree`, `rpm-ostree` and `bootc`.

use std::collections::BTreeMap;
use std::io::Write;

use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, SerializeTo, Structure, Variant, VariantWrap, gv};

use crate::bootlink::Bootcsum;
use crate::deployment::{Checksum, DeploymentPath, NameError};

/// The deployment that is to become bootable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedTarget {
    /// Where it has been checked out.
    pub deployment: DeploymentPath,
    /// Of its kernel.
    pub bootcsum: Bootcsum,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedState {
    /// What was staged.
    pub target: StagedTarget,
    /// Whose changes of `/etc` are carried over; `None`: nobody's.
    pub merge_deployment: Option<DeploymentPath>,
    /// Kernel arguments; `None`: those of the merge deployment.
    pub kargs: Option<Vec<String>>,
    /// Initramfs to be loaded after the tree's own, in this order.
    pub overlay_initrds: Vec<Checksum>,
    /// Further keys of the boot loader entry.
    pub bootconfig_extra: BTreeMap<String, String>,
    /// Not to be finalized yet.
    pub locked: bool,
}

/// Why bytes are no staged deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagedStateError {
    /// Cut off, or of another type.
    #[error("it is cut off, or no GVariant of type a{{sv}}")]
    NotADictionary,
    /// A key that must be there.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// A key with a value of another type.
    #[error("the value of the key {key:?} is not of type {wanted}")]
    Type {
        /// Which.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A value that is not in GVariant's normal form, and would read as something else than was written.
    #[error("the value of the key {0:?} is damaged")]
    Damaged(&'static str),
    /// A name that cannot be one.
    #[error("the key {key:?}: {reason}")]
    Name {
        /// Where.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

/// The entries of an `a{sv}`, whose type only its macro can name.
macro_rules! entries {
    ($dictionary:expr) => {
        $dictionary
            .iter()
            .map(|entry| {
                let (key, value) = entry.to_tuple();
                (key.to_str(), value)
            })
            .collect()
    };
}

/// A dictionary within the file, as values.
struct Dictionary<'a> {
    entries: Vec<(&'a str, &'a Variant)>,
}

impl<'a> Dictionary<'a> {
    /// The one that is the value of a key.
    fn nested(&self, key: &'static str) -> Result<Option<Self>, StagedStateError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let dictionary = value.get(gv!("a{sv}")).ok_or(StagedStateError::Type { key, wanted: "a{sv}" })?;
        let entries: Vec<_> = entries!(dictionary);
        undamaged(key, value, &gv!("a{sv}").serialize_to_vec(&entries))?;
        Ok(Some(Self { entries }))
    }

    fn get(&self, key: &str) -> Option<&'a Variant> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn text(&self, key: &'static str) -> Result<&'a str, StagedStateError> {
        let value = self.get(key).ok_or(StagedStateError::Missing(key))?;
        let text = value.get(gv!("s")).ok_or(StagedStateError::Type { key, wanted: "s" })?.to_str();
        undamaged(key, value, &gv!("s").serialize_to_vec(text))?;
        Ok(text)
    }

    fn deployment(&self) -> Result<DeploymentPath, StagedStateError> {
        Ok(DeploymentPath {
            stateroot: self.text("osname")?.parse().map_err(|reason| named("osname", reason))?,
            id: self.text("name")?.parse().map_err(|reason| named("name", reason))?,
        })
    }
}

impl StagedState {
    /// Reads the bytes of the file. Keys that are not known are passed over.
    ///
    /// # Errors
    /// See [`StagedStateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StagedStateError> {
        let aligned = copy_to_align(bytes);
        let whole = gv!("a{sv}").cast(aligned.as_ref());
        let whole = Dictionary { entries: entries!(whole) };
        // GVariant gives default values for what is damaged. A dictionary that is not what would be written for its own
        // entries is damaged.
        if gv!("a{sv}").serialize_to_vec(&whole.entries) != bytes {
            return Err(StagedStateError::NotADictionary);
        }
        let target = whole.nested("target")?.ok_or(StagedStateError::Missing("target"))?;
        let bootcsum = target.text("bootcsum")?.parse();
        let bootcsum = bootcsum.map_err(|reason: NameError| named("bootcsum", reason))?;
        let merge = whole.nested("merge-deployment")?.map(|merge| merge.deployment());
        let list = |key: &'static str| -> Result<Option<Vec<String>>, StagedStateError> {
            let Some(value) = whole.get(key) else { return Ok(None) };
            let words = value.get(gv!("as")).ok_or(StagedStateError::Type { key, wanted: "as" })?;
            let words: Vec<String> = words.iter().map(|word| word.to_str().to_owned()).collect();
            undamaged(key, value, &gv!("as").serialize_to_vec(&words))?;
            Ok(Some(words))
        };
        let checksum = |text: &String| text.parse().map_err(|reason| named("overlay-initrds", reason));
        let extra = match whole.get("bootconfig-extra") {
            Some(value) => {
                let wrong = StagedStateError::Type { key: "bootconfig-extra", wanted: "a{ss}" };
                let pairs = value.get(gv!("a{ss}")).ok_or(wrong)?;
                let pair = pairs.iter().map(|pair| pair.to_tuple());
                let pairs: Vec<_> = pair.map(|(key, value)| (key.to_str(), value.to_str())).collect();
                undamaged("bootconfig-extra", value, &gv!("a{ss}").serialize_to_vec(&pairs))?;
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            }
            None => BTreeMap::new(),
        };
        let locked = match whole.get("locked") {
            Some(value) => {
                let wrong = StagedStateError::Type { key: "locked", wanted: "b" };
                let locked = value.get(gv!("b")).ok_or(wrong)?.to_bool();
                undamaged("locked", value, &gv!("b").serialize_to_vec(&locked))?;
                locked
            }
            None => false,
        };
        Ok(Self {
            target: StagedTarget { deployment: target.deployment()?, bootcsum },
            merge_deployment: merge.transpose()?,
            kargs: list("kargs")?,
            overlay_initrds: list("overlay-initrds")?
                .unwrap_or_default()
                .iter()
                .map(checksum)
                .collect::<Result<_, _>>()?,
            bootconfig_extra: extra,
            locked,
        })
    }

    /// The bytes, as `ostree` writes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (id, stateroot) = names(&self.target.deployment);
        let target = [
            ("name", Value::Text(&id)),
            ("osname", Value::Text(stateroot)),
            ("bootcsum", Value::Text(self.target.bootcsum.as_str())),
        ];
        let mut entries = vec![("target", Value::Dictionary(&target))];
        if self.locked {
            entries.push(("locked", Value::Bool(true)));
        }
        let merge = self.merge_deployment.as_ref().map(names);
        let merge =
            merge.as_ref().map(|(id, stateroot)| [("name", Value::Text(id)), ("osname", Value::Text(stateroot))]);
        entries.extend(merge.as_ref().map(|merge| ("merge-deployment", Value::Dictionary(merge))));
        entries.extend(self.kargs.as_ref().map(|kargs| ("kargs", Value::Words(kargs))));
        let overlays: Vec<String> = self.overlay_initrds.iter().map(ToString::to_string).collect();
        if !overlays.is_empty() {
            entries.push(("overlay-initrds", Value::Words(&overlays)));
        }
        let extra: Vec<_> = self.bootconfig_extra.iter().collect();
        if !extra.is_empty() {
            entries.push(("bootconfig-extra", Value::Pairs(&extra)));
        }
        gv!("a{sv}").serialize_to_vec(&entries)
    }
}

/// GVariant reads what is damaged as default values, in each value anew: an argument with a NUL in it as an empty one. What
/// would not be written as it was found is damaged.
fn undamaged(key: &'static str, value: &Variant, written: &[u8]) -> Result<(), StagedStateError> {
    let found: &[u8] = value.split().1;
    if found == written { Ok(()) } else { Err(StagedStateError::Damaged(key)) }
}

/// What a dictionary names a deployment by.
fn names(path: &DeploymentPath) -> (String, &str) {
    (path.id.to_string(), path.stateroot.as_str())
}

fn named(key: &'static str, reason: NameError) -> StagedStateError {
    StagedStateError::Name { key, reason: reason.to_string() }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Bool(bool),
    Text(&'a str),
    Words(&'a [String]),
    Pairs(&'a [(&'a String, &'a String)]),
    Dictionary(&'a [(&'a str, Value<'a>)]),
}

impl SerializeTo<Variant> for Value<'_> {
    fn serialize(self, out: &mut impl Write) -> std::io::Result<usize> {
        match self {
            Value::Bool(value) => VariantWrap(gv!("b"), &value).serialize(out),
            Value::Text(value) => VariantWrap(gv!("s"), value).serialize(out),
            Value::Words(words) => VariantWrap(gv!("as"), words).serialize(out),
            Value::Pairs(pairs) => VariantWrap(gv!("a{ss}"), pairs).serialize(out),
            Value::Dictionary(entries) => VariantWrap(gv!("a{sv}"), entries).serialize(out),
        }
    }
}

#[cfg(test)]
mod tests;
