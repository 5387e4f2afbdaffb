//! The packages for Debian and for Fedora, built as a distribution builds: from vendored sources, without a network, by another user.
//!
//! The programs in them must be those that are built here, bit for bit.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::binary;
use crate::workspace::{self, cargo, run};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `debian/`.
    Deb,
    /// `packaging/firstroot.spec`.
    Rpm,
}

impl std::str::FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Format> {
        match name {
            "deb" => Ok(Format::Deb),
            "rpm" => Ok(Format::Rpm),
            other => bail!("there is no package format {other:?}: deb, rpm"),
        }
    }
}

/// Nobody, with nothing in the environment; the toolchain is in another folder, too. Without a network, as distributions build.
const AS_ANOTHER_USER: &str = r#"
mount --bind "$1" toolchain
chown -R 65534:65534 home
cd home/source
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -euc "$2"
"#;

/// Both builds share what cargo builds. Tests have been run elsewhere. Build dependencies are packages of a distribution, and the
/// toolchain here is none.
const BUILD: &str = r#"
home=$(cd .. && pwd)
build() {
    env -i PATH="$TOOLCHAIN/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$home" LC_ALL=C.UTF-8 CARGO_HOME="$home/cargo" \
        CARGO_TARGET_DIR="$home/what is built" DEB_BUILD_OPTIONS=nocheck SOURCE_DATE_EPOCH=1795845600 "$@" >"$home/log" 2>&1 \
        || { cat "$home/log"; exit 1; }
}
for format in $FORMATS; do
    case $format in
        deb) build dpkg-buildpackage --build=binary --no-sign --no-check-builddeps ;;
        rpm) build rpmbuild -bb --build-in-place --nodeps --define "_topdir $home/rpm" packaging/firstroot.spec ;;
    esac
done
mkdir "$home/packages"
for package in "$home"/*.deb "$home"/rpm/RPMS/*/*.rpm; do
    if [ -e "$package" ]; then mv "$package" "$home/packages/"; fi
done
"#;

/// Where the packages are.
pub(crate) fn directory() -> PathBuf {
    workspace::root().join("target/package")
}

/// Builds both formats, or the one that is wanted, and compares the programs.
pub(crate) fn package(only: Option<Format>) -> Result<()> {
    qemu_tests::host::ensure_installed()?;
    let directory = tempfile::Builder::new().prefix("firstroot-build.").tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    for name in ["home", "home/source", "toolchain"] {
        fs::create_dir(directory.path().join(name))?;
    }
    let home = directory.path().join("home");
    let source = home.join("source");
    copy_source(&source)?;
    vendor(&source)?;
    let toolchain = binary::toolchain()?;
    let mut compared = 0;
    let formats = match only {
        None => "deb rpm",
        Some(Format::Deb) => "deb",
        Some(Format::Rpm) => "rpm",
    };
    if nix::unistd::geteuid().is_root() {
        run(Command::new("unshare")
            .args(["--mount", "--net", "sh", "-euc", AS_ANOTHER_USER, "sh"])
            .arg(&toolchain)
            .arg(BUILD)
            .current_dir(directory.path())
            .env("FORMATS", formats)
            .env("TOOLCHAIN", directory.path().join("toolchain")))?;
    } else {
        println!("skipped: a build by another user (needs root); building as this user in another folder");
        run(Command::new("sh")
            .args(["-euc", BUILD])
            .current_dir(&source)
            .env("FORMATS", formats)
            .env("TOOLCHAIN", &toolchain))?;
    }
    let unpacked = directory.path().join("unpacked");
    for entry in fs::read_dir(home.join("packages"))? {
        unpack(&entry?.path(), &unpacked)?;
        for program in binary::PROGRAMS {
            let here = binary::build(program)?;
            for place in ["usr/lib/firstroot", "usr/bin"] {
                let there = unpacked.join(place).join(program.name);
                if there.exists() {
                    require_same(&here, &there)?;
                    fs::remove_file(&there)?;
                    compared += 1;
                }
            }
        }
    }
    // Each program in a package of each format that was built.
    let expected = binary::PROGRAMS.len() * formats.split(' ').count();
    ensure!(compared == expected, "{compared} programs are in the packages, not {expected}");
    keep(&home.join("packages"))?;
    lint()
}

/// Debian's checks of what it packages. Errors that are meant are overridden by name, in the package.
fn lint() -> Result<()> {
    let debs = fs::read_dir(directory())?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let debs: Vec<_> = debs.iter().filter(|path| path.extension().is_some_and(|end| end == "deb")).collect();
    if debs.is_empty() {
        return Ok(());
    }
    run(Command::new("lintian").args(["--allow-root", "--fail-on", "error"]).args(debs))
}

