//! Follows the path that a boot loader requests to a deployment, and never leaves the physical root.
//!
//! The directory at the end has two names, as in libostree. Its program for the boot takes the real path, with all links resolved. Its
//! library takes what the text of the link says.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::bootlink::by_text;
use ostree_formats::deployment::DeploymentPath;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};

/// Why the path does not lead to a deployment. Paths are as seen on the physical root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing has this path.
    #[error("there is no boot link {0}")]
    Missing(String),
    /// A file of another kind has this path.
    #[error("{path} must be a symbolic link to a deployment, but is {found}")]
    NotALink {
        /// The path.
        path: String,
        /// What was found instead.
        found: &'static str,
    },
    /// The link leads to nothing.
    #[error("the boot link {path} leads to {target}, which does not exist")]
    Dangling {
        /// The path of the link.
        path: String,
        /// Its text.
        target: String,
    },
    /// A loop of links.
    #[error("the boot link {0} is part of a loop of symbolic links")]
    Loop(String),
    /// The link leads to a file.
    #[error("the boot link {path} leads to {target}, which is not a directory")]
    NotADirectory {
        /// The path of the link.
        path: String,
        /// Its text.
        target: String,
    },
    /// The link leads to a directory elsewhere.
    #[error(
        "the boot link {path} leads to {end}, which is not a deployment (/ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL)"
    )]
    NotADeployment {
        /// The path of the link.
        path: String,
        /// The path of the directory.
        end: String,
    },
    /// Any other failure. It does not say whether there is a link.
    #[error("{path} cannot be looked up: {reason}")]
    Other {
        /// The path.
        path: String,
        /// The kernel's reason.
        reason: Errno,
    },
}

/// The deployment that a boot link leads to.
#[derive(Debug)]
pub struct Followed {
    /// Where it is.
    pub path: DeploymentPath,
    /// Its directory, opened only for lookups.
    pub directory: OwnedFd,
}

