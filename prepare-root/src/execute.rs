//! Does what a plan says, and decides nothing.
//!
//! Everything is prepared as detached mounts and attached to a new root beside the physical root; if a step fails, the
//! new root is taken away again and the physical root is where it was.

mod init;
pub(crate) mod undo;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ostree_formats::booted_state::BootedState;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::image::{self, Layers, UpperLayer};
use system::journal::Journal;
use system::mount::{self, Detached};
use system::{Context, SystemError, dir};

use crate::composefs::{AtBootMenu, IMAGE};
use crate::facts::Situation;
use crate::failure::Cause;
use crate::lookup::Deployment;
use crate::physical_root::PhysicalRoot;
use crate::plan::MountPlan;
use crate::step::{Access, Place, Step};

use undo::Done;

/// On the physical root: the content of an image's files.
const OBJECTS: &str = "ostree/repo/objects";

/// The journal's id for "this deployment was chosen", libostree's as well.
const DEPLOYMENT_CHOSEN: &str = "7170336a73ba4601bad31af888aa0df7";

/// systemd's own limits for a tmpfs on /run (systemd.exec and mount-setup): what PID 1 would mount otherwise.
const RUN_OPTIONS: [(&str, &str); 3] = [("mode", "0755"), ("size", "20%"), ("nr_inodes", "800k")];

/// Executes all steps. As PID 1 it returns only to fail.
///
/// # Errors
/// What could not be done; the mounts are then as they were before, except as PID 1, where nothing comes after it.
pub(crate) fn execute(
    plan: &MountPlan,
    physical: &PhysicalRoot,
    deployment: &Deployment,
    init_arguments: &[OsString],
) -> Result<(), Cause> {
    // The modes of what is made are those of the plan, whatever whoever started this has set.
    let umask = rustix::process::umask(Mode::empty());
    // PID 1 may find no /run: its first step makes one, and this stands in until then.
    let run = if plan.situation == Situation::Pid1 { "/" } else { "/run" };
    let run = dir::open_root(Path::new(run)).context("open", run)?;
    let mut executor = Executor {
        physical,
        physical_at: physical.at.clone(),
        new_root_at: PathBuf::new(),
        deployment,
        run,
        run_at: PathBuf::from("/run"),
        umask,
        journal: None,
        new_run: None,
        new_root: None,
        sysroot: None,
        transient_etc: None,
        init_arguments,
        at_boot_menu: plan.at_boot_menu,
        done: Done::default(),
    };
    for step in &plan.steps {
        executor.step(step)?;
    }
    // Nothing is to be undone.
    std::mem::forget(executor);
    Ok(())
}

struct Executor<'a> {
    physical: &'a PhysicalRoot,
    /// Where the physical root is now: PID 1 moves it.
    physical_at: PathBuf,
    /// Where the new root is.
    new_root_at: PathBuf,
    deployment: &'a Deployment,
    /// `/run`, or what will become it.
    run: OwnedFd,
    /// The path by which the kernel finds that now.
    run_at: PathBuf,
    /// For init.
    umask: Mode,
    journal: Option<Journal>,
    new_run: Option<Detached>,
    new_root: Option<Detached>,
    /// The copy of the physical root's mount that is in the new root.
    sysroot: Option<Detached>,
    /// Name below `/run/ostree`.
    transient_etc: Option<String>,
    /// Arguments for init.
    init_arguments: &'a [OsString],
    /// For the report.
    at_boot_menu: AtBootMenu,
    /// What would have to be undone; empty once all went well.
    done: Done,
}

impl Drop for Executor<'_> {
    fn drop(&mut self) {
        self.done.undo(&self.run, &self.physical.at);
    }
}

