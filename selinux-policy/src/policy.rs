//! The policy of a deployment.

use std::os::fd::{AsFd, OwnedFd};

use file_contexts::{FileContexts, Texts};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;

use crate::config::Config;

/// The directory of policies, relative to `/etc`.
pub const DIRECTORY: &str = "selinux";

/// The text of all contexts of a distribution has half a MiB.
const LIMIT: u64 = 16 << 20;
/// Files of a few lines.
const SMALL: u64 = 1 << 20;

/// A policy that can be used.
#[derive(Debug)]
pub struct Policy {
    /// `SELINUXTYPE`, like `targeted`.
    pub name: String,
    /// Its labels for paths.
    pub contexts: FileContexts,
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// The tree has no policy, or it is switched off: files get no labels.
    Nothing,
    /// A policy.
    Policy(Box<Policy>),
    /// The tree should have a policy, but it cannot be used, for this reason.
    Unusable(String),
}

impl Found {
    /// Reads the policy of the deployment that is open as `deployment`: that in `etc`, or in `usr/etc` if there is no `etc/selinux`,
    /// as libostree does.
    pub fn of(deployment: impl AsFd) -> Self {
        let deployment = deployment.as_fd();
        for etc in ["etc", "usr/etc"] {
            let path = format!("{etc}/{DIRECTORY}");
            match dir::open(deployment, &path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => return Self::Unusable(format!("cannot open /{path}: {error}")),
                Ok(directory) => return Self::below(&directory, &path),
            }
        }
        Self::Nothing
    }

    fn below(directory: &OwnedFd, shown: &str) -> Self {
        let config = match dir::read(directory, "config", SMALL) {
            Err(Errno::NOENT) => return Self::Nothing,
            Err(error) => return Self::Unusable(format!("cannot read /{shown}/config: {error}")),
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        let config = Config::parse(&config);
        if !config.is_on {
            return Self::Nothing;
        }
        let Some(name) = config.directory() else {
            let what = match config.policy {
                Some(name) => format!("SELINUXTYPE={name:?} is not the name of a directory"),
                None => "SELINUXTYPE= is missing".to_owned(),
            };
            return Self::Unusable(format!("/{shown}/config: {what}"));
        };
        match contexts(directory, name, shown) {
            Ok(contexts) => Self::Policy(Box::new(Policy { name: name.to_owned(), contexts })),
            Err(reason) => Self::Unusable(reason),
        }
    }
}

/// Reads the contexts for files. libselinux also reads compiled copies of them, which contain the same.
fn contexts(selinux: &OwnedFd, name: &str, shown: &str) -> Result<FileContexts, String> {
    let read = |file: &str| {
        let path = format!("{name}/contexts/files/{file}");
        match dir::read(selinux, &path, LIMIT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::FBIG) => Err(format!("/{shown}/{path} is larger than {} MiB", LIMIT >> 20)),
            Err(error) => Err(format!("cannot read /{shown}/{path}: {error}")),
        }
    };
    let missing = || format!("/{shown}/{name}/contexts/files/file_contexts does not exist");
    let main = read("file_contexts")?.ok_or_else(missing)?;
    let [homedirs, local, subs, subs_dist] =
        ["file_contexts.homedirs", "file_contexts.local", "file_contexts.subs", "file_contexts.subs_dist"].map(read);
    let (homedirs, local, subs, subs_dist) = (homedirs?, local?, subs?, subs_dist?);
    let texts = Texts {
        contexts: &main,
        homedirs: homedirs.as_deref(),
        local: local.as_deref(),
        subs: subs.as_deref(),
        subs_dist: subs_dist.as_deref(),
    };
    FileContexts::parse(texts).map_err(|error| format!("/{shown}/{name}/contexts/files: {error}"))
}
