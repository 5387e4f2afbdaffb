//! What is demanded of a deployment: the strictest of the configuration of this system, of the configuration in the deployment, which
//! its initramfs has, and of the kernel argument. A kernel argument never makes it weaker: the next boot may not have it.

use std::path::Path;

use ostree_formats::prepare_root_conf::{ComposefsMode, KernelArgumentPolicy, Parsed, PrepareRootConf};
use system::{Context, dir};

use super::finding::Finding;
use crate::failed::cause::Cause;
use crate::plan::composefs::{self, Decision};
use crate::read::config;

/// What this system demands.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    conf: PrepareRootConf,
    /// The kernel argument.
    argument: Option<String>,
    /// A file of keys from the command line; it demands a signature.
    keys: Option<String>,
}

impl Demand {
    /// Reads the configuration at `/`.
    pub(crate) fn of_this_system(argument: Option<String>, keys: Option<String>) -> Result<Demand, Cause> {
        let root = dir::open_root(Path::new("/")).context("open", "/")?;
        let Parsed { conf, errors, .. } = config::load(&root);
        if errors.is_empty() { Ok(Demand { conf, argument, keys }) } else { Err(Cause::Configuration(errors)) }
    }

    /// What a configuration demands.
    pub(crate) fn of(conf: PrepareRootConf, argument: Option<String>) -> Demand {
        Demand { conf, argument, keys: None }
    }

    /// The file of trusted keys: never one that a deployment names, because the deployment would verify itself.
    pub(crate) fn keys(&self) -> &str {
        self.keys.as_deref().unwrap_or(&self.conf.composefs_keypath)
    }

    /// Adds what the configuration in a deployment demands.
    pub(crate) fn and_of(&self, own: &Parsed) -> Result<Decision, Finding> {
        if let Some(error) = own.errors.first() {
            return Err(Finding::Configuration(error.clone()));
        }
        let of_own = self.mode_of(&own.conf)?;
        let of_own = Decision { source: format!("{} in the deployment", of_own.source), ..of_own };
        let here = self.mode_of(&self.conf)?;
        let stricter = if of_own.mode > here.mode { of_own } else { here };
        Ok(match &self.keys {
            Some(keys) if stricter.mode < ComposefsMode::Signed => Decision {
                mode: ComposefsMode::Signed,
                verity: true,
                source: format!("--keys {keys}"),
                by_argument: false,
                warning: None,
            },
            _ => stricter,
        })
    }

    fn mode_of(&self, conf: &PrepareRootConf) -> Result<Decision, Finding> {
        let counts = |argument: &&str| {
            let stronger = ComposefsMode::from_value(argument).is_none_or(|mode| mode > conf.composefs);
            stronger && conf.composefs_kernel_argument != KernelArgumentPolicy::Ignore
        };
        Ok(composefs::decide(conf, self.argument.as_deref().filter(counts))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostree_formats::prepare_root_conf::ComposefsMode::{No, Signed, Verity, Yes};

    fn demand(here: ComposefsMode, argument: Option<&str>, keys: Option<&str>) -> Demand {
        let conf =
            PrepareRootConf { composefs: here, composefs_keypath: "/here".to_owned(), ..PrepareRootConf::default() };
        Demand { conf, argument: argument.map(str::to_owned), keys: keys.map(str::to_owned) }
    }

    fn own(mode: ComposefsMode) -> Parsed {
        let conf =
            PrepareRootConf { composefs: mode, composefs_keypath: "/own".to_owned(), ..PrepareRootConf::default() };
        Parsed { conf, errors: Vec::new(), warnings: Vec::new() }
    }

    #[test]
    fn the_stricter_one_counts_and_is_named() {
        for (here, of_own, expected, source) in [
            (Yes, Signed, Signed, "[composefs] enabled = signed in the deployment"),
            (Signed, Verity, Signed, "[composefs] enabled = signed"),
            (No, Verity, Verity, "[composefs] enabled = verity in the deployment"),
        ] {
            let decision = demand(here, None, None).and_of(&own(of_own)).unwrap();
            assert_eq!((decision.mode, decision.verity, decision.source.as_str()), (expected, true, source));
        }
    }

    #[test]
    fn the_kernel_argument_only_makes_it_stricter() {
        for (argument, here, of_own, expected) in
            [("yes", Signed, No, Signed), ("yes", No, Verity, Verity), ("verity", No, No, Verity), ("no", No, Yes, Yes)]
        {
            let decision = demand(here, Some(argument), None).and_of(&own(of_own)).unwrap();
            assert_eq!((decision.mode, decision.verity), (expected, expected >= Verity), "{argument}");
        }
        let bad = demand(No, Some("bogus"), None).and_of(&own(Yes)).unwrap_err();
        assert!(!bad.is_certain(), "{bad}");
    }

    #[test]
    fn keys_that_are_named_demand_a_signature_and_are_never_the_deployments() {
        let decision = demand(No, None, Some("/mine")).and_of(&own(Yes)).unwrap();
        assert_eq!((decision.mode, decision.source.as_str()), (Signed, "--keys /mine"));
        assert_eq!(demand(No, None, Some("/mine")).keys(), "/mine");
        assert_eq!(demand(No, None, None).keys(), "/here");
    }
}
