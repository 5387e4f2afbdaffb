//! What a boot of a deployment will demand: what the system here demands, or the deployment's own configuration, of which its
//! initramfs was made, if that is stricter.

use std::path::Path;

use ostree_formats::prepare_root_conf::{Parsed, PrepareRootConf};
use system::{Context, dir};

use crate::composefs::{self, Decision};
use crate::config;
use crate::failure::Cause;

use super::Finding;

/// What the system here demands: in an initramfs what counts there, else what the next one is to be measured by.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    conf: PrepareRootConf,
    argument: Option<String>,
}

impl Demand {
    /// Reads the configuration at `/`; `argument` is the kernel's.
    pub(crate) fn of_this_system(argument: Option<String>) -> Result<Demand, Cause> {
        let root = dir::open_root(Path::new("/")).context("open", "/")?;
        let Parsed { conf, errors, .. } = config::load(&root);
        if errors.is_empty() { Ok(Demand { conf, argument }) } else { Err(Cause::Configuration(errors)) }
    }

    /// The stricter of this and of what a deployment demands of itself, and the file of keys that goes with it.
    pub(crate) fn and_of(&self, own: Parsed) -> Result<(Decision, String), Finding> {
        if let Some(error) = own.errors.into_iter().next() {
            return Err(Finding::Configuration(error));
        }
        let here = composefs::decide(&self.conf, self.argument.as_deref())?;
        let own_demand = composefs::decide(&own.conf, self.argument.as_deref())?;
        Ok(if own_demand.mode > here.mode {
            (
                Decision { source: format!("{} in the deployment", own_demand.source), ..own_demand },
                own.conf.composefs_keypath,
            )
        } else {
            (here, self.conf.composefs_keypath.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostree_formats::prepare_root_conf::ComposefsMode::{self, No, Signed, Verity, Yes};

    fn demanded(here: ComposefsMode, own: ComposefsMode, argument: Option<&str>) -> (ComposefsMode, String, String) {
        let conf = |composefs, keypath: &str| PrepareRootConf {
            composefs,
            composefs_keypath: keypath.to_owned(),
            ..PrepareRootConf::default()
        };
        let demand = Demand { conf: conf(here, "/here"), argument: argument.map(str::to_owned) };
        let own = Parsed { conf: conf(own, "/own"), errors: Vec::new(), warnings: Vec::new() };
        let (decision, keys) = demand.and_of(own).unwrap();
        (decision.mode, decision.source, keys)
    }

    #[test]
    fn the_stricter_one_counts_and_is_named() {
        let (mode, source, keys) = demanded(Yes, Signed, None);
        assert_eq!(
            (mode, source.as_str(), keys.as_str()),
            (Signed, "[composefs] enabled = signed in the deployment", "/own")
        );
        let (mode, source, keys) = demanded(Signed, Verity, None);
        assert_eq!((mode, source.as_str(), keys.as_str()), (Signed, "[composefs] enabled = signed", "/here"));
    }

    #[test]
    fn the_kernel_argument_counts_as_at_boot() {
        assert_eq!(demanded(Signed, Signed, Some("yes")).0, Yes);
        assert_eq!(demanded(No, No, Some("verity")).0, Verity);
    }
}
