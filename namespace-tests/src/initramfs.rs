//! An initramfs to run prepare-root in: a tmpfs that is the root of a mount namespace of its own.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::disk::Disk;
use crate::finalize::{Machine, Volume};
use crate::mount_table::mount_table;

/// Where the programs of the host are, for tests that run one inside.
const HOST: &str = "/host";

/// Another prepare-root to run: that of a guest's root filesystem, with the libraries that it needs.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The guest's root directory, seen from the host.
    pub rootfs: PathBuf,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit status; `None`: killed by a signal.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The whole report of a failed boot, if this run has written one.
    pub report: Option<String>,
}

/// Where the whole report of a failed boot is.
const REPORT: &str = "/run/ostree/boot-failure";

impl Outcome {
    /// Everything that was told: on the screen, in the whole report, and the last one once more as if it had no lines.
    pub fn told(&self) -> String {
        let whole = self.report.as_deref().unwrap_or(&self.stderr);
        let in_one_line = whole.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}\n{whole}\n{in_one_line}", self.stderr)
    }

    /// An error with all of it unless the exit status is 0.
    pub fn success(&self) -> Result<()> {
        ensure!(
            self.code == Some(0),
            "exit status {:?}, signal {:?}\n{}{}",
            self.code,
            self.signal,
            self.stdout,
            self.stderr
        );
        Ok(())
    }
}

/// The inside of the namespace, while it exists.
#[derive(Debug)]
pub struct Initramfs {
    /// What is mounted at `/sysroot`.
    pub disk: Disk,
}

/// Runs `story` on a thread of its own, in an initramfs with `binary` (and the peer's) in its place and a disk at `/sysroot`.
///
/// When it returns, the namespace and all that was mounted in it are gone.
pub fn inside<T: Send>(
    binary: &Path,
    peer: Option<&Peer>,
    story: impl FnOnce(&mut Initramfs) -> Result<T> + Send,
) -> Result<T> {
    let on_tmpfs =
        |sysroot: &Path| Ok(mount(Some("disk"), sysroot, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?);
    told(binary, peer, on_tmpfs, || Disk::new(Path::new("/sysroot")), story)
}

/// The same with the disk of a machine on which the guest's `ostree` has deployed.
pub fn inside_of<T: Send>(
    machine: &Machine,
    binary: &Path,
    peer: Option<&Peer>,
    story: impl FnOnce(&mut Initramfs) -> Result<T> + Send,
) -> Result<T> {
    let (Volume { image, options }, arguments) = (machine.root_volume(), machine.kernel_arguments()?);
    let mount_image = |sysroot: &Path| {
        let status = Command::new("mount").args(["-o", &options]).arg(&image).arg(sysroot).status()?;
        ensure!(status.success(), "mounting {}", image.display());
        Ok(())
    };
    told(binary, peer, mount_image, || Disk::deployed(Path::new("/sysroot"), &arguments), story)
}

fn told<T: Send>(
    binary: &Path,
    peer: Option<&Peer>,
    mount_disk: impl FnOnce(&Path) -> Result<()> + Send,
    disk: impl FnOnce() -> Result<Disk> + Send,
    story: impl FnOnce(&mut Initramfs) -> Result<T> + Send,
) -> Result<T> {
    // Made and removed out here: inside, the path leads elsewhere.
    let place = tempfile::tempdir()?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(place.path(), binary, peer, mount_disk)?;
            story(&mut Initramfs { disk: disk()? })
        });
        thread.join().map_err(|panic| anyhow!("{}", panic_text(&panic)))?
    })
}

fn panic_text(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

const NONE: Option<&str> = None;

fn enter(root: &Path, binary: &Path, peer: Option<&Peer>, mount_disk: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace of one's own needs root")?;
    // Some programs reboot after a failure.
    rustix::thread::remove_capability_from_bounding_set(rustix::thread::CapabilitySet::SYS_BOOT)
        .context("giving up the right to reboot this machine")?;
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NONE)?;
    mount(Some("initramfs"), root, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
    for directory in [
        "proc",
        "dev",
        "run",
        "sysroot",
        "etc/ostree",
        "usr/lib/ostree",
        "usr/lib/x86_64-linux-gnu",
        "lib64",
        "peer",
        "host",
    ] {
        std::fs::create_dir_all(root.join(directory))?;
    }
    std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    // Not a copy: a program that was just written is "busy" while another test's fork still holds it open.
    std::fs::write(root.join("usr/lib/ostree/ostree-prepare-root"), "")?;
    let installed = root.join("usr/lib/ostree/ostree-prepare-root");
    mount(Some(binary), &installed, NONE, MsFlags::MS_BIND, NONE).context("binding the binary")?;
    mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), NONE)?;
    // It is the machine's that runs the tests.
    std::fs::write(root.join("usr/panic"), "0\n")?;
    mount(Some(&root.join("usr/panic")), &root.join("proc/sys/kernel/panic"), NONE, MsFlags::MS_BIND, NONE)
        .context("replacing /proc/sys/kernel/panic")?;
    mount(Some("/dev"), &root.join("dev"), NONE, MsFlags::MS_BIND, NONE)?;
    mount(Some("run"), &root.join("run"), Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
    mount_disk(&root.join("sysroot")).context("mounting the disk")?;
    if let Some(Peer { rootfs }) = peer {
        // As dracut leaves it: libraries where the dynamic loader looks for them.
        for (from, to) in
            [("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"), ("usr/lib64", "lib64"), ("", "peer")]
        {
            mount(Some(&rootfs.join(from)), &root.join(to), NONE, MsFlags::MS_BIND, NONE)
                .with_context(|| format!("binding {from} of the peer"))?;
        }
    }
    nix::unistd::pivot_root(root, &root.join("host")).context("pivot_root")?;
    std::env::set_current_dir("/").context("entering the new root")
}

