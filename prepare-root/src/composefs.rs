//! Whether the root is a composefs image, and what has to vouch for it: a decision.

use ostree_formats::deployment::{DeploymentPath, hexadecimal};
use ostree_formats::prepare_root_conf::{ComposefsMode, KernelArgumentPolicy, PrepareRootConf};

use crate::facts::{Facts, Found, Lack, Seal, Situation};

/// The image in a deployment directory, as libostree names it.
pub(crate) const IMAGE: &str = ".ostree.cfs";

/// Why no decision is possible, or why the image cannot be the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComposefsError {
    #[error("the kernel argument ostree.prepare-root.composefs={0} is not one of no, maybe, yes, verity, signed")]
    BadArgument(String),
    #[error(
        "the kernel argument ostree.prepare-root.composefs={argument} is weaker than [composefs] enabled = {configured}, \
         and [composefs] kernel-argument = strengthen forbids that"
    )]
    Weaker { argument: String, configured: &'static str },
    #[error(
        "a signature is demanded ({demanded}), and without an initramfs nobody vouches for what looks at it: program and keys are on \
         the disk ([composefs] unverified-init = yes accepts that)"
    )]
    SignedWithoutInitramfs {
        demanded: String,
        /// The kernel argument demands it, and not the configuration.
        by_argument: bool,
    },
    #[error("[root] {key} needs composefs, which is off ({off})")]
    TransientWithoutComposefs {
        key: &'static str,
        off: String,
        /// The kernel argument switches it off, and not the configuration.
        by_argument: bool,
    },
    #[error("[root] {0} needs composefs, and the deployment has no image {IMAGE}")]
    TransientWithoutImage(&'static str),
    #[error("composefs is demanded ({demanded}), and the deployment has no image {IMAGE}")]
    NoImage { demanded: String, at_boot_menu: AtBootMenu },
    #[error("the deployment's image {IMAGE} should be a file: {found} is there")]
    NotAFile { found: &'static str },
    #[error("a signature is demanded ({demanded}), and none was verified")]
    NotVerified { demanded: String },
    #[error(
        "a signature is demanded ({demanded}), and the image {IMAGE} is not sealed with fs-verity: \
         it could be changed after it was looked at"
    )]
    NotSealed { demanded: String },
    #[error("a signature is demanded ({demanded}), and {}", .lack.describe())]
    NoVerity { demanded: String, lack: Lack },
    #[error("the image {IMAGE} is sealed with the hash algorithm number {0}, and only SHA-256 (1) is signed")]
    OtherAlgorithm(u16),
    #[error("the image {IMAGE} is not the one that was signed: its digest is {found}, the commit says {signed}")]
    WrongDigest { found: String, signed: String },
}

/// What whoever stands at the boot menu can do where an image that is demanded stops the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AtBootMenu {
    /// Nothing: the configuration demands it, and forbids the argument, or needs the image for a transient root.
    #[default]
    Nothing,
    /// Switch the image off, and all that is verified with it.
    SwitchOff,
    /// Remove the argument: the configuration alone does not demand it.
    RemoveArgument,
}

/// What the root will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageRoot {
    /// Each object is checked against its digest when it is read.
    pub(crate) verity: bool,
    /// The key file that the commit's signature was verified with.
    pub(crate) signed_by: Option<String>,
}

/// The mode that counts, of configuration and kernel argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) mode: ComposefsMode,
    /// Objects have to be sealed: a kernel argument that turns the check of the image off leaves that on.
    pub(crate) verity: bool,
    /// Who demanded it, for messages.
    pub(crate) source: String,
    /// The kernel argument did, and not the configuration.
    pub(crate) by_argument: bool,
    pub(crate) warning: Option<String>,
}

impl Decision {
    /// Without the kernel argument it would be another one.
    fn differs_from(&self, conf: &PrepareRootConf) -> bool {
        self.by_argument && self.mode != conf.composefs
    }
}

/// Which mode counts.
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

/// What a configuration demands that cannot be had at all, whatever is on the disk.
pub(crate) fn require_possible(conf: &PrepareRootConf, decision: &Decision) -> Result<(), ComposefsError> {
    match transient(conf) {
        Some(key) if decision.mode == ComposefsMode::No => {
            let (off, by_argument) = (decision.source.clone(), decision.differs_from(conf));
            Err(ComposefsError::TransientWithoutComposefs { key, off, by_argument })
        }
        _ => Ok(()),
    }
}

/// Whether a signature that is demanded is worth looking for.
pub(crate) fn require_trust(
    conf: &PrepareRootConf,
    decision: &Decision,
    situation: Situation,
) -> Result<(), ComposefsError> {
    let signed_as_init = decision.mode == ComposefsMode::Signed && situation == Situation::Pid1;
    if signed_as_init && !conf.composefs_unverified_init {
        let (demanded, by_argument) = (decision.source.clone(), decision.differs_from(conf));
        return Err(ComposefsError::SignedWithoutInitramfs { demanded, by_argument });
    }
    Ok(())
}

fn transient(conf: &PrepareRootConf) -> Option<&'static str> {
    let transient = conf.root_transient.then_some("transient");
    transient.or_else(|| conf.root_transient_ro.then_some("transient-ro"))
}

