//! What the dracut module reads from key files, without dracut.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dracut-module/49ostree/module-setup.sh");

/// What `script` prints with the module's functions, where tree and image are this directory.
fn printed(directory: &Path, script: &str) -> Result<String> {
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!(". {MODULE}; {script}")]);
    let output = bash.env("initdir", directory).env("dracutsysrootdir", directory).output().context("running bash")?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// As GLib reads them: groups of one name are one group, and the last of two values counts.
pub(crate) fn a_group_may_be_repeated() -> Result<()> {
    const DEFAULT: &str = "/etc/ostree/initramfs-root-binding.key";
    let directory = tempfile::tempdir()?;
    let ostree = directory.path().join("etc/ostree");
    std::fs::create_dir_all(&ostree)?;
    std::fs::create_dir_all(directory.path().join("usr/lib"))?;
    std::fs::write(directory.path().join("usr/lib/libostree-1.so.1"), "boot.mount")?;
    let drop_in = directory.path().join("usr/lib/ostree/prepare-root.conf.d/10-dracut.conf");
    for (conf, key, says_mount) in [
        ("[composefs]\nenabled=signed\n[composefs]\nkeypath=/key\n", "/key", false),
        ("[composefs]\nkeypath=/old\n[boot]\nkeypath=/other\n  [composefs] \r\n keypath = /key \r\n", "/key", false),
        ("[boot]\nrecover=no\n[boot]\nmount=no\n[composefs]\n#keypath=/key\n", DEFAULT, true),
        ("[sysroot]\nmount=no\n[boot.x]\nmount=no\n[boot]\n[sysroot]\nkeypath=/key\nmount=no\n", DEFAULT, false),
        ("[boot]\n[boot]\n[boot]\n\tmount\t= yes\n", DEFAULT, true),
    ] {
        std::fs::write(ostree.join("prepare-root.conf"), conf)?;
        assert_eq!(printed(directory.path(), "_ostree_key_file")?, format!("{key}\n"), "{conf}");
        printed(directory.path(), "_ostree_write_boot_mount")?;
        assert_eq!(drop_in.exists(), !says_mount, "{conf}");
        if drop_in.exists() {
            std::fs::remove_file(&drop_in)?;
        }
    }
    Ok(())
}
