//! The steps of a plan, as values that can be printed.

use std::fmt;

use ostree_formats::boot_attempts::Count;
use ostree_formats::booted_state::BootedState;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A directory that a mount is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MountSource {
    /// On the physical root, relative to it; empty is the root itself.
    #[serde(serialize_with = "absolute")]
    Physical(String),
    /// This name in the deployment directory.
    Deployment(&'static str),
    /// Below the directory that `etc.transient` makes in `/run/ostree`.
    TransientEtc(&'static str),
}

/// Where a bind mount goes, in the new root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BindTarget {
    /// A directory of the deployment.
    NewRoot(&'static str),
    /// `/sysroot`: from then on this mount is the physical root.
    Sysroot,
    /// On the physical root, at `/sysroot` by then.
    Physical(String),
}

impl fmt::Display for BindTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewRoot(name) => f.write_str(name),
            Self::Sysroot => f.write_str("sysroot"),
            Self::Physical(path) => write!(f, "sysroot/{path}"),
        }
    }
}

/// As the path.
impl Serialize for BindTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        absolute(self, serializer)
    }
}

/// Whether a mount can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// As the physical root is mounted.
    Inherited,
    ReadOnly,
    Writable,
}

/// Upper layer of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Upper {
    pub(crate) upper: MountSource,
    pub(crate) work: MountSource,
}

/// One thing to do. Targets are relative to the new root. `docs/json/prepare-root-plan.schema.json` has the form in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "do")]
pub(crate) enum Step {
    /// Send a message with the deployment to the journal.
    Announce {
        #[serde(serialize_with = "absolute")]
        path: String,
        device: u64,
        inode: u64,
    },
    /// PID 1: a tmpfs that becomes the new `/run`.
    NewRun,
    /// A directory below `/run`.
    Directory { path: String, mode: u16 },
    /// A directory of its own for the transient `/etc`.
    TransientEtcDirectory,
    /// `/` and all mounts below it private, because a mount below a shared one cannot be moved.
    MakePrivate,
    /// Bind the deployment where the new root is built.
    NewRoot {
        #[serde(serialize_with = "absolute")]
        deployment: String,
        at: String,
    },
    /// The overlay of the deployment's composefs image, mounted where the new root is built.
    ImageRoot {
        #[serde(serialize_with = "absolute")]
        image: String,
        at: String,
        /// Where the image is mounted for a moment, because an overlay takes its layers by path.
        lower: String,
        /// PID 1: the path of the image. Without `/proc` the open file has no path, and no other process could replace the image.
        by_path: Option<String>,
        /// Directory with `upper` and `work`: changes are lost at the next boot.
        transient: Option<&'static str>,
        verity: bool,
        access: Access,
    },
    /// PID 1: the tmpfs for `/run` is mounted here until the new root exists, because it has the upper layer of the new root.
    LendRun { at: String },
    /// PID 1: the kernel's devtmpfs, or a new one if the kernel mounted none.
    Dev { mounted: bool },
    /// PID 1: the new tmpfs becomes `/run`.
    AttachRun,
    /// PID 1: the new root becomes `/`, the physical root `/sysroot`.
    PivotRoot,
    /// A bind mount.
    Bind { source: MountSource, target: BindTarget, access: Access, slave_and_shared: bool },
    /// An overlay; the first lower layer is the topmost.
    Overlay {
        #[serde(serialize_with = "absolute")]
        target: &'static str,
        lower: Vec<MountSource>,
        upper: Option<Upper>,
        access: Access,
    },
    /// PID 1: the physical root, at `/sysroot` by now, becomes read-only.
    SysrootReadOnly,
    /// So that systemd finds the disk behind an overlay root.
    VolatileRoot { device: u64 },
    /// Read the first of these that exists, and its interpreter or loader.
    RequireInit {
        /// The value of `init=`, which comes before the others.
        named: Option<String>,
        others: Vec<&'static str>,
        /// If none of them exists, the boot stops. Otherwise only a failing disk stops it.
        required: bool,
        /// Only files that are sealed with fs-verity can be read.
        sealed: bool,
    },
    /// Count this boot, durably, in `/ostree/boot-attempts/count`; and `/run/ostree/boot-count`.
    Count {
        #[serde(flatten, serialize_with = "attempt_fields")]
        count: Count,
        /// An earlier run in this boot has done it.
        #[serde(skip)]
        is_counted: bool,
    },
    /// `/run/ostree/boot-count`: this boot is no attempt.
    NoAttempt { tries: u32 },
    /// `/run/ostree-booted`.
    BootedState(BootedState),
    /// `/run/ostree/recovered-boot`: for later tools.
    RecoveryRecord { text: String },
    /// `/run/ostree/chosen-deployment`: for a second run, which is not told the choice.
    ChoiceRecord {
        #[serde(serialize_with = "absolute")]
        deployment: String,
    },
    /// Detach the physical root from SYSROOT and mount the new root there. `writable` is for undoing it.
    MoveIntoPlace { sysroot: String, writable: bool },
    /// PID 1: become the deployment's init.
    Exec { init: &'static str },
}

/// As in the readable plan: a path on a disk or in the new root begins with a slash.
fn absolute<S: Serializer>(path: impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("/{path}"))
}

