//! `/run/ostree/staged-deployment`: the update that waits for shutdown. A GVariant `a{sv}`, written by `ostree`, `rpm-ostree` and `bootc`.

use std::collections::BTreeMap;

use crate::bls::{FieldError, check_field};
use crate::bootlink::Bootcsum;
use crate::deployment::{Checksum, DeploymentPath, NameError};
use crate::variant::reader::{self, Dictionary};
use crate::variant::{Damaged, writer};

/// The deployment that will become bootable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedTarget {
    /// Where it has been checked out.
    pub deployment: DeploymentPath,
    /// Of its kernel.
    pub bootcsum: Bootcsum,
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedState {
    /// The staged deployment.
    pub target: StagedTarget,
    /// The deployment whose changes of `/etc` are merged; `None`: no changes.
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

/// Why bytes are not a staged deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagedStateError {
    /// Incomplete, or of another type.
    #[error("it is incomplete, or not a GVariant of type a{{sv}}")]
    NotADictionary,
    /// A required key is missing.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// A key with a value of another type.
    #[error("the value of the key {key:?} is not of type {wanted}")]
    Type {
        /// Which.
        key: &'static str,
        /// The right type.
        wanted: &'static str,
    },
    /// A value that is not in GVariant's normal form, so it would be read as another value than was written.
    #[error("the value of the key {0:?} is damaged")]
    Damaged(&'static str),
    /// A key or value that a boot loader entry cannot have.
    #[error("the key \"bootconfig-extra\": {0}")]
    Field(FieldError),
    /// An invalid name.
    #[error("the key {key:?}: {reason}")]
    Name {
        /// Where.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

/// The value of a key, read as `kind`.
fn value<'a, T>(
    of: Dictionary<'a>,
    key: &'static str,
    kind: &'static str,
    read: impl FnOnce(&'a [u8]) -> Result<T, Damaged>,
) -> Result<Option<T>, StagedStateError> {
    let Some(value) = of.get(key) else { return Ok(None) };
    let bytes = value.of_type(kind).ok_or(StagedStateError::Type { key, wanted: kind })?;
    read(bytes).map(Some).map_err(|Damaged| StagedStateError::Damaged(key))
}

fn text<'a>(of: Dictionary<'a>, key: &'static str) -> Result<&'a str, StagedStateError> {
    value(of, key, "s", reader::text)?.ok_or(StagedStateError::Missing(key))
}

fn deployment(of: Dictionary<'_>) -> Result<DeploymentPath, StagedStateError> {
    Ok(DeploymentPath {
        stateroot: text(of, "osname")?.parse().map_err(|reason| named("osname", reason))?,
        id: text(of, "name")?.parse().map_err(|reason| named("name", reason))?,
    })
}

impl StagedState {
    /// Reads the bytes of the file. Unknown keys are ignored.
    ///
    /// # Errors
    /// See [`StagedStateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StagedStateError> {
        let whole = Dictionary::new(bytes).map_err(|Damaged| StagedStateError::NotADictionary)?;
        let target = value(whole, "target", "a{sv}", Dictionary::new)?.ok_or(StagedStateError::Missing("target"))?;
        let bootcsum = text(target, "bootcsum")?.parse();
        let bootcsum = bootcsum.map_err(|reason: NameError| named("bootcsum", reason))?;
        let merge = value(whole, "merge-deployment", "a{sv}", Dictionary::new)?;
        let extra = value(whole, "bootconfig-extra", "a{ss}", reader::text_pairs)?.unwrap_or_default();
        let mut bootconfig_extra = BTreeMap::new();
        for (key, value) in extra {
            check_field(key, value).map_err(StagedStateError::Field)?;
            bootconfig_extra.insert(key.to_owned(), value.to_owned());
        }
        let kargs = value(whole, "kargs", "as", reader::texts)?;
        let overlays = value(whole, "overlay-initrds", "as", reader::texts)?.unwrap_or_default();
        let checksum = |text: &str| text.parse().map_err(|reason| named("overlay-initrds", reason));
        Ok(Self {
            target: StagedTarget { deployment: deployment(target)?, bootcsum },
            merge_deployment: merge.map(deployment).transpose()?,
            kargs: kargs.map(|kargs| kargs.into_iter().map(str::to_owned).collect()),
            overlay_initrds: overlays.into_iter().map(checksum).collect::<Result<_, _>>()?,
            bootconfig_extra,
            locked: value(whole, "locked", "b", reader::boolean)?.unwrap_or(false),
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
        writer::dictionary(entries.iter().map(|(key, value)| (*key, value.to_bytes())))
    }
}

/// The keys of a deployment in a dictionary.
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

impl Value<'_> {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Value::Bool(on) => writer::value("b", &writer::boolean(on)),
            Value::Text(text) => writer::value("s", &writer::text_bytes(text)),
            Value::Words(words) => writer::value("as", &writer::texts(words)),
            Value::Pairs(pairs) => writer::value("a{ss}", &writer::text_pairs(pairs.iter().copied())),
            Value::Dictionary(entries) => {
                let entries = entries.iter().map(|(key, value)| (*key, value.to_bytes()));
                writer::value("a{sv}", &writer::dictionary(entries))
            }
        }
    }
}

#[cfg(test)]
mod tests;
