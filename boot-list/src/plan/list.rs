//! Which deployments stay, in which order: pure.

use ostree_formats::bootlink::{BootVersion, Bootlink};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Sysroot;
use ostree_sysroot::boot_names::kernel_directory;
use ostree_sysroot::deployment::Deployment;

/// A deployment in a list.
#[derive(Debug, Clone)]
pub struct ListedDeployment {
    /// Which.
    pub deployment: Deployment,
    /// Distinguishes deployments with the same bootcsum; counted over the whole list, over all stateroots.
    pub bootserial: u32,
}

impl ListedDeployment {
    /// The name of the directory of its kernel in `boot/ostree`.
    pub fn kernel_directory(&self) -> String {
        kernel_directory(&self.deployment.path.stateroot, &self.deployment.bootcsum)
    }

    /// Its boot link under a bootversion.
    pub fn bootlink(&self, bootversion: BootVersion) -> Bootlink {
        Bootlink {
            bootversion,
            stateroot: self.deployment.path.stateroot.clone(),
            bootcsum: self.deployment.bootcsum.clone(),
            bootserial: self.bootserial,
        }
    }
}

/// The list with `target` first, then the other deployments that stay, in their order.
pub fn with_target(sysroot: &Sysroot, target: Deployment, merge: Option<&DeploymentPath>) -> Vec<ListedDeployment> {
    let stateroot = target.path.stateroot.clone();
    let staying = sysroot.deployments.iter().filter(|deployment| deployment.path != target.path).filter(|deployment| {
        deployment.path == sysroot.booted
            || merge == Some(&deployment.path)
            || deployment.pinned
            || deployment.path.stateroot != stateroot
    });
    numbered(std::iter::once(target.clone()).chain(staying.cloned()))
}

/// The list with another one first; the others follow in their order.
pub fn with_first(sysroot: &Sysroot, first: &DeploymentPath) -> Vec<ListedDeployment> {
    let (first, others): (Vec<_>, Vec<_>) =
        sysroot.deployments.iter().partition(|deployment| deployment.path == *first);
    numbered(first.into_iter().chain(others).cloned())
}

/// The list without its first deployment, the new one: it is written first if `/boot` has too little room.
pub fn without_what_goes(list: &[ListedDeployment]) -> Vec<ListedDeployment> {
    numbered(list.iter().skip(1).map(|listed| listed.deployment.clone()))
}

/// The current list.
pub fn current(sysroot: &Sysroot) -> Vec<ListedDeployment> {
    numbered(sysroot.deployments.iter().cloned())
}

pub(super) fn numbered(deployments: impl IntoIterator<Item = Deployment>) -> Vec<ListedDeployment> {
    let mut list: Vec<ListedDeployment> = Vec::new();
    for deployment in deployments {
        let same_kernel = |listed: &&ListedDeployment| listed.deployment.bootcsum == deployment.bootcsum;
        let next = list.iter().rev().find(same_kernel).map_or(0, |last| last.bootserial + 1);
        list.push(ListedDeployment { deployment, bootserial: next });
    }
    list
}
