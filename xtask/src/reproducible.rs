//! The same bytes, whoever builds: the programs built once more from vendored sources, in another folder, by another user.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::binary;
use crate::workspace::{self, cargo, run};

/// Nobody, with nothing in the environment; the toolchain is in another folder, too. Without a network, as distributions build.
const AS_ANOTHER_USER: &str = r#"
mount --bind "$1" toolchain
chown -R 65534:65534 source home
cd source
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -euc "$2"
"#;

/// What a packager does.
const BUILD: &str = r#"
exec env -i PATH="$TOOLCHAIN/bin:/usr/bin:/bin" HOME="$PWD/../home" CARGO_TARGET_DIR=../home/built \
    make --no-print-directory CARGOFLAGS="--frozen --quiet"
"#;

/// Builds them and compares.
pub(crate) fn check() -> Result<()> {
    let directory = tempfile::Builder::new().prefix("firstroot build.").tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    for name in ["source", "home", "toolchain"] {
        fs::create_dir(directory.path().join(name))?;
    }
    let source = directory.path().join("source");
    copy_source(&source)?;
    vendor(&source)?;
    let toolchain = binary::toolchain()?;
    if nix::unistd::geteuid().is_root() {
        run(Command::new("unshare")
            .args(["--mount", "--net", "sh", "-euc", AS_ANOTHER_USER, "sh"])
            .arg(&toolchain)
            .arg(BUILD)
            .current_dir(directory.path())
            .env("TOOLCHAIN", directory.path().join("toolchain")))?;
    } else {
        println!("skipped: a build by another user (needs root); building as this user in another folder");
        run(Command::new("sh").args(["-euc", BUILD]).current_dir(&source).env("TOOLCHAIN", &toolchain))?;
    }
    for program in binary::PROGRAMS {
        let here = binary::build(program)?;
        let triple = here.parent().and_then(Path::file_name).context("where the programs are")?;
        let there = directory.path().join("home/built").join(triple).join(program.name);
        require_same(&here, &there)?;
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
}
