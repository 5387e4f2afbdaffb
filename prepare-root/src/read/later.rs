//! Whether the system that a script starts mounts `/var` and `/boot` itself.

use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind, Stat};
use system::{Context, SystemError};

use super::deployment::Deployment;
use crate::facts::init::{INIT, SYSTEMD, named};

/// Where systemd looks for generators, below `/`: the first directory that has one of that name decides (systemd.generator(7)).
const PLACES: [&str; 3] = ["etc", "usr/local/lib", "usr/lib"];
/// libostree's generator, and each program that takes its place.
const GENERATOR: &str = "systemd/system-generators/ostree-system-generator";

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
            let found = has_generator(&deployment.directory);
            return found.context("look for", format_args!("{GENERATOR} in /{}", deployment.path));
        }
    }
    Ok(false)
}

/// Whether systemd will run the generator: an empty file, or a link to `/dev/null`, masks those that come later.
fn has_generator(root: impl AsFd) -> Result<bool, Errno> {
    for place in PLACES {
        // Before its first boot a deployment may have no /etc.
        let place = if place == "etc" && !is_there(&root, place)? { "usr/etc" } else { place };
        let path = format!("{place}/{GENERATOR}");
        if leads_to_null(&root, &path)? {
            return Ok(false);
        }
        if let Some(found) = file(&root, &path)? {
            return Ok(found.size > 0);
        }
    }
    Ok(false)
}

fn is_there(root: impl AsFd, path: &str) -> Result<bool, Errno> {
    let found = dir::if_there(dir::open(root, path, OFlags::PATH | OFlags::NOFOLLOW))?;
    Ok(found.is_some())
}

/// By the text of the link: the deployment itself has an empty `/dev`.
fn leads_to_null(root: impl AsFd, path: &str) -> Result<bool, Errno> {
    let opened = match dir::if_there(dir::open(root, path, OFlags::PATH | OFlags::NOFOLLOW)) {
        Ok(Some(opened)) => opened,
        Ok(None) | Err(Errno::LOOP) => return Ok(false),
        Err(error) => return Err(error),
    };
    if dir::stat_fd(&opened)?.kind != Kind::Link {
        return Ok(false);
    }
    Ok(dir::read_link(&opened, "")?.trim_start_matches("../").trim_start_matches('/') == "dev/null")
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

    const IN_USR: &str = "usr/lib/systemd/system-generators/ostree-system-generator";
    const IN_ETC: &str = "etc/systemd/system-generators/ostree-system-generator";

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
        file(IN_USR);
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
            file(IN_USR);
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
            file(IN_USR);
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

    /// A tree with systemd, in which only `make` makes generators.
    fn with_systemd(make: impl Fn(&dyn Fn(&str), &dyn Fn(&str, &str))) -> bool {
        later(None, |file, link| {
            file("usr/lib/systemd/systemd");
            link("sbin/init", "../usr/lib/systemd/systemd");
            make(file, link);
        })
    }

    #[test]
    fn a_generator_counts_where_systemd_looks_for_it() {
        let ours = "/usr/lib/firstroot/ostree-system-generator";
        for place in [IN_ETC, &format!("usr/{IN_ETC}"), &IN_USR.replace("usr/lib", "usr/local/lib")] {
            let has_ours = with_systemd(|file, link| {
                file(ours.trim_start_matches('/'));
                link(place, ours);
            });
            assert!(has_ours, "{place}");
        }
        // What leads nowhere is passed over.
        assert!(!with_systemd(|_, link| link(IN_ETC, ours)));
        assert!(with_systemd(|file, link| {
            link(IN_ETC, ours);
            link("usr/local", "../var/usrlocal");
            file(IN_USR);
        }));
        // usr/etc is not the /etc of a deployment that has one.
        assert!(!with_systemd(|file, _| {
            file("etc/fstab");
            file(&format!("usr/{IN_ETC}"));
        }));
    }

    #[test]
    fn a_masked_generator_does_not_count() {
        for null in ["/dev/null", "../../../dev/null"] {
            assert!(!with_systemd(|file, link| {
                link(IN_ETC, null);
                file(IN_USR);
            }));
        }
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [(IN_USR, "text"), (IN_ETC, "")] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert!(!has_generator(dir::open_root(root.path()).unwrap()).unwrap());
    }
}
