//! The story: what is to be there, what is there, and the steps between the two.

use std::os::fd::{AsFd, BorrowedFd};

use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::{Roots, Sysroot};
use system::SystemError;

use crate::execute::mounted::Mounted;
use crate::execute::{self, Sources};
use crate::list::List;
use crate::plan::{self, PlanError, Step};
use crate::read::devices::{self, Partition};
use crate::read::images::Images;
use crate::read::partition::{self, NoPartition};
use crate::read::{ReadError, filesystem, list, staged, target, variables};
use crate::settings::Settings;
use crate::target::Target;

/// How often a new default is tried, if neither `esp.conf` nor the repository says it.
const TRIES: u32 = 3;

/// Why there is no projection.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// No target.
    #[error("{0}")]
    NoPartition(#[from] NoPartition),
    /// The list, or the target.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// It cannot be done.
    #[error("{0}")]
    Plan(#[from] PlanError),
    /// Reading or writing.
    #[error("{0}")]
    System(#[from] SystemError),
    /// What is on an ESP beside an XBOOTLDR partition may be needed.
    #[error("its entries stay, since a deployment of the list cannot be read: firstroot check")]
    StaysForUnreadable,
    /// Whose entries these are is not known.
    #[error("the UUID of the physical root's filesystem is not known: is udev running? ({0})")]
    NoUuid(String),
}

impl ProjectionError {
    /// Whether udev may not know the disks yet.
    pub fn may_be_too_early(&self) -> bool {
        use NoPartition::{BootedFromGone, None, NotThere};
        matches!(self, Self::NoUuid(_) | Self::NoPartition(BootedFromGone(_) | None | NotThere(_)))
    }
}

/// What is to be done, before anything is.
#[derive(Debug)]
pub struct Projection {
    /// The partition.
    pub path: String,
    /// Its device.
    pub partition: Partition,
    /// If that is an XBOOTLDR partition: the ESP of the same disk, which has the boot loader and its settings.
    pub beside: Option<Partition>,
    /// The partition is an XBOOTLDR partition: no firmware starts anything on it.
    pub is_xbootldr: bool,
    /// Other ESPs on the disks of the physical root, where a further one was booted from: one of them may be what is the first otherwise.
    pub unnamed: Vec<Partition>,
    /// What the boot loader says of itself; `None`: nothing.
    pub loader: Option<String>,
    /// What is to be there.
    pub list: List,
    /// What is there.
    pub target: Target,
    images: Images,
    mounted: Mounted,
}

impl Projection {
    /// Reads the list of `sysroot` and the target.
    ///
    /// # Errors
    /// There is no target, or something cannot be read.
    pub fn read(roots: &Roots, sysroot: &Sysroot, settings: &Settings) -> Result<Self, ProjectionError> {
        let partition = partition::find(
            roots.system.as_fd(),
            roots.sysroot.as_fd(),
            settings.partition.as_deref(),
            &settings.also,
        )?;
        let token = list::token(&uuid(roots)?);
        let mut images = Images::new(roots, settings.uki);
        let mut list = list::list(roots, sysroot, token, &mut images)?;
        list.staged = staged::announced(roots);
        list.tries = tries(settings, sysroot);
        settings.trial_arguments.clone_into(&mut list.trial_arguments);
        // A boot loader that says nothing of itself counts nothing: a trial would be repeated for ever.
        let loader = variables::of_loader(roots.system.as_fd(), "LoaderInfo")?;
        if loader.is_none() {
            list.tries = 0;
        }
        let (is_xbootldr, beside) = devices::system_partition_of(roots.system.as_fd(), &partition)?;
        let unnamed = unnamed(roots, settings, &partition)?;
        let mounted = Mounted::open(&partition)?;
        let target = target::target(&mounted, &list.token)?;
        let mut projection = Self {
            path: partition.path.clone(),
            partition,
            beside,
            is_xbootldr,
            unnamed,
            loader,
            list,
            target,
            images,
            mounted,
        };
        projection.keep(settings);
        Ok(projection)
    }

    /// Puts a deployment before the list that is not in it yet.
    ///
    /// # Errors
    /// A file of its tree cannot be read.
    pub fn add_staged(&mut self, roots: &Roots, deployment: &Deployment) -> Result<(), ReadError> {
        self.list.deployments.insert(0, staged::of_tree(roots, deployment, &mut self.images)?);
        // At the end of the update it is read again.
        self.images.remember(roots);
        Ok(())
    }

    /// Leaves out what `[esp] keep=` leaves out.
    pub fn keep(&mut self, settings: &Settings) {
        let Some(keep) = settings.keep else { return };
        let mut index = 0;
        self.list.deployments.retain(|listed| {
            index += 1;
            index <= keep || listed.is_booted
        });
    }

    /// The steps.
    ///
    /// # Errors
    /// There is no room, or nothing to project.
    pub fn plan(&self) -> Result<Vec<Step>, ProjectionError> {
        Ok(plan::plan(&self.list, &self.target)?)
    }

    /// Executes steps. With none, the target is not written to.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn execute(
        &mut self,
        roots: &Roots,
        steps: &[Step],
        progress: &mut dyn FnMut(),
    ) -> Result<(), ProjectionError> {
        self.images.remember(roots);
        let sources = Sources { boot: roots.boot.as_fd(), sysroot: roots.sysroot.as_fd() };
        Ok(execute_on(&mut self.mounted, sources, steps, progress)?)
    }

    /// The root directory of the target.
    pub fn esp(&self) -> BorrowedFd<'_> {
        self.mounted.as_fd()
    }

    /// Makes the target writable, and writes nothing to it.
    ///
    /// # Errors
    /// The kernel or the device refuses.
    pub fn check_writable(&mut self) -> Result<(), ProjectionError> {
        Ok(self.mounted.make_writable()?)
    }
}

/// Executes steps on a target that is mounted. With none, it is not written to.
///
/// # Errors
/// A file cannot be read or written.
pub fn execute_on(
    mounted: &mut Mounted,
    sources: Sources<'_>,
    steps: &[Step],
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    if steps.is_empty() {
        return Ok(());
    }
    mounted.make_writable()?;
    execute::execute(steps, sources, mounted.as_fd(), progress)?;
    execute::sync(mounted.as_fd())
}

fn unnamed(roots: &Roots, settings: &Settings, first: &Partition) -> Result<Vec<Partition>, ProjectionError> {
    if settings.partition.is_some() || settings.also.is_empty() {
        return Ok(Vec::new());
    }
    let all = partition::on_disks(roots.system.as_fd(), roots.sysroot.as_fd())?;
    Ok(partition::unnamed(first, all, &partition::further(&settings.also)))
}

fn tries(settings: &Settings, sysroot: &Sysroot) -> u32 {
    let of_repository = Some(sysroot.config.boot_counting_tries).filter(|tries| *tries > 0);
    settings.tries.or(of_repository).unwrap_or(TRIES).min(9)
}

/// The UUID of the physical root's filesystem, as udev has it.
fn uuid(roots: &Roots) -> Result<String, ProjectionError> {
    let found = filesystem::of(roots, &roots.sysroot, "/sysroot")?;
    found.uuid.ok_or(ProjectionError::NoUuid(found.source))
}
