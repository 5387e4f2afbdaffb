//! The policy of a deployment.

use std::os::fd::{AsFd, OwnedFd};

use file_contexts::{FileContexts, Texts};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

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
    ///
    /// # Errors
    /// Whether there is a policy cannot be found out. What is wrong with one is no error.
    pub fn of(deployment: impl AsFd) -> Result<Self, SystemError> {
        let deployment = deployment.as_fd();
        for etc in ["etc", "usr/etc"] {
            let path = format!("{etc}/{DIRECTORY}");
            match dir::open(deployment, &path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                other => return Self::below(&other.context("open", format_args!("/{path}"))?, &path),
            }
        }
        Ok(Self::Nothing)
    }

    fn below(directory: &OwnedFd, shown: &str) -> Result<Self, SystemError> {
        let config = match dir::read(directory, "config", SMALL) {
            Err(Errno::NOENT) if !is_link(directory, "config") => return Ok(Self::Nothing),
            Err(error @ (Errno::NOENT | Errno::ISDIR | Errno::INVAL | Errno::LOOP | Errno::NXIO)) => {
                return Ok(Self::Unusable(format!("cannot read /{shown}/config: {error}")));
            }
            Err(Errno::FBIG) => return Ok(Self::Unusable(format!("/{shown}/config is larger than 1 MiB"))),
            other => other.context("read", format_args!("/{shown}/config"))?,
        };
        let config = String::from_utf8_lossy(&config);
        let config = Config::parse(&config);
        if !config.is_on {
            return Ok(Self::Nothing);
        }
        let Some(name) = config.directory() else {
            let what = match config.policy {
                Some(name) => format!("SELINUXTYPE={name:?} is not the name of a directory"),
                None => "SELINUXTYPE= is missing".to_owned(),
            };
            return Ok(Self::Unusable(format!("/{shown}/config: {what}")));
        };
        Ok(match contexts(directory, name, shown) {
            Ok(contexts) => Self::Policy(Box::new(Policy { name: name.to_owned(), contexts })),
            Err(reason) => Self::Unusable(reason),
        })
    }
}

/// A link that leads nowhere is a mistake, and not an absence.
fn is_link(directory: &OwnedFd, path: &str) -> bool {
    dir::open(directory, path, OFlags::PATH | OFlags::NOFOLLOW).is_ok()
}