impl Executor<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Cause> {
        match step {
            Step::Announce { path, device, inode } => self.announce(path, *device, *inode),
            Step::NewRun => self.new_run()?,
            Step::Directory { path, mode } => {
                dir::make(&self.run, path.trim_start_matches("/run/"), *mode).context("make the directory", path)?;
            }
            Step::TransientEtcDirectory => self.transient_etc_directory()?,
            Step::MakePrivate => mount::make_all_private().context("make private", "/ and what is mounted below it")?,
            Step::NewRoot { deployment, at } => self.new_root(deployment, at)?,
            Step::ImageRoot { image: _, at, lower, by_path, transient, verity, access } => {
                let root = self.image_root(lower, by_path.as_deref(), *transient, *verity, *access);
                let root = root.map_err(|error| Cause::Image {
                    deployment: self.deployment.path.clone(),
                    error: Box::new(error),
                    at_boot_menu: self.at_boot_menu,
                })?;
                self.put_new_root(root, at).context("mount the root on", at)?;
                self.done.lower = None;
            }
            Step::LendRun { at } => {
                if let Some(run) = &self.new_run {
                    mount::attach_at(run, CWD, at).context("mount a tmpfs on", at)?;
                    self.run_at = PathBuf::from(at);
                }
            }
            Step::Dev { mounted } => self.dev(*mounted)?,
            Step::AttachRun => {
                if let Some(run) = self.new_run.take() {
                    self.attach(run, "run").context("mount a tmpfs on", "/run")?;
                }
            }
            Step::PivotRoot => self.pivot_root()?,
            Step::Bind { source, target, access, slave_and_shared } => {
                let from = self.path_of(source);
                let mount = self.clone(source).context("bind", &from)?;
                mount::set_access(&mount, to_access(*access)).context("set the access of", &from)?;
                if *slave_and_shared {
                    mount::set_slave_and_shared(&mount).context("make slave and shared", &from)?;
                }
                self.attach(&mount, target).context("mount", format_args!("{from} on /{target}"))?;
                if target == "sysroot" {
                    self.sysroot = Some(mount);
                } else {
                    mount.leave_attached();
                }
            }
            Step::Overlay { target, lower, upper, access } => {
                let mut options = vec![("lowerdir", self.lower_layers(lower))];
                if let Some(layers) = upper {
                    options.push(("upperdir", self.path_of(&layers.upper)));
                    options.push(("workdir", self.path_of(&layers.work)));
                }
                // On /usr it is a hotfix: that is what makes it differ from the tree.
                self.overlay(target, &options, *access).map_err(|error| match target.as_str() {
                    "usr" => Cause::Hotfix { deployment: self.deployment.path.clone(), error: Box::new(error) },
                    _ => Cause::System(error),
                })?;
            }
            Step::SysrootReadOnly => {
                mount::set_access(self.physical, mount::Access::ReadOnly).context("make read-only", "/sysroot")?;
            }
            Step::VolatileRoot { device } => {
                volatile_root(&self.run, *device)?;
                self.done.volatile_root = true;
            }
            Step::RequireInit { named, others, required, sealed } => {
                self.require_init(named.as_deref(), others, *required, *sealed)?;
            }
            Step::BootedState(state) => self.booted_state(state)?,
            Step::RecoveryRecord { text } => {
                let ostree = dir::open_directory(&self.run, "ostree").context("open", "/run/ostree")?;
                dir::replace_volatile_file(ostree, "recovered-boot", text.as_bytes(), 0o644)
                    .context("write", "/run/ostree/recovered-boot")?;
            }
            Step::MoveIntoPlace { sysroot, writable } => self.move_into_place(Path::new(sysroot), *writable)?,
            Step::Exec { init } => {
                rustix::process::umask(self.umask);
                return Err(Cause::Exec { init, reason: system::exec::exec(init, self.init_arguments) });
            }
        }
        Ok(())
    }

    fn announce(&mut self, path: &str, device: u64, inode: u64) {
        self.journal = Journal::open();
        if let Some(journal) = &self.journal {
            journal.send(&announcement(path, device, inode));
        }
    }

    fn new_run(&mut self) -> Result<(), SystemError> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
        let tmpfs = mount::new_filesystem("tmpfs", "tmpfs", &RUN_OPTIONS, attributes)?;
        self.run = dir::open_directory(&tmpfs, ".").context("open", "a new tmpfs for /run")?;
        self.new_run = Some(tmpfs);
        Ok(())
    }

    fn transient_etc_directory(&mut self) -> Result<(), SystemError> {
        let object = "a directory for the transient /etc in /run/ostree";
        let ostree = dir::open_directory(&self.run, "ostree").context("open", "/run/ostree")?;
        let name = dir::make_unique(&ostree, "transient-etc.", 0o700).context("make", object)?;
        self.done.transient_etc = Some(name.clone());
        let directory = dir::open_directory(&ostree, &name).context("open", object)?;
        for layer in ["upper", "work"] {
            dir::make(&directory, layer, 0o755).context("make", object)?;
        }
        self.transient_etc = Some(name);
        Ok(())
    }

    fn new_root(&mut self, deployment: &str, at: &str) -> Result<(), SystemError> {
        let root = mount::clone(&self.deployment.directory).context("bind", format_args!("/{deployment}"))?;
        self.put_new_root(root, at).context("mount the deployment on", at)
    }

    fn put_new_root(&mut self, root: Detached, at: &str) -> Result<(), Errno> {
        mount::attach_at(&root, CWD, at)?;
        self.done.new_root = Some(at.to_owned());
        self.new_root_at = PathBuf::from(at);
        self.new_root = Some(root);
        Ok(())
    }

    fn image_root(
        &mut self,
        lower: &str,
        by_path: Option<&str>,
        transient: Option<&str>,
        verity: bool,
        access: Access,
    ) -> Result<Detached, SystemError> {
        let image = self.deployment.image.as_ref().ok_or(Errno::BADF).context("open", IMAGE)?;
        // The kernel takes a path, and would follow links in it out of the physical root.
        let objects =
            dir::open_directory(self.physical, OBJECTS).and_then(|objects| self.physical.path_inside(objects));
        let objects = self.path_of(&Place::Physical(objects.context("look up", format_args!("/{OBJECTS}"))?));
        let transient = transient.and_then(|directory| directory.strip_prefix("/run/"));
        let layer = |directory, name| self.run_at.join(directory).join(name).display().to_string();
        let layers = transient.map(|directory| [layer(directory, "upper"), layer(directory, "work")]);
        let upper = layers.as_ref().map(|[upper, work]| UpperLayer { upper, work });
        let read_only = access == Access::ReadOnly;
        self.done.lower = Some(lower.to_owned());
        let layers = Layers { objects: &objects, upper, verity, read_only };
        image::root(image, by_path, lower, &layers)
    }

    fn dev(&self, mounted: bool) -> Result<(), SystemError> {
        if mounted {
            self.attach(dir::open_root(Path::new("/dev")).context("open", "/dev")?, "dev")
        } else {
            // As systemd mounts it where it finds none.
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
            self.attach(mount::new_filesystem("devtmpfs", "devtmpfs", &[], attributes)?, "dev")
        }
        .context("mount the device nodes on", "/dev")
    }

    fn pivot_root(&mut self) -> Result<(), SystemError> {
        let at = self.done.new_root.clone().unwrap_or_default();
        mount::pivot_root(Path::new(&at), Path::new(&format!("{at}/sysroot"))).context("make the new root", at)?;
        self.physical_at = PathBuf::from("/sysroot");
        self.new_root_at = PathBuf::from("/");
        Ok(())
    }

    fn overlay(&self, target: &str, options: &[(&str, String)], access: Access) -> Result<(), SystemError> {
        let options: Vec<(&str, &str)> = options.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mount = mount::new_filesystem("overlay", "overlay", &options, MountAttrFlags::empty())?;
        mount::set_access(&mount, to_access(access)).context("set the access of", format_args!("/{target}"))?;
        self.attach(mount, target).context("mount an overlay on", format_args!("/{target}"))
    }

    fn require_init(
        &self,
        named: Option<&str>,
        others: &[&'static str],
        required: bool,
        sealed: bool,
    ) -> Result<(), Cause> {
        let Some(root) = &self.new_root else { return Ok(()) };
        let deployment = &self.deployment.path;
        match init::require(root.as_fd(), named, others) {
            Ok(passed_over) => {
                for error in passed_over {
                    log::warn!("the deployment /{deployment}: {error}");
                }
                Ok(())
            }
            Err(error) if !required && !error.is_of_the_disk() => {
                log::warn!("the deployment /{deployment}: {error}");
                Ok(())
            }
            Err(error) => {
                let (deployment, at_boot_menu) = (deployment.clone(), self.at_boot_menu);
                Err(Cause::Init { deployment, error, sealed, at_boot_menu })
            }
        }
    }

    fn booted_state(&mut self, state: &BootedState) -> Result<(), SystemError> {
        let mut state = state.clone();
        if let Some(directory) = &mut state.transient_etc {
            *directory = self.path_of(&Place::TransientEtc(""));
        }
        dir::replace_volatile_file(&self.run, "ostree-booted", &state.to_bytes(), 0o644)
            .context("write", "/run/ostree-booted")?;
        self.done.booted_state = true;
        if let Some(keys) = state.composefs.and_then(|composefs| composefs.signed_by) {
            // libostree's words, which others look for.
            log::info!("composefs+ostree: Validated commit signature using '{keys}'");
        }
        Ok(())
    }

    fn move_into_place(&mut self, sysroot: &Path, writable: bool) -> Result<(), SystemError> {
        let object = &sysroot.display();
        let Some(new_root) = &self.new_root else { return Ok(()) };
        mount::detach(sysroot).context("detach the physical root from", object)?;
        self.done.physical_root_inside = Some(writable);
        mount::attach_at(new_root, CWD, sysroot).context("move the new root to", object)
    }

    /// Mounts something on a name in the new root, or below the physical root that is mounted there. What is on that is looked up
    /// inside of it, as its source is: a link there must not lead to what was verified.
    fn attach(&self, mount: impl AsFd, target: &str) -> Result<(), Errno> {
        let mount = mount.as_fd();
        let root = self.new_root.as_ref().ok_or(Errno::BADF)?;
        let Some(path) = target.strip_prefix("sysroot/") else {
            return mount::attach_at(mount, root, target);
        };
        // As PID 1 it is the physical root's own mount that moved there.
        let physical = self.sysroot.as_ref().map_or(self.physical.as_fd(), AsFd::as_fd);
        let directory = dir::open_directory(physical, path)?;
        let result = mount::attach(mount, &directory);
        dir::leave_open(directory);
        result
    }

    /// A bind mount of a place.
    fn clone(&self, place: &Place) -> Result<Detached, Errno> {
        let (root, path) = match place {
            Place::Physical(path) => (self.physical.as_fd(), path.as_str()),
            Place::Deployment(path) => (self.deployment.directory.as_fd(), *path),
            // Only ever a layer of an overlay.
            Place::TransientEtc(_) => return Err(Errno::INVAL),
        };
        // On the physical root a link may stand for the directory, and leads to another place of the physical root.
        let may_be_a_link = matches!(place, Place::Physical(path) if !path.is_empty());
        if !may_be_a_link {
            return mount::clone_at(root, path);
        }
        let directory = dir::open_directory(root, path)?;
        let mount = mount::clone(&directory);
        dir::leave_open(directory);
        mount
    }

    /// The path under which the kernel finds a place now: an overlay takes its layers by path.
    fn path_of(&self, place: &Place) -> String {
        match place {
            Place::Physical(path) => self.physical_at.join(path).display().to_string(),
            // Of the new root, where nothing covers it yet. The kernel takes no option that is longer than 255 bytes, and
            // on the physical root the path of one deployment alone has more than a hundred.
            Place::Deployment(name) => self.new_root_at.join(name).display().to_string(),
            Place::TransientEtc(name) => {
                let directory = self.transient_etc.as_deref().unwrap_or_default();
                format!("/run/ostree/{directory}/{name}").trim_end_matches('/').to_owned()
            }
        }
    }

    /// Lower layers are separated by colons: one in a path has a backslash before it.
    fn lower_layers(&self, places: &[Place]) -> String {
        let escaped = |place| self.path_of(place).replace('\\', "\\\\").replace(':', "\\:");
        places.iter().map(escaped).collect::<Vec<_>>().join(":")
    }
}

