//! The kernel command line: which deployment was requested, and by which argument.
//!
//! By the rules of the kernel (Documentation/admin-guide/kernel-parameters.rst): double quotes protect spaces, `-` and `_` are the
//! same in a name, everything after ` -- ` belongs to init. Other arguments may have bytes that are not UTF-8.

mod arguments;

use std::fmt;

use serde::Serialize;

use arguments::{Argument, arguments};

/// The kind of argument that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetSource {
    /// `ostree=`.
    Ostree,
    /// `androidboot.slot_suffix=`, which wins over `ostree=`.
    AndroidSlot,
    /// Any other `androidboot.` argument: Android without A/B slots.
    Android,
    /// `firstroot.deployment=`, or the option `--deployment`: it names the deployment itself, and no link is followed.
    Deployment,
}

impl TargetSource {
    /// Android's arguments, which win over `ostree=`, name a slot by its link.
    pub fn is_a_slot(self) -> bool {
        matches!(self, Self::AndroidSlot | Self::Android)
    }
}

/// The path that the boot loader requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootTarget {
    /// Path of the link on the physical root, as given.
    pub path: String,
    /// Which argument.
    #[serde(rename = "asked")]
    pub source: TargetSource,
    /// This argument as written in the command line.
    pub argument: String,
}

impl BootTarget {
    /// The argument, and of which kind it is.
    pub fn described(&self) -> String {
        // The option of the program may decide instead of a kernel argument.
        let kind = if self.argument.starts_with('-') { "option" } else { "kernel argument" };
        format!("{kind} {}", self.argument)
    }
}

impl fmt::Display for BootTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.argument)
    }
}

/// Why the command line has no usable target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No argument names one.
    #[error("the kernel command line has no ostree= argument")]
    Missing,
    /// `ostree=` or `ostree` without a value.
    #[error("the kernel argument {0:?} has no value")]
    Empty(String),
    /// The value is not UTF-8.
    #[error("the kernel argument {0:?} is not UTF-8")]
    NotUtf8(String),
    /// `androidboot.slot_suffix` is neither `_a` nor `_b`.
    #[error("the kernel argument {0:?} must name slot _a or _b")]
    UnknownSlot(String),
}

/// A kernel command line.
#[derive(Debug, Clone, Default)]
pub struct KernelCommandLine(Vec<u8>);