fn attempt_fields<S: Serializer>(count: &Count, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Count", 3)?;
    fields.serialize_field("deployment", &format!("/{}", count.deployment))?;
    fields.serialize_field("attempt", &count.attempts)?;
    fields.serialize_field("tries", &count.tries)?;
    fields.end()
}

impl fmt::Display for MountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Physical(path) => write!(f, "/{path}"),
            Self::Deployment(name) => write!(f, "(deployment)/{name}"),
            Self::TransientEtc(name) => write!(f, "(transient etc)/{name}"),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherited => "",
            Self::ReadOnly => ", read-only",
            Self::Writable => ", writable",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announce { path, .. } => write!(f, "send a message to the journal: the target is /{path}"),
            Self::NewRun => f.write_str("make a tmpfs for /run"),
            Self::Directory { path, mode } => write!(f, "make directory {path}, mode {mode:04o}"),
            Self::TransientEtcDirectory => {
                f.write_str("make directory /run/ostree/transient-etc.XXXXXX with upper and work, modes 0700 and 0755")
            }
            Self::MakePrivate => f.write_str("make / and all mounts below it private"),
            Self::NewRoot { deployment, at } => write!(f, "bind /{deployment} on {at}, the new root"),
            Self::ImageRoot { image, at, lower: _, by_path: _, transient, verity, access } => {
                write!(f, "mount the composefs image /{image} over /ostree/repo/objects on {at}, the new root")?;
                if *verity {
                    f.write_str("; objects must be sealed")?;
                }
                if let Some(directory) = transient {
                    write!(f, ", with an upper layer in {directory}")?;
                }
                write!(f, "{access}")
            }
            Self::LendRun { at } => write!(f, "mount the tmpfs on {at} for now"),
            Self::Dev { mounted: true } => f.write_str("move /dev to the new /dev"),
            Self::Dev { mounted: false } => f.write_str("mount devtmpfs on /dev"),
            Self::AttachRun => f.write_str("mount the tmpfs on /run"),
            Self::PivotRoot => f.write_str("make the new root /, the physical root /sysroot"),
            Self::Bind { source, target, access, slave_and_shared } => {
                let propagation = if *slave_and_shared { ", slave and shared" } else { "" };
                write!(f, "bind {source} on /{target}{access}{propagation}")
            }
            Self::Overlay { target, lower, upper, access } => {
                write!(f, "overlay on /{target}: lower")?;
                for (index, place) in lower.iter().enumerate() {
                    write!(f, "{}{place}", if index == 0 { " " } else { " over " })?;
                }
                if let Some(Upper { upper, work }) = upper {
                    write!(f, ", upper {upper}, work {work}")?;
                }
                write!(f, "{access}")
            }
            Self::SysrootReadOnly => f.write_str("make /sysroot read-only"),
            Self::VolatileRoot { device } => write!(f, "link /run/systemd/volatile-root to device {device:#x}"),
            Self::RequireInit { named, others, .. } => {
                let first = named.as_deref().or(others.first().copied()).unwrap_or("init");
                write!(f, "read {first} and its interpreter or loader")
            }
            Self::Count { count, .. } => write_count(f, count),
            Self::NoAttempt { tries } => write!(f, "write /run/ostree/boot-count: no attempt, tries {tries}"),
            Self::BootedState(state) => write_booted_state(f, state),
            Self::RecoveryRecord { .. } => f.write_str("write /run/ostree/recovered-boot"),
            Self::ChoiceRecord { deployment } => write!(f, "write /run/ostree/chosen-deployment: /{deployment}"),
            Self::MoveIntoPlace { sysroot, .. } => {
                write!(f, "detach the physical root from {sysroot}, move the new root there")
            }
            Self::Exec { init } => write!(f, "execute {init}"),
        }
    }
}

fn write_count(f: &mut fmt::Formatter<'_>, count: &Count) -> fmt::Result {
    let Count { deployment, attempts, tries } = count;
    write!(f, "count this boot of /{deployment} in /ostree/boot-attempts/count: attempt {attempts} of {tries}")
}

fn write_booted_state(f: &mut fmt::Formatter<'_>, state: &BootedState) -> fmt::Result {
    write!(f, "write /run/ostree-booted: device {:#x}, inode {}", state.device, state.inode)?;
    write!(f, ", sysroot {}", if state.sysroot_ro { "read-only" } else { "writable" })?;
    if let Some(composefs) = &state.composefs {
        write!(f, ", composefs")?;
        if composefs.verity {
            write!(f, " with fs-verity")?;
        }
        if let Some(key_file) = &composefs.signed_by {
            write!(f, ", signed by a key of {key_file}")?;
        }
    }
    if state.root_transient || state.root_transient_ro {
        write!(f, ", / transient")?;
    }
    if state.transient_etc.is_some() {
        write!(f, ", /etc transient")?;
    }
    Ok(())
}