fn to_access(access: Access) -> mount::Access {
    match access {
        Access::Inherited => mount::Access::Inherited,
        Access::ReadOnly => mount::Access::ReadOnly,
        Access::Writable => mount::Access::Writable,
    }
}

fn announcement(path: &str, device: u64, inode: u64) -> [(&'static str, String); 7] {
    [
        ("MESSAGE", format!("Resolved OSTree target to: /sysroot/{path}")),
        ("MESSAGE_ID", DEPLOYMENT_CHOSEN.to_owned()),
        ("PRIORITY", "6".to_owned()),
        ("SYSLOG_IDENTIFIER", "ostree-prepare-root".to_owned()),
        ("DEPLOYMENT_PATH", format!("/{path}")),
        ("DEPLOYMENT_DEVICE", device.to_string()),
        ("DEPLOYMENT_INODE", inode.to_string()),
    ]
}

fn volatile_root(run: &OwnedFd, device: u64) -> Result<(), SystemError> {
    let object = "/run/systemd/volatile-root";
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    dir::make(run, "systemd", 0o755).context("make the directory", "/run/systemd")?;
    let target = format!("/dev/block/{major}:{minor}");
    let make = || rustix::fs::symlinkat(target.as_str(), run, undo::VOLATILE_ROOT);
    match make() {
        // Of an earlier run, perhaps for another disk.
        Err(Errno::EXIST) => dir::remove_file(run, undo::VOLATILE_ROOT).and_then(|()| make()),
        other => other,
    }
    .context("make the link", object)
}