/// Reads the contexts for files. libselinux also reads compiled copies of them, which contain the same.
fn contexts(selinux: &OwnedFd, name: &str, shown: &str) -> Result<FileContexts, String> {
    let read = |file: &str| {
        let path = format!("{name}/contexts/files/{file}");
        match dir::read(selinux, &path, LIMIT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Errno::NOENT) if !is_link(selinux, &path) => Ok(None),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const CONTEXTS: &str = "selinux/targeted/contexts/files/file_contexts";

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
        write(root.path(), &format!("etc/{CONTEXTS}"), "/boot(/.*)? u:r:boot_t:s0\n");
        root
    }

    fn write(root: &Path, path: &str, text: impl AsRef<[u8]>) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn found(root: &tempfile::TempDir) -> Found {
        Found::of(fs::File::open(root.path()).unwrap()).unwrap()
    }

    fn label(root: &tempfile::TempDir) -> Option<String> {
        let Found::Policy(policy) = found(root) else { return None };
        policy.contexts.label(b"/boot/x", None).map(str::to_owned)
    }

    fn why(root: &tempfile::TempDir) -> String {
        match found(root) {
            Found::Unusable(reason) => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_policy_is_in_etc_or_where_that_is_shipped() {
        let root = tree();
        assert_eq!(label(&root).as_deref(), Some("u:r:boot_t:s0"));
        fs::create_dir(root.path().join("usr")).unwrap();
        fs::rename(root.path().join("etc"), root.path().join("usr/etc")).unwrap();
        assert_eq!(label(&root).as_deref(), Some("u:r:boot_t:s0"));
        // An /etc/selinux without a configuration is one without a policy.
        fs::create_dir_all(root.path().join("etc/selinux")).unwrap();
        assert!(matches!(found(&root), Found::Nothing));
    }

    #[test]
    fn a_policy_that_is_off_is_none() {
        let root = tree();
        for text in
            ["", "SELINUX=disabled\nSELINUXTYPE=targeted\n", "SELINUXTYPE=targeted\n", "\u{feff}SELINUX=enforcing"]
        {
            write(root.path(), "etc/selinux/config", text);
            assert!(matches!(found(&root), Found::Nothing), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let root = tree();
        let contexts = root.path().join("etc").join(CONTEXTS);
        for (text, reason) in [
            ("SELINUX=permissive\n", "/etc/selinux/config: SELINUXTYPE= is missing"),
            ("SELINUX=permissive\nSELINUXTYPE=../..\n", "is not the name of a directory"),
            ("SELINUX=permissive\nSELINUXTYPE=mls\n", "/etc/selinux/mls/contexts/files/file_contexts does not exist"),
        ] {
            write(root.path(), "etc/selinux/config", text);
            assert!(why(&root).contains(reason), "{}", why(&root));
        }
        write(root.path(), "etc/selinux/config", vec![b'x'; (SMALL + 1) as usize]);
        assert!(why(&root).starts_with("/etc/selinux/config is larger"), "{}", why(&root));
        write(root.path(), "etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
        fs::File::options().write(true).open(&contexts).unwrap().set_len(100 << 20).unwrap();
        assert!(why(&root).ends_with("file_contexts is larger than 16 MiB"), "{}", why(&root));
        fs::remove_file(&contexts).unwrap();
        fs::create_dir(&contexts).unwrap();
        assert!(
            why(&root).starts_with("cannot read /etc/selinux/targeted/contexts/files/file_contexts"),
            "{}",
            why(&root)
        );
        fs::remove_dir(&contexts).unwrap();
        std::os::unix::fs::symlink("file_contexts", &contexts).unwrap();
        assert!(why(&root).starts_with("cannot read "), "{}", why(&root));
    }

    /// Cut short at any byte, contexts are those of the whole lines, or the line is named.
    #[test]
    fn contexts_that_end_early_are_read_or_refused() {
        let root = tree();
        let text = "/a(/.*)? -d u:r:a_t:s0\n/boot(/.*)?\tu:r:boot_t:s0\n/c\\.d -- <<none>>\n";
        for end in 0..=text.len() {
            write(root.path(), &format!("etc/{CONTEXTS}"), &text[..end]);
            match found(&root) {
                Found::Policy(policy) => assert_eq!(policy.contexts.label(b"/b", None), None),
                Found::Unusable(reason) => {
                    assert!(reason.starts_with("/etc/selinux/targeted/contexts/files: "), "{reason}")
                }
                Found::Nothing => panic!("{end}"),
            }
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_absence() {
        let root = tree();
        let local = root.path().join("etc/selinux/targeted/contexts/files/file_contexts.local");
        std::os::unix::fs::symlink("nowhere", &local).unwrap();
        assert!(why(&root).contains("file_contexts.local: "), "{}", why(&root));
        let config = root.path().join("etc/selinux/config");
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink("nowhere", &config).unwrap();
        assert!(why(&root).starts_with("cannot read /etc/selinux/config: "), "{}", why(&root));
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
        assert!(why(&root).starts_with("cannot read /etc/selinux/config: "), "{}", why(&root));
    }

    #[test]
    fn a_directory_of_policies_that_is_a_link_stays_in_the_deployment() {
        let root = tree();
        fs::rename(root.path().join("etc/selinux"), root.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("/elsewhere", root.path().join("etc/selinux")).unwrap();
        assert_eq!(label(&root).as_deref(), Some("u:r:boot_t:s0"));
    }
}
