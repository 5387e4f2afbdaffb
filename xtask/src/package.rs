//! The packages for Debian and for Fedora, built as a distribution builds: from vendored sources, without a network, by another user.
//!
//! The programs in them are those that are built here, bit for bit. Who has not built them here can take them out of the packages.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::binary::{self, Program};
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

/// All builds share what cargo builds. Tests have been run elsewhere. Build dependencies are packages of a distribution, and the
/// toolchain here is none.
const BUILD: &str = r#"
home=$(cd .. && pwd)
builds=$home/what\ is\ built
alone() {
    env -i PATH="$TOOLCHAIN/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$home" LC_ALL=C.UTF-8 CARGO_HOME="$home/cargo" \
        CARGO_TARGET_DIR="$builds" DEB_BUILD_OPTIONS=nocheck SOURCE_DATE_EPOCH=1795845600 "$@"
}
build() { alone "$@" >"$home/log" 2>&1 || { cat "$home/log"; exit 1; }; }
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

/// Behind it: what tests run and nobody ships. Nearly all crates of these programs are compiled already.
const BUILD_FOR_TESTS: &str = r#"
for_tests=$home/for-tests
mkdir "$for_tests" "$for_tests/sabotaged"
build make CARGOFLAGS=--frozen PROGRAMS=ostree-finalize-staged FEATURES=finalize-staged/sabotage
mv "$builds/$TARGET/ostree-finalize-staged" "$for_tests/sabotaged/"
flags=$(alone make --silent flags CARGOFLAGS=--frozen | tr '\n' '\037')
esp_power_cuts() {
    build env CARGO_ENCODED_RUSTFLAGS="${flags%?}" cargo build --release --frozen --target "$TARGET" --package esp-power-cuts "$@"
}
esp_power_cuts
mv "$builds/$TARGET/release/esp-power-cuts" "$for_tests/"
esp_power_cuts --features sabotage
mv "$builds/$TARGET/release/esp-power-cuts" "$for_tests/sabotaged/"
"#;

/// Where the packages are.
pub(crate) fn directory() -> PathBuf {
    workspace::root().join("target/package")
}

/// Builds both formats, or the one that is wanted. Their programs must be those that are built here.
pub(crate) fn package(only: Option<Format>) -> Result<()> {
    let built = Built::new(only, BUILD)?;
    built.each_program(|program, there| require_same(&binary::build(program)?, there))?;
    built.keep()
}

/// Builds both formats, and beside them what tests run and nobody ships, and puts the programs where [`binary::taken`] finds them:
/// nothing is compiled twice.
pub(crate) fn package_and_take_programs() -> Result<()> {
    let built = Built::new(None, &format!("{BUILD}{BUILD_FOR_TESTS}"))?;
    let to = binary::directory_of_taken()?;
    if to.exists() {
        fs::remove_dir_all(&to).with_context(|| format!("removing {}", to.display()))?;
    }
    fs::create_dir_all(&to).with_context(|| format!("making {}", to.display()))?;
    built.each_program(|program, there| {
        names_no_folder(there, built.directory.path())?;
        let here = to.join(program.name);
        // Each format has it, and packaging may not change it.
        if here.exists() {
            return require_same(&here, there);
        }
        fs::copy(there, &here).with_context(|| format!("writing {}", here.display())).map(drop)
    })?;
    let for_tests = built.directory.path().join("home/for-tests");
    run(Command::new("cp").args(["--recursive", "--no-target-directory"]).arg(&for_tests).arg(&to))?;
    built.keep()
}

/// Packages that are built, in a directory that is gone afterwards.
struct Built {
    directory: tempfile::TempDir,
    formats: usize,
}

impl Built {
    fn new(only: Option<Format>, build: &str) -> Result<Built> {
        qemu_tests::host::ensure_installed()?;
        let directory = tempfile::Builder::new().prefix("firstroot-build.").tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        for name in ["home", "home/source", "toolchain"] {
            fs::create_dir(directory.path().join(name))?;
        }
        let source = directory.path().join("home/source");
        copy_source(&source)?;
        vendor(&source)?;
        let toolchain = binary::toolchain()?;
        let formats = match only {
            None => "deb rpm",
            Some(Format::Deb) => "deb",
            Some(Format::Rpm) => "rpm",
        };
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--net", "sh", "-euc", AS_ANOTHER_USER, "sh"]).arg(&toolchain).arg(build);
            command.current_dir(directory.path()).env("TOOLCHAIN", directory.path().join("toolchain"));
            command
        } else {
            println!("skipped: a build by another user (needs root); building as this user in another folder");
            let mut command = Command::new("sh");
            command.args(["-euc", build]).current_dir(&source).env("TOOLCHAIN", &toolchain);
            command
        };
        run(command.env("FORMATS", formats).env("TARGET", binary::host_triple()?))?;
        Ok(Built { directory, formats: formats.split(' ').count() })
    }

    fn packages(&self) -> PathBuf {
        self.directory.path().join("home/packages")
    }

    /// Each program in a package of each format.
    fn each_program(&self, mut work: impl FnMut(Program, &Path) -> Result<()>) -> Result<()> {
        let unpacked = self.directory.path().join("unpacked");
        let mut found = 0;
        for entry in fs::read_dir(self.packages())? {
            unpack(&entry?.path(), &unpacked)?;
            for program in binary::PROGRAMS {
                for place in ["usr/lib/firstroot", "usr/bin"] {
                    let there = unpacked.join(place).join(program.name);
                    if there.exists() {
                        work(program, &there)?;
                        fs::remove_file(&there)?;
                        found += 1;
                    }
                }
            }
        }
        let expected = binary::PROGRAMS.len() * self.formats;
        ensure!(found == expected, "{found} programs are in the packages, not {expected}");
        Ok(())
    }

    fn keep(&self) -> Result<()> {
        keep(&self.packages())?;
        lint()
    }
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

/// Fails if the program names the folder in which it was built: it would be another one elsewhere. That all else is the same, only a second
/// build can tell.
fn names_no_folder(program: &Path, folder: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| program.display().to_string())?;
    let name = folder.file_name().context("a folder without a name")?.as_encoded_bytes();
    let found = bytes.windows(name.len()).any(|window| window == name);
    ensure!(!found, "{} names the folder in which it was built, {}", program.display(), folder.display());
    Ok(())
}

fn require_same(here: &Path, there: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    if read(here)? == read(there)? {
        return Ok(());
    }
    let kept = here.with_extension("other");
    fs::copy(there, &kept).with_context(|| format!("keeping {}", kept.display()))?;
    bail!("{} is another one in a package: compare with {}", here.display(), kept.display())
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

    #[test]
    fn a_program_that_names_its_folder_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::write(&program, "panicked at /rustc/library/core and /firstroot/main.rs").unwrap();
        names_no_folder(&program, Path::new("/tmp/firstroot-build.Xy")).unwrap();
        fs::write(&program, "panicked at /tmp/firstroot-build.Xy/home/source/main.rs").unwrap();
        names_no_folder(&program, Path::new("/tmp/firstroot-build.Xy")).unwrap_err();
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
