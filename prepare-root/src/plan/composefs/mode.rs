//! Decides the mode of composefs from configuration and kernel argument.

use ostree_formats::prepare_root_conf::{ComposefsMode, KernelArgumentPolicy, PrepareRootConf};

use super::error::ComposefsError;
use crate::facts::Caller;

/// The mode, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) mode: ComposefsMode,
    /// Objects must be sealed. A kernel argument that switches off the check of the image does not change this.
    pub(crate) verity: bool,
    /// Where the mode comes from, for messages.
    pub(crate) source: String,
    /// It comes from the kernel argument, not from the configuration.
    pub(crate) by_argument: bool,
    pub(crate) warning: Option<String>,
}

impl Decision {
    /// Whether the mode would be another one without the kernel argument.
    pub(super) fn differs_from(&self, conf: &PrepareRootConf) -> bool {
        self.by_argument && self.mode != conf.composefs
    }
}

/// Decides the mode.
pub(crate) fn decide(conf: &PrepareRootConf, argument: Option<&str>) -> Result<Decision, ComposefsError> {
    let configured = conf.composefs;
    let as_configured = |warning| Decision {
        mode: configured,
        verity: configured >= ComposefsMode::Verity,
        source: format!("[composefs] enabled = {}", configured.as_str()),
        by_argument: false,
        warning,
    };
    let Some(argument) = argument else { return Ok(as_configured(None)) };
    let name = format!("ostree.prepare-root.composefs={argument}");
    let mode = ComposefsMode::from_value(argument).ok_or_else(|| ComposefsError::BadArgument(argument.to_owned()))?;
    let weaker = mode < configured;
    match conf.composefs_kernel_argument {
        KernelArgumentPolicy::Ignore => Ok(as_configured(Some(format!(
            "the kernel argument {name} is ignored: [composefs] kernel-argument = ignore"
        )))),
        KernelArgumentPolicy::Strengthen if weaker => {
            Err(ComposefsError::Weaker { argument: argument.to_owned(), configured: configured.as_str() })
        }
        KernelArgumentPolicy::Strengthen | KernelArgumentPolicy::Allow => {
            let warning = weaker
                .then(|| format!("the kernel argument {name} weakens [composefs] enabled = {}", configured.as_str()));
            let verity = mode > ComposefsMode::No && mode.max(configured) >= ComposefsMode::Verity;
            Ok(Decision { mode, verity, source: format!("kernel argument {name}"), by_argument: true, warning })
        }
    }
}

/// An error if no disk can satisfy the configuration.
pub(crate) fn require_possible(conf: &PrepareRootConf, decision: &Decision) -> Result<(), ComposefsError> {
    match transient(conf) {
        Some(key) if decision.mode == ComposefsMode::No => {
            let (off, by_argument) = (decision.source.clone(), decision.differs_from(conf));
            Err(ComposefsError::TransientWithoutComposefs { key, off, by_argument })
        }
        _ => Ok(()),
    }
}

/// An error if a demanded signature would prove nothing.
pub(crate) fn require_trust(conf: &PrepareRootConf, decision: &Decision, caller: Caller) -> Result<(), ComposefsError> {
    let signed_as_init = decision.mode == ComposefsMode::Signed && caller == Caller::Pid1;
    if signed_as_init && !conf.composefs_unverified_init {
        let (demanded, by_argument) = (decision.source.clone(), decision.differs_from(conf));
        return Err(ComposefsError::SignedWithoutInitramfs { demanded, by_argument });
    }
    Ok(())
}

/// The key that demands a transient root, which needs an image.
pub(super) fn transient(conf: &PrepareRootConf) -> Option<&'static str> {
    let transient = conf.root_transient.then_some("transient");
    transient.or_else(|| conf.root_transient_ro.then_some("transient-ro"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(composefs: ComposefsMode, policy: KernelArgumentPolicy) -> PrepareRootConf {
        PrepareRootConf { composefs, composefs_kernel_argument: policy, ..PrepareRootConf::default() }
    }

    #[test]
    fn the_argument_counts_by_default_and_weakening_is_told() {
        let decision = decide(&conf(ComposefsMode::Signed, KernelArgumentPolicy::Allow), Some("no")).unwrap();
        assert_eq!(decision.mode, ComposefsMode::No);
        assert!(decision.warning.unwrap().contains("weakens [composefs] enabled = signed"));
        let decision = decide(&conf(ComposefsMode::No, KernelArgumentPolicy::Allow), Some("verity")).unwrap();
        assert_eq!((decision.mode, decision.warning), (ComposefsMode::Verity, None));
    }

    #[test]
    fn strengthen_refuses_a_weaker_argument_and_names_both() {
        let error = decide(&conf(ComposefsMode::Verity, KernelArgumentPolicy::Strengthen), Some("yes")).unwrap_err();
        assert!(
            error.to_string().contains("composefs=yes") && error.to_string().contains("enabled = verity"),
            "{error}"
        );
        let stronger = decide(&conf(ComposefsMode::Yes, KernelArgumentPolicy::Strengthen), Some("signed")).unwrap();
        assert_eq!(stronger.mode, ComposefsMode::Signed);
    }

    #[test]
    fn ignore_ignores_and_says_so() {
        let decision = decide(&conf(ComposefsMode::Yes, KernelArgumentPolicy::Ignore), Some("no")).unwrap();
        assert_eq!(decision.mode, ComposefsMode::Yes);
        assert!(decision.warning.unwrap().contains("is ignored"));
    }

    #[test]
    fn an_argument_that_turns_the_signature_off_leaves_sealed_objects_on() {
        for (configured, argument, verity) in [
            (ComposefsMode::Signed, "yes", true),
            (ComposefsMode::Verity, "maybe", true),
            (ComposefsMode::Verity, "no", false),
            (ComposefsMode::Yes, "yes", false),
            (ComposefsMode::No, "signed", true),
        ] {
            let decision = decide(&conf(configured, KernelArgumentPolicy::Allow), Some(argument)).unwrap();
            assert_eq!(decision.verity, verity, "{configured:?} {argument}");
        }
    }
}