/// Adds the files of a package to a directory.
fn unpack(package: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let is_deb = package.extension().is_some_and(|end| end == "deb");
    let script = if is_deb {
        r#"dpkg-deb --extract "$1" "$2""#
    } else {
        r#"rpm2cpio "$1" | (cd "$2" && cpio --extract --make-directories --unconditional --quiet)"#
    };
    run(Command::new("sh").args(["-euc", script, "sh"]).arg(package).arg(to))
}

/// Copies the packages to where they are looked for.
fn keep(built: &Path) -> Result<()> {
    let to = directory();
    if to.exists() {
        fs::remove_dir_all(&to).with_context(|| format!("removing {}", to.display()))?;
    }
    fs::create_dir_all(&to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(built).with_context(|| format!("listing {}", built.display()))? {
        let entry = entry?;
        let path = to.join(entry.file_name());
        fs::copy(entry.path(), &path).with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn require_same(here: &Path, there: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    if read(here)? == read(there)? {
        return Ok(());
    }
    let kept = here.with_extension("other");
    fs::copy(there, &kept).with_context(|| format!("keeping {}", kept.display()))?;
    bail!("{} differs when it is built elsewhere: compare with {}", here.display(), kept.display())
}

/// Everything but what was built, and history.
fn copy_source(to: &Path) -> Result<()> {
    let entries = fs::read_dir(workspace::root())?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let wanted = entries.iter().filter(|path| !["target", ".git"].iter().any(|name| path.ends_with(name)));
    run(Command::new("cp").arg("--archive").arg("--target-directory").arg(to).args(wanted))
}

/// All that `Cargo.lock` names, beside the source.
fn vendor(source: &Path) -> Result<()> {
    // Not --quiet: that leaves out the configuration, too.
    let output = cargo().args(["vendor", "--locked", "--versioned-dirs", "vendor"]).current_dir(source).output()?;
    ensure!(output.status.success(), "cargo vendor: {}", String::from_utf8_lossy(&output.stderr));
    let config = source.join(".cargo/config.toml");
    let mut file =
        fs::OpenOptions::new().create(true).append(true).open(&config).context("the copy's configuration")?;
    Ok(file.write_all(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_enough_and_the_other_program_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let [here, there] = ["program", "elsewhere"].map(|name| directory.path().join(name));
        fs::write(&here, "same").unwrap();
        fs::write(&there, "same").unwrap();
        require_same(&here, &there).unwrap();
        fs::write(&there, "sane").unwrap();
        require_same(&here, &there).unwrap_err();
        assert_eq!(fs::read(directory.path().join("program.other")).unwrap(), b"sane");
        fs::remove_file(&there).unwrap();
        require_same(&here, &there).unwrap_err();
    }

    /// Licence and name of each linked crate that is not one of ours.
    fn linked() -> Vec<(String, String)> {
        let make = Command::new("make").args(["--silent", "licences"]).current_dir(workspace::root()).output().unwrap();
        assert!(make.status.success(), "{}", String::from_utf8_lossy(&make.stderr));
        let ours: Vec<String> = fs::read_dir(workspace::root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        let text = String::from_utf8(make.stdout).unwrap();
        let crates = text.lines().map(|line| {
            let (licence, name) = line.split_once(": ").unwrap();
            (licence.to_owned(), name.split(' ').next().unwrap().to_owned())
        });
        crates.filter(|(_, name)| !ours.contains(name)).collect()
    }

    #[test]
    fn the_licences_of_all_linked_crates_are_named() {
        let read = |path: &str| fs::read_to_string(workspace::root().join(path)).unwrap();
        let (copyright, spec) = (read("debian/copyright"), read("packaging/firstroot.spec"));
        let tag = spec.lines().find_map(|line| line.strip_prefix("License:")).unwrap();
        let linked = linked();
        assert!(linked.len() > 20, "{linked:?}");
        for (licence, name) in linked {
            assert!(copyright.contains(&format!(" vendor/{name}-*\n")), "debian/copyright does not name {name}");
            // `A OR B` may be written as `B OR A`, and in old crates as `A/B`.
            for word in licence.replace('/', " OR ").split([' ', '(', ')']).filter(|word| !word.is_empty()) {
                assert!(tag.contains(word), "the spec's License does not have {licence}, of {name}");
            }
        }
    }
}