impl KernelCommandLine {
    /// From the bytes of `/proc/cmdline`, or of an argument that replaces it.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The requested deployment.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn boot_target(&self) -> Result<BootTarget, TargetError> {
        let slot = self.find("androidboot.slot_suffix", |_, value| value.map(<[u8]>::to_vec));
        if let Some((value, argument)) = slot {
            let path = match value.as_slice() {
                b"_a" => "/ostree/root.a",
                b"_b" => "/ostree/root.b",
                _ => return Err(TargetError::UnknownSlot(argument)),
            };
            return Ok(BootTarget { path: path.to_owned(), source: TargetSource::AndroidSlot, argument });
        }
        if let Some(argument) = self.first_with_prefix(b"androidboot.") {
            return Ok(BootTarget { path: "/ostree/root.a".to_owned(), source: TargetSource::Android, argument });
        }
        self.ostree_target()
    }

    /// Which deployment `ostree=` names, even if there are Android's arguments.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn ostree_target(&self) -> Result<BootTarget, TargetError> {
        match self.find("ostree", |_, value| value.map(<[u8]>::to_vec)) {
            Some((value, argument)) if value.is_empty() => Err(TargetError::Empty(argument)),
            Some((value, argument)) => match String::from_utf8(value) {
                Ok(path) => Ok(BootTarget { path, source: TargetSource::Ostree, argument }),
                Err(_) => Err(TargetError::NotUtf8(argument)),
            },
            None if self.has("ostree") => Err(TargetError::Empty("ostree".to_owned())),
            None => Err(TargetError::Missing),
        }
    }

    /// The value of `ostree.prepare-root.composefs=`, lossy if it is not UTF-8 (such a value is refused anyway).
    pub fn composefs(&self) -> Option<String> {
        let find = self.find("ostree.prepare-root.composefs", |_, value| value.map(<[u8]>::to_vec));
        find.map(|(value, _)| String::from_utf8_lossy(&value).into_owned())
    }

    /// The value of the last `firstroot.deployment=`, lossy if it is not UTF-8 (such a value names nothing). The last one counts,
    /// because a person at the boot menu types at the end of the line.
    pub fn deployment(&self) -> Option<String> {
        self.last("firstroot.deployment")
    }

    /// The value of the last `init=`: the kernel and systemd start that in place of `/sbin/init`.
    pub fn init(&self) -> Option<String> {
        self.last("init")
    }

    /// Whether the boot loader counts this boot: the entry has `firstroot.trial`.
    pub fn is_trial(&self) -> bool {
        self.has(crate::projected_entry::TRIAL)
    }

    /// The unit that systemd starts in place of `default.target` (systemd(1)): the last `systemd.unit=`, or word that means a
    /// runlevel. Newer versions know no runlevels. `None` also for a name that no unit can have.
    pub fn unit(&self) -> Option<String> {
        let of_runlevel = |name: &[u8]| match name {
            b"-s" | b"s" | b"S" | b"1" | b"single" | b"rescue" => Some("rescue.target"),
            b"-b" | b"emergency" => Some("emergency.target"),
            b"2" | b"3" | b"4" => Some("multi-user.target"),
            b"5" => Some("graphical.target"),
            _ => None,
        };
        let named = arguments(&self.0).filter_map(|one| match (one.name, one.value) {
            (b"systemd.unit", Some(value)) => std::str::from_utf8(value).ok().map(str::to_owned),
            (name, None) => of_runlevel(name).map(str::to_owned),
            _ => None,
        });
        let can_be = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '@' | '\\');
        named.last().filter(|name| name.contains('.') && name.len() < 256 && name.chars().all(can_be))
    }

    /// Whether the user requested a shell in the initramfs (`rd.shell`, `rd.break`), and so is at the machine.
    pub fn wants_shell(&self) -> bool {
        let off = |value: Option<&[u8]>| matches!(value, Some(b"0" | b"no" | b"off" | b"false"));
        // The last one counts for dracut, too: a boot on trial has one at its end.
        let shell = self.all("rd.shell").last().is_some_and(|one| !off(one.value));
        shell || self.has("rd.break")
    }

    /// The value of the last argument of exactly that name, lossy if it is not UTF-8.
    fn last(&self, key: &str) -> Option<String> {
        let last = arguments(&self.0).filter(|one| one.name == key.as_bytes()).last()?;
        last.value.map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn has(&self, key: &str) -> bool {
        self.find(key, |_, _| Some(())).is_some()
    }

    /// The first argument of that name for which `take` returns a value; and the argument as text.
    fn find<T>(&self, key: &str, take: impl Fn(&[u8], Option<&[u8]>) -> Option<T>) -> Option<(T, String)> {
        self.all(key).find_map(|one| Some((take(one.name, one.value)?, as_text(&one))))
    }

    /// The arguments of that name.
    fn all(&self, key: &str) -> impl Iterator<Item = Argument<'_>> {
        let fold = |b: &u8| if *b == b'-' { b'_' } else { *b };
        arguments(&self.0).filter(move |one| one.name.iter().map(fold).eq(key.as_bytes().iter().map(fold)))
    }

    fn first_with_prefix(&self, prefix: &[u8]) -> Option<String> {
        arguments(&self.0).find(|one| one.name.starts_with(prefix)).map(|one| as_text(&one))
    }
}

fn as_text(argument: &Argument<'_>) -> String {
    String::from_utf8_lossy(argument.text).into_owned()
}

#[cfg(test)]
mod tests;
