//! Whether the root is a composefs image: a decision. Mounting one is not part of this program yet.

use ostree_formats::prepare_root_conf::{ComposefsMode, KernelArgumentPolicy, PrepareRootConf};

/// Why no decision is possible, or why this program cannot follow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComposefsError {
    #[error("the kernel argument ostree.prepare-root.composefs={0} is not one of no, maybe, yes, verity, signed")]
    BadArgument(String),
    #[error(
        "the kernel argument ostree.prepare-root.composefs={argument} is weaker than [composefs] enabled = {configured}, \
         and [composefs] kernel-argument = strengthen forbids that"
    )]
    Weaker { argument: String, configured: &'static str },
    #[error("composefs is demanded ({0}), and this version of ostree-prepare-root does not support it")]
    Unsupported(String),
    #[error("[root] {0} needs composefs, which is not enabled")]
    TransientWithoutComposefs(&'static str),
}

/// The mode that counts, of configuration and kernel argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) mode: ComposefsMode,
    /// Who demanded it, for messages.
    pub(crate) source: String,
    pub(crate) warning: Option<String>,
}

/// Which mode counts.
pub(crate) fn decide(conf: &PrepareRootConf, argument: Option<&str>) -> Result<Decision, ComposefsError> {
    let configured = conf.composefs;
    let as_configured = |warning| Decision {
        mode: configured,
        source: format!("[composefs] enabled = {}", configured.as_str()),
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
            Ok(Decision { mode, source: format!("kernel argument {name}"), warning })
        }
    }
}

/// What this version can do with a decision: boot plain, with a warning where an image may have been meant, or not at all.
pub(crate) fn require_plain(conf: &PrepareRootConf, decision: &Decision) -> Result<Option<String>, ComposefsError> {
    if decision.mode > ComposefsMode::Maybe {
        return Err(ComposefsError::Unsupported(decision.source.clone()));
    }
    match (conf.root_transient, conf.root_transient_ro) {
        (true, _) => Err(ComposefsError::TransientWithoutComposefs("transient")),
        (_, true) => Err(ComposefsError::TransientWithoutComposefs("transient-ro")),
        _ if decision.mode == ComposefsMode::Maybe => Ok(Some(format!(
            "{}: this version of ostree-prepare-root mounts no composefs image, the deployment is used without one",
            decision.source
        ))),
        _ => Ok(None),
    }
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
    fn a_demand_stops_and_maybe_warns() {
        for (mode, stops) in [
            (ComposefsMode::No, false),
            (ComposefsMode::Maybe, false),
            (ComposefsMode::Yes, true),
            (ComposefsMode::Verity, true),
            (ComposefsMode::Signed, true),
        ] {
            let conf = conf(mode, KernelArgumentPolicy::Allow);
            let decision = decide(&conf, None).unwrap();
            let result = require_plain(&conf, &decision);
            assert_eq!(result.is_err(), stops, "{mode:?}");
            assert_eq!(result.is_ok_and(|warning| warning.is_some()), mode == ComposefsMode::Maybe);
        }
    }
}
