//! The refs `ostree/N/S/INDEX`: they keep the commits of the list from being pruned.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir, tree};

use crate::plan::removals::Current;

const HEADS: &str = "ostree/repo/refs/heads";

/// Writes those of the list, and removes all others.
pub(super) fn write(sysroot: &OwnedFd, current: &Current) -> Result<(), SystemError> {
    let heads = dir::open(sysroot, HEADS, OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/sysroot/{HEADS}"))?;
    let (n, s) = (current.bootversion, current.subbootversion);
    write_set(&heads, &format!("ostree/{n}"), &format!("ostree/{n}/{s}"), current)?;
    // The files of the other three sets are removed. Their directories stay, as with libostree.
    for (version, sub) in [(n, s.other()), (n.other(), s), (n.other(), s.other())] {
        let set = format!("ostree/{version}/{sub}");
        match dir::open(&heads, &set, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => tree::empty(directory).context("remove the refs in", shown(&set))?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).context("open", shown(&set)),
        }
    }
    Ok(())
}

fn write_set(heads: &OwnedFd, parent: &str, set: &str, current: &Current) -> Result<(), SystemError> {
    for path in ["ostree", parent, set] {
        match rustix::fs::mkdirat(heads, path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).context("make", shown(path)),
        }
    }
    let directory = dir::open(heads, set, OFlags::RDONLY | OFlags::DIRECTORY).context("open", shown(set))?;
    let mut names = BTreeSet::new();
    for (index, listed) in current.list.iter().enumerate() {
        let name = index.to_string();
        let content = format!("{}\n", listed.deployment.path.id.commit);
        let shown = shown(&format!("{set}/{name}"));
        let same = match dir::read_no_link(&directory, &name, 1 << 10) {
            Ok(bytes) => bytes == content.as_bytes(),
            // There is no ref, or not a regular file of a ref's size.
            Err(Errno::NOENT | Errno::LOOP | Errno::FBIG | Errno::INVAL | Errno::ISDIR) => false,
            Err(error) => return Err(error).context("read", shown),
        };
        if !same {
            dir::replace_file(&directory, &name, content.as_bytes(), 0o644).context("write", shown)?;
        }
        names.insert(name);
    }
    for (name, _) in tree::entries(&directory).context("list", shown(set))? {
        if !names.contains(String::from_utf8_lossy(&name).as_ref()) {
            tree::remove(&directory, &name).context("remove", shown(set))?;
        }
    }
    Ok(())
}

fn shown(path: &str) -> String {
    format!("/sysroot/{HEADS}/{path}")
}
