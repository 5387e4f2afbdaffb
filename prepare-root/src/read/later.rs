//! Whether the system that a script starts mounts `/var` and `/boot` itself.

use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind, Stat};
use system::{Context, SystemError};

use super::deployment::Deployment;
use crate::facts::init::{INIT, SYSTEMD, named};

/// libostree's generator, and each program that takes its place.
const GENERATOR: &str = "usr/lib/systemd/system-generators/ostree-system-generator";

/// Whether the program that a script starts after the switch is the deployment's systemd, and a generator of it mounts `/var`. If
/// the deployment is an image, its directory has the same files. `argument` is the value of `init=`.
///
/// # Errors
/// As `openat2(2)`: it must be certain who mounts `/var`.
pub(crate) fn systemd_mounts_later(deployment: &Deployment, argument: Option<String>) -> Result<bool, SystemError> {
    let init = named(argument).unwrap_or_else(|| INIT.to_owned());
    let look = |path: &str| {
        let found = file(&deployment.directory, path);
        found.context("read the attributes of", format_args!("/{}/{}", deployment.path, path.trim_start_matches('/')))
    };
    let Some(init) = look(&init)? else { return Ok(false) };
    for systemd in SYSTEMD {
        if look(systemd)?.is_some_and(|systemd| (systemd.device, systemd.inode) == (init.device, init.inode)) {
            return Ok(look(GENERATOR)?.is_some());
        }
    }
    Ok(false)
}

/// The file at `path` inside the deployment, links followed. A loop of links leads to no file.
fn file(root: impl AsFd, path: &str) -> Result<Option<Stat>, Errno> {
    let opened = match dir::if_there(dir::open(root, path, OFlags::PATH)) {
        Ok(Some(opened)) => opened,
        Ok(None) | Err(Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = dir::stat_fd(&opened);
    dir::leave_open(opened);
    stat.map(|stat| Some(stat).filter(|stat| stat.kind == Kind::File))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// What is found out about a tree that `make` has filled.
    fn later(argument: Option<&str>, make: impl Fn(&dyn Fn(&str), &dyn Fn(&str, &str))) -> bool {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        make(&|path| fs::write(at(path), path).unwrap(), &|path, target| symlink(target, at(path)).unwrap());
        let path = format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64)).parse().unwrap();
        let deployment = Deployment { path, directory: dir::open_root(root.path()).unwrap(), image: None };
        systemd_mounts_later(&deployment, argument.map(str::to_owned)).unwrap()
    }

    fn of_debian(file: &dyn Fn(&str), link: &dyn Fn(&str, &str)) {
        file("usr/lib/systemd/systemd");
        file(GENERATOR);
        link("usr/sbin/init", "../lib/systemd/systemd");
        link("sbin", "usr/sbin");
        link("lib", "usr/lib");
        file("usr/bin/bash");
    }

    #[test]
    fn systemd_is_known_by_what_its_links_lead_to() {
        assert!(Path::new(INIT).is_absolute());
        assert!(later(None, of_debian));
        // An absolute link leads to a file of the deployment.
        assert!(later(None, |file, link| {
            file("lib/systemd/systemd");
            file(GENERATOR);
            link("sbin/init", "/lib/systemd/systemd");
        }));
        assert!(later(Some("/lib/systemd/systemd"), of_debian));
        assert!(later(Some("/ostree/boot.1/os/c/0/usr/lib/ostree/ostree-prepare-root"), of_debian));
    }

    #[test]
    fn every_other_init_mounts_nothing_later() {
        assert!(!later(None, |_, _| ()));
        assert!(!later(Some("/usr/bin/bash"), of_debian));
        assert!(!later(Some("/nothing"), of_debian));
        assert!(!later(None, |file, link| {
            file("usr/lib/systemd/systemd");
            file(GENERATOR);
            file("bin/busybox");
            link("sbin/init", "../bin/busybox");
        }));
        assert!(!later(None, |_, link| link("sbin/init", "init")));
        assert!(!later(None, |file, _| file("sbin")));
        // Without a generator nobody would mount /var.
        assert!(!later(None, |file, link| {
            file("usr/lib/systemd/systemd");
            link("sbin/init", "../usr/lib/systemd/systemd");
        }));
    }
}