/// What can be done at the boot menu. Without the kernel argument the boot succeeds with a configuration of `enough` at most.
pub(crate) fn at_boot_menu(conf: &PrepareRootConf, decision: &Decision, enough: ComposefsMode) -> AtBootMenu {
    let transient = transient(conf).is_some();
    let is_enough = conf.composefs <= enough && !(transient && conf.composefs == ComposefsMode::No);
    if decision.differs_from(conf) && is_enough {
        AtBootMenu::RemoveArgument
    } else if conf.composefs_kernel_argument == KernelArgumentPolicy::Allow && !transient {
        AtBootMenu::SwitchOff
    } else {
        AtBootMenu::Nothing
    }
}

/// The image that will be the root, if one will be; what should be said about it.
pub(crate) fn image_root(
    conf: &PrepareRootConf,
    decision: &Decision,
    facts: &Facts,
) -> Result<(Option<ImageRoot>, Option<String>), ComposefsError> {
    require_possible(conf, decision)?;
    let demanded = || decision.source.clone();
    let plain = match (decision.mode, facts.image.found) {
        (ComposefsMode::No, _) => true,
        (ComposefsMode::Maybe, Found::Nothing) => true,
        (_, Found::Nothing) => {
            let at_boot_menu = match transient(conf) {
                Some(_) => AtBootMenu::Nothing,
                None => at_boot_menu(conf, decision, ComposefsMode::Maybe),
            };
            return Err(ComposefsError::NoImage { demanded: demanded(), at_boot_menu });
        }
        (_, Found::File) => false,
        (_, found) => return Err(ComposefsError::NotAFile { found: found.describe() }),
    };
    if plain {
        return match transient(conf) {
            Some(key) => Err(ComposefsError::TransientWithoutImage(key)),
            None => Ok((None, None)),
        };
    }
    let signed_by = match &facts.signature {
        Some(signature) => {
            require_signed(facts.image.seal, &signature.digest, demanded)?;
            Some(signature.key_file.clone())
        }
        None if decision.mode == ComposefsMode::Signed => {
            return Err(ComposefsError::NotVerified { demanded: demanded() });
        }
        None => None,
    };
    let warning = (decision.verity).then(|| unsealed(facts.image.seal, &facts.deployment.path)).flatten();
    Ok((Some(ImageRoot { verity: decision.verity, signed_by }), warning))
}

/// Whether the image is the one that the signed commit says.
fn require_signed(seal: Seal, signed: &[u8], demanded: impl Fn() -> String) -> Result<(), ComposefsError> {
    match seal {
        Seal::Sha256(digest) if digest == *signed => Ok(()),
        Seal::Sha256(digest) => {
            Err(ComposefsError::WrongDigest { found: hexadecimal(&digest), signed: hexadecimal(signed) })
        }
        Seal::Other(algorithm) => Err(ComposefsError::OtherAlgorithm(algorithm)),
        Seal::Missing => Err(ComposefsError::NotSealed { demanded: demanded() }),
        Seal::Unsupported(lack) => Err(ComposefsError::NoVerity { demanded: demanded(), lack }),
    }
}

/// As with libostree it boots: to stop would break machines at the swap of a package.
fn unsealed(seal: Seal, deployment: &DeploymentPath) -> Option<String> {
    let image = format!("/{deployment}/{IMAGE}");
    match seal {
        Seal::Sha256(_) | Seal::Other(_) => None,
        Seal::Missing => Some(format!(
            "{image} is not sealed with fs-verity, so names and modes in it can be changed: set ex-integrity.fsverity=yes \
             in ostree/repo/config, run `ostree admin post-copy`, and deploy again"
        )),
        Seal::Unsupported(lack) => Some(format!(
            "{image} cannot be sealed, nor can objects, and with that demanded none can be read: {}",
            lack.describe()
        )),
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

    #[test]
    fn what_is_advised_at_the_boot_menu_works() {
        use AtBootMenu::{Nothing, RemoveArgument, SwitchOff};
        let (no, yes, verity) = (ComposefsMode::No, ComposefsMode::Yes, ComposefsMode::Verity);
        for (configured, policy, transient, argument, advised) in [
            (verity, KernelArgumentPolicy::Allow, false, None, SwitchOff),
            (verity, KernelArgumentPolicy::Strengthen, false, None, Nothing),
            (verity, KernelArgumentPolicy::Allow, true, None, Nothing),
            (yes, KernelArgumentPolicy::Allow, true, Some("verity"), RemoveArgument),
            (no, KernelArgumentPolicy::Strengthen, false, Some("verity"), RemoveArgument),
            (no, KernelArgumentPolicy::Allow, true, Some("verity"), Nothing),
            (verity, KernelArgumentPolicy::Allow, false, Some("verity"), SwitchOff),
        ] {
            let conf = PrepareRootConf { root_transient: transient, ..conf(configured, policy) };
            let decision = decide(&conf, argument).unwrap();
            assert_eq!(
                at_boot_menu(&conf, &decision, yes),
                advised,
                "{configured:?} {policy:?} {transient} {argument:?}"
            );
        }
    }
}
