//! The scripts that generators of initramfs run, without those generators.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use namespace_tests::Initramfs;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const MKINITCPIO: &str = include_str!("../../../mkinitcpio/hooks/firstroot");
const INITRAMFS_TOOLS: &str = include_str!("../../../initramfs-tools/scripts/prepare-root");

/// Puts what is read of the tree `directory` into an image that is the same directory, without a program that could check it.
fn configure(directory: &Path) -> Result<()> {
    let mut script = Command::new(Path::new(REPOSITORY).join("packaging/initramfs-configuration"));
    let output = script.args([directory, &directory.join("image")]).output().context("running the script")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let ending =
        "ostree: cannot run ostree-prepare-root here (other architecture?): the configuration is not checked\n";
    ensure!(output.status.success() && told.ends_with(ending), "{output:?}");
    Ok(())
}

/// As GLib reads them: groups of one name are one group, and the last of two values counts.
pub(crate) fn a_group_may_be_repeated() -> Result<()> {
    const DEFAULT: &str = "etc/ostree/initramfs-root-binding.key";
    let directory = tempfile::tempdir()?;
    let (tree, image) = (directory.path(), directory.path().join("image"));
    std::fs::create_dir_all(tree.join("etc/ostree"))?;
    std::fs::create_dir_all(tree.join("usr/lib"))?;
    std::fs::write(tree.join("usr/lib/libostree-1.so.1"), "boot.mount")?;
    for key in ["key", "old", "other", DEFAULT] {
        std::fs::write(tree.join(key), key)?;
    }
    let drop_in = image.join("usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf");
    for (conf, key, says_mount) in [
        ("[composefs]\nenabled=signed\n[composefs]\nkeypath=/key\n", "key", false),
        ("[composefs]\nkeypath=/old\n[boot]\nkeypath=/other\n  [composefs] \r\n keypath = /key \r\n", "key", false),
        ("[boot]\nrecover=no\n[boot]\nmount=no\n[composefs]\n#keypath=/key\n", DEFAULT, true),
        ("[sysroot]\nmount=no\n[boot.x]\nmount=no\n[boot]\n[sysroot]\nkeypath=/key\nmount=no\n", DEFAULT, false),
        ("[boot]\n[boot]\n[boot]\n\tmount\t= yes\n", DEFAULT, true),
    ] {
        std::fs::write(tree.join("etc/ostree/prepare-root.conf"), conf)?;
        configure(tree)?;
        assert_eq!(std::fs::read_to_string(image.join("etc/ostree/prepare-root.conf"))?, conf);
        for path in ["key", "old", "other", DEFAULT] {
            assert_eq!(image.join(path).exists(), path == key, "{path}: {conf}");
        }
        assert_eq!(drop_in.exists(), !says_mount, "{conf}");
        std::fs::remove_dir_all(&image)?;
    }
    Ok(())
}

/// Runs `script` with busybox' shell, as an init of the initramfs does; what it says.
fn by_busybox(script: &str) -> Result<String> {
    std::fs::create_dir_all("/bin")?;
    let mut busybox = Command::new("/host/bin/busybox");
    busybox.args(["sh", "-euc", "/host/bin/busybox --install -s /bin; eval \"$0\"", script]).env("PATH", "/bin");
    let output = busybox.stdin(Stdio::null()).output().context("running busybox")?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}");
    Ok(told)
}

/// What a person does at the prompts that come: nothing at the first one, and then what makes the boot possible.
fn at_the_prompt(function: &str, repair: &str) -> String {
    format!(
        "prompts=0; {function}() {{ prompts=$((prompts + 1)); echo prompt: \"$@\"; [ $prompts = 1 ] || {{ {repair}; }}; }}\n"
    )
}

/// Both scripts, as their init calls them, after `prompt` has been defined.
fn scripts(initramfs: &Initramfs) -> Result<[(&'static str, &'static str, String); 2]> {
    std::os::unix::fs::symlink("/sysroot", "/new_root").context("linking /new_root")?;
    initramfs.write("/scripts/firstroot", INITRAMFS_TOOLS)?;
    let sourced = "eval \"$prompt\"\n";
    initramfs.write("/scripts/functions", sourced)?;
    Ok([
        ("mkinitcpio", "launch_interactive_shell", format!("eval \"$prompt\"\n{MKINITCPIO}\nrun_latehook")),
        ("initramfs-tools", "panic", "export rootmnt=/sysroot prompt; sh /scripts/firstroot".to_owned()),
    ])
}

/// A failure does not go on into the physical root.
pub(crate) fn a_script_asks_until_it_boots(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let disk = &initramfs.disk;
    let link = format!("/sysroot{}", disk.bootlink);
    let (target, gone) = (std::fs::read_link(&link)?, format!("ostree={}", disk.bootlink));
    initramfs.configure("[boot]\nrecover=no\n")?;
    initramfs.set_kernel_command_line(&format!("root=LABEL=x rw {gone}\n"))?;
    for (name, function, script) in scripts(initramfs)? {
        std::fs::remove_file(&link)?;
        let prompt = at_the_prompt(function, &format!("ln -s {} {link}", target.display()));
        let told = by_busybox(&format!("prompt='{prompt}'\n{script}"))?;
        ensure!(told.matches("cannot boot: there is no boot link").count() == 2, "{name}: {told}");
        ensure!(told.contains("failed: its report is above. The root filesystem is at /"), "{name}: {told}");
        ensure!(told.contains("To try again: exit") && told.matches("prompt:").count() == 2, "{name}: {told}");
        ensure!(Path::new("/sysroot/usr/marker").exists(), "{name}: the deployment is not the root: {told}");
        initramfs.start_over()?;
    }
    Ok(())
}

/// Somebody has booted another deployment at the prompt: the script does not prepare the one that cannot be booted.
pub(crate) fn a_script_goes_on_with_what_was_booted_by_hand(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let good = initramfs.disk.argument();
    initramfs.set_kernel_command_line("root=LABEL=x rw ostree=/ostree/boot.1/os/gone/0\n")?;
    for (name, function, script) in scripts(initramfs)? {
        let prompt = at_the_prompt(function, &format!("/usr/lib/ostree/ostree-prepare-root /sysroot {good}"));
        let told = by_busybox(&format!("prompt='{prompt}'\n{script}"))?;
        ensure!(told.matches("prompt:").count() == 2, "{name}: {told}");
        ensure!(Path::new("/sysroot/usr/marker").exists(), "{name}: the deployment is not the root: {told}");
        initramfs.start_over()?;
    }
    Ok(())
}

pub(crate) fn a_script_leaves_other_systems_alone(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.set_kernel_command_line("root=LABEL=x rw notostree=/x rd.ostree=1 quiet\n")?;
    let before = initramfs.mounts()?;
    for (name, function, script) in scripts(initramfs)? {
        let told = by_busybox(&format!("prompt='{}'\n{script}", at_the_prompt(function, "exit 1")))?;
        ensure!(told.is_empty() && initramfs.mounts()? == before, "{name}: {told}");
    }
    Ok(())
}
