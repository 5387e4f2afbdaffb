//! A transient `/etc` is an overlay that the initramfs has mounted, where no SELinux policy is loaded: files that were made or copied up
//! there have no label. They get the one of the policy.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use selinux_policy::{Found, Labels};
use system::dir::Kind;
use system::tree::TreeWalk;
use system::{Context, SystemError, dir, mount, xattr};

/// Exists where SELinux is on.
const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// Gives the label to `/etc` and to all that is in the upper layer of `overlay`. A label that is refused is a warning: a system with a
/// file less is better than none.
pub(super) fn give(overlay: &str) -> Result<(), SystemError> {
    if !dir::exists(ENFORCE).context("read the attributes of", ENFORCE)? {
        return Ok(());
    }
    let root = dir::open_root(Path::new("/")).context("open", "/")?;
    let labels = Labels::of(&root, None)?;
    if let Found::Unusable(reason) = labels.found() {
        log::warn!("/etc gets no SELinux labels: {reason}");
    }
    if !labels.are_wanted() {
        return Ok(());
    }
    let upper = dir::open(&root, Path::new(overlay).join("upper"), OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("{overlay}/upper"))?;
    let etc = dir::open_directory(&root, "etc").context("open", "/etc")?;
    // Without what is mounted in it: systemd covers /etc/machine-id while it cannot be written to.
    let etc = mount::clone(&etc).context("clone the mount of", "/etc")?;
    one(&labels, etc.as_fd(), b".", b"/etc", Kind::Directory);
    let mut walk = TreeWalk::new(&upper).context("list", format_args!("{overlay}/upper"))?;
    while let Some(entry) = walk.next_entry().context("list", format_args!("{overlay}/upper"))? {
        one(&labels, etc.as_fd(), &entry.path, &[b"/etc/", entry.path.as_slice()].concat(), entry.kind);
    }
    Ok(())
}

/// Labels one name below `etc`. As restorecon(8) does without `-F`: if only user, role or range differ, the label stays, and they stay
/// when the type changes.
fn one(labels: &Labels, etc: BorrowedFd<'_>, name: &[u8], path: &[u8], kind: Kind) {
    let Some(wanted) = labels.label(path, kind) else { return };
    let result = xattr::get_of_link(etc, name, xattr::LABEL).and_then(|label| {
        match label.map_or_else(|| Some(wanted.to_owned()), |label| with_type_of(wanted, &label)) {
            // The kernel stores a label with the zero at its end; libselinux does so, too.
            Some(label) => xattr::set_of_link(etc, name, xattr::LABEL, &[label.as_bytes(), b"\0"].concat()),
            None => Ok(()),
        }
    });
    match result {
        // Removed since, or a removal of the overlay's; or a filesystem without labels.
        Ok(()) | Err(Errno::NOENT | Errno::OPNOTSUPP) => {}
        Err(reason) => {
            let path = String::from_utf8_lossy(path);
            log::warn!("cannot give {path} the label {wanted}: {reason}; to try again: restorecon {path}");
        }
    }
}

/// The label of a file with the type of `wanted`; `None`: it has that type.
fn with_type_of(wanted: &str, label: &[u8]) -> Option<String> {
    let label = String::from_utf8_lossy(label);
    let label = label.trim_end_matches('\0');
    let split = |label: &str| {
        let mut parts = label.splitn(4, ':').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?, parts.next()))
    };
    let (Some((user, role, its_type, range)), Some((.., wanted_type, _))) = (split(label), split(wanted)) else {
        return Some(wanted.to_owned());
    };
    let range = range.map(|range| format!(":{range}")).unwrap_or_default();
    (its_type != wanted_type).then(|| format!("{user}:{role}:{wanted_type}{range}"))
}

#[cfg(test)]
mod tests {
    use super::with_type_of;

    #[test]
    fn only_the_type_is_changed() {
        let with = |label: &str| with_type_of("system_u:object_r:etc_t:s0", label.as_bytes());
        assert_eq!(with("system_u:object_r:unlabeled_t:s0\0").as_deref(), Some("system_u:object_r:etc_t:s0"));
        assert_eq!(with("staff_u:object_r:tmp_t:s0:c1,c2").as_deref(), Some("staff_u:object_r:etc_t:s0:c1,c2"));
        assert_eq!(with("staff_u:object_r:etc_t:s0:c1"), None);
        assert_eq!(with("u:r:t").as_deref(), Some("u:r:etc_t"));
        assert_eq!(with("").as_deref(), Some("system_u:object_r:etc_t:s0"));
    }
}