/// Follows the link at `path` inside the physical root `root`. The deployment has its real path: `path_inside` says where an open
/// directory is on the physical root, without a leading slash.
///
/// # Errors
/// The path does not lead to a deployment.
pub fn follow(
    root: BorrowedFd<'_>,
    path: &str,
    path_inside: &dyn Fn(BorrowedFd<'_>) -> Result<String, Errno>,
) -> Result<Followed, LookupError> {
    let path = without_slash_at_the_end(path);
    let directory = open_end(root, path)?;
    let end = path_inside(directory.as_fd()).map_err(|reason| LookupError::Other { path: path.to_owned(), reason })?;
    // If the names at both ends differ, the last component was a link.
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    if name(&end) == name(path) || matches!(name(path).as_deref(), Some("." | "..")) {
        require_link(root, path)?;
    }
    followed(path, end, directory)
}

/// Follows the link at `path` inside the physical root `root`. The deployment has the path that the text of the link says.
///
/// # Errors
/// The path does not lead to a deployment.
pub fn follow_by_text(root: BorrowedFd<'_>, path: &str) -> Result<Followed, LookupError> {
    let path = without_slash_at_the_end(path);
    let link = require_link(root, path)?;
    let target = target(&link, path)?;
    let directory = open_end(root, path)?;
    followed(path, by_text(path, &target), directory)
}

/// With a slash at the end the kernel would follow the link itself.
fn without_slash_at_the_end(path: &str) -> &str {
    Some(path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or("/")
}

fn followed(path: &str, end: String, directory: OwnedFd) -> Result<Followed, LookupError> {
    match end.parse() {
        Ok(path) => Ok(Followed { path, directory }),
        Err(_) => Err(LookupError::NotADeployment { path: path.to_owned(), end: format!("/{end}") }),
    }
}

fn open_end(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, LookupError> {
    dir::open_directory(root, path).map_err(|reason| explain(root, path, reason))
}

/// Why following `path` failed.
fn explain(root: BorrowedFd<'_>, path: &str, reason: Errno) -> LookupError {
    let target = match require_link(root, path).and_then(|link| target(&link, path)) {
        Ok(target) => target,
        Err(error) => return error,
    };
    let path = path.to_owned();
    match reason {
        Errno::NOENT => LookupError::Dangling { path, target },
        Errno::NOTDIR => LookupError::NotADirectory { path, target },
        Errno::LOOP => LookupError::Loop(path),
        reason => LookupError::Other { path, reason },
    }
}

/// The text of an open link.
fn target(link: &OwnedFd, path: &str) -> Result<String, LookupError> {
    dir::read_link(link, "").map_err(|reason| LookupError::Other { path: path.to_owned(), reason })
}

/// Opens the link at the end of `path`, which must be one.
fn require_link(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, LookupError> {
    let owned = || path.to_owned();
    let other = |reason| LookupError::Other { path: owned(), reason };
    let link = match dir::open(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(link) => link,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(LookupError::Missing(owned())),
        Err(Errno::LOOP) => return Err(LookupError::Loop(owned())),
        Err(reason) => return Err(other(reason)),
    };
    let not_a_link = |found| Err(LookupError::NotALink { path: owned(), found });
    match dir::stat_fd(&link).map_err(other)?.kind {
        Kind::Link => Ok(link),
        Kind::Directory => not_a_link("a directory"),
        Kind::File => not_a_link("a file"),
        Kind::Other => not_a_link("a device, fifo or socket"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn sum(digit: &str) -> String {
        digit.repeat(64)
    }

    /// Both ways to name the end say the same, except where a link leads to a link.
    #[test]
    fn both_names_of_a_deployment_are_one_path() {
        let disk = tempfile::tempdir().unwrap();
        let at = |path: &str| disk.path().join(path);
        let deployment = format!("ostree/deploy/os/deploy/{}.0", sum("a"));
        fs::create_dir_all(at(&deployment)).unwrap();
        fs::create_dir_all(at("ostree/boot.1.1/os/c")).unwrap();
        symlink("boot.1.1", at("ostree/boot.1")).unwrap();
        let root = dir::open_root(disk.path()).unwrap();
        let path_inside = |end: BorrowedFd<'_>| {
            let proc = system::proc::Proc::open().unwrap();
            let path = proc.path_of(end)?;
            Ok(path.strip_prefix(disk.path().canonicalize().unwrap()).unwrap().to_str().unwrap().to_owned())
        };
        let both = |path: &str| {
            let found = [follow(root.as_fd(), path, &path_inside), follow_by_text(root.as_fd(), path)];
            found.map(|found| found.map(|found| found.path.to_string()).map_err(|error| error.to_string()))
        };
        for (serial, target) in
            [format!("../../../deploy/os/deploy/{}.0", sum("a")), format!("/{deployment}")].iter().enumerate()
        {
            symlink(target, at(&format!("ostree/boot.1/os/c/{serial}"))).unwrap();
            assert_eq!(
                both(&format!("/ostree/boot.1/os/c/{serial}/")),
                [Ok(deployment.clone()), Ok(deployment.clone())]
            );
        }
        symlink(sum("a") + ".0", at(&format!("ostree/deploy/os/deploy/{}.0", sum("b")))).unwrap();
        symlink(format!("../../../deploy/os/deploy/{}.0", sum("b")), at("ostree/boot.1/os/c/2")).unwrap();
        let alias = deployment.replace(&sum("a"), &sum("b"));
        assert_eq!(both("/ostree/boot.1/os/c/2"), [Ok(deployment), Ok(alias)]);

        fs::write(at("ostree/boot.1/os/c/3"), "").unwrap();
        symlink("5", at("ostree/boot.1/os/c/4")).unwrap();
        symlink("4", at("ostree/boot.1/os/c/5")).unwrap();
        symlink("3", at("ostree/boot.1/os/c/6")).unwrap();
        symlink("../../../deploy", at("ostree/boot.1/os/c/7")).unwrap();
        for (serial, text) in [
            (3, "must be a symbolic link to a deployment, but is a file"),
            (4, "is part of a loop of symbolic links"),
            (6, "leads to 3, which is not a directory"),
            (7, "leads to /ostree/deploy, which is not a deployment"),
            (8, "there is no boot link /ostree/boot.1/os/c/8"),
        ] {
            let [real, text_alone] = both(&format!("/ostree/boot.1/os/c/{serial}"));
            assert!(real.as_ref().is_err_and(|error| error.contains(text)), "{real:?}");
            assert_eq!(real, text_alone);
        }
    }
}