impl Initramfs {
    /// Runs our prepare-root.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Outcome> {
        outcome(Command::new("/usr/lib/ostree/ostree-prepare-root").args(arguments))
    }

    /// Runs ours on `/sysroot` with the argument that boots the disk's deployment.
    pub fn boot(&self) -> Result<Outcome> {
        self.run(["/sysroot", &self.disk.argument()])
    }

    /// Runs the peer's on `/sysroot`. ostree 2025.2 knows no second argument: see [`Initramfs::set_kernel_command_line`].
    pub fn boot_peer(&self) -> Result<Outcome> {
        outcome(Command::new("/peer/usr/lib/ostree/ostree-prepare-root").arg("/sysroot"))
    }

    /// Shows `text` in `/proc/cmdline`.
    pub fn set_kernel_command_line(&self, text: &str) -> Result<()> {
        self.write("/cmdline", text)?;
        mount(Some("/cmdline"), "/proc/cmdline", NONE, MsFlags::MS_BIND, NONE).context("replacing /proc/cmdline")
    }

    /// Takes away everything that a run has left, and mounts the same disk at `/sysroot` again, so that another run finds what
    /// the first one found. [`Initramfs::keep_disk`] has to be called before the first run.
    pub fn start_over(&self) -> Result<()> {
        std::fs::write("/usr/panic", "0\n")?;
        self.unmount("/sysroot")?;
        self.unmount("/run")?;
        mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
        mount(Some("/kept"), "/sysroot", NONE, MsFlags::MS_BIND, NONE).context("mounting the disk again")
    }

    /// Keeps the disk mounted elsewhere as well.
    pub fn keep_disk(&self) -> Result<()> {
        std::fs::create_dir_all("/kept")?;
        mount(Some("/sysroot"), "/kept", NONE, MsFlags::MS_BIND, NONE).context("keeping the disk")
    }

    /// Runs ours under the host's strace with these options, in which `inject=` can make any system call fail or kill.
    pub fn strace<S: AsRef<OsStr>>(&self, options: &[&str], arguments: impl IntoIterator<Item = S>) -> Result<Outcome> {
        let mut command = self.host_program("strace");
        command.args(["-f", "-qq"]).args(options).arg("/usr/lib/ostree/ostree-prepare-root").args(arguments);
        outcome(&mut command)
    }

    /// A program of the host that is linked dynamically, to run inside.
    pub fn host_program(&self, name: &str) -> Command {
        let libraries = format!("{HOST}/usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(format!("{libraries}/ld-linux-x86-64.so.2"));
        command.args(["--library-path", &libraries, &format!("{HOST}/usr/bin/{name}")]);
        command
    }

    /// Writes the configuration of the initramfs.
    pub fn configure(&self, text: impl AsRef<[u8]>) -> Result<()> {
        self.write("/etc/ostree/prepare-root.conf", text)
    }

    /// Writes a file of the initramfs.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        std::fs::create_dir_all(Path::new(path).parent().unwrap_or(Path::new("/")))?;
        std::fs::write(path, text).with_context(|| format!("writing {path}"))
    }

    /// Makes the disk read-only, as a kernel without `rw` does.
    pub fn make_disk_read_only(&self) -> Result<()> {
        Ok(mount(NONE, "/sysroot", NONE, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NONE)?)
    }

    /// Remounts `/run` with these options.
    pub fn remount_run(&self, flags: MsFlags, options: &str) -> Result<()> {
        Ok(mount(NONE, "/run", NONE, MsFlags::MS_REMOUNT | flags, Some(options))?)
    }

    /// Unmounts a path.
    pub fn unmount(&self, path: &str) -> Result<()> {
        umount2(path, MntFlags::MNT_DETACH).with_context(|| format!("unmounting {path}"))
    }

    /// The mounts at and below `/sysroot` and `/run`, in a form that can be compared.
    pub fn mounts(&self) -> Result<String> {
        Ok(format!("{}\n{}", mount_table(Path::new("/sysroot"))?, mount_table(Path::new("/run"))?))
    }

    /// The file of the deployment or initramfs, as text.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(path).with_context(|| format!("reading {path}"))
    }

    /// The deployment's first boot link (`ostree/boot.1/…`).
    pub fn bootlink(&self) -> &str {
        &self.disk.bootlink
    }
}

/// Runs a command to its end.
fn outcome(command: &mut Command) -> Result<Outcome> {
    // That of an earlier run.
    if Path::new(REPORT).exists() {
        std::fs::remove_file(REPORT)?;
    }
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    Ok(Outcome {
        report: std::fs::read_to_string(REPORT).ok(),
        code: output.status.code(),
        signal: output.status.signal(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
