//! Which deployments stay, in which order: pure.

use std::collections::HashMap;

use ostree_formats::bootlink::{BootVersion, Bootlink};
use ostree_formats::deployment::DeploymentPath;

use crate::deployment::Deployment;
use crate::sysroot::Sysroot;

/// A deployment in a list, with what its place in it decides.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Which.
    pub(crate) deployment: Deployment,
    /// Tells apart deployments that share one bootcsum: counted over the list, over all stateroots.
    pub(crate) bootserial: u32,
}

impl Listed {
    /// Its boot link under a bootversion.
    pub(crate) fn bootlink(&self, bootversion: BootVersion) -> Bootlink {
        Bootlink {
            bootversion,
            stateroot: self.deployment.path.stateroot.clone(),
            bootcsum: self.deployment.bootcsum.clone(),
            bootserial: self.bootserial,
        }
    }
}

/// The list with `target` first; of the others those that stay, in their order.
pub(crate) fn with_target(sysroot: &Sysroot, target: Deployment, merge: Option<&DeploymentPath>) -> Vec<Listed> {
    let stateroot = target.path.stateroot.clone();
    let staying = sysroot.deployments.iter().filter(|deployment| deployment.path != target.path).filter(|deployment| {
        deployment.path == sysroot.booted
            || merge == Some(&deployment.path)
            || deployment.pinned
            || deployment.path.stateroot != stateroot
    });
    numbered(std::iter::once(target.clone()).chain(staying.cloned()))
}

/// The list without those that go when a target comes: what makes room for it.
pub(crate) fn without_what_goes(list: &[Listed]) -> Vec<Listed> {
    numbered(list.iter().skip(1).map(|listed| listed.deployment.clone()))
}

/// The list as it is.
pub(crate) fn current(sysroot: &Sysroot) -> Vec<Listed> {
    numbered(sysroot.deployments.iter().cloned())
}

fn numbered(deployments: impl IntoIterator<Item = Deployment>) -> Vec<Listed> {
    let mut serials = HashMap::new();
    let number = |deployment: Deployment| {
        let next = serials.entry(deployment.bootcsum.clone()).or_insert(0);
        let bootserial = *next;
        *next += 1;
        Listed { deployment, bootserial }
    };
    deployments.into_iter().map(number).collect()
}
