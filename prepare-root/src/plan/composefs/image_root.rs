//! Whether there is an image that can be the root, and whether its signature and seal are as demanded.

use ostree_formats::deployment::{DeploymentPath, hexadecimal};
use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};

use super::at_boot_menu::at_boot_menu;
use super::error::{AtBootMenu, ComposefsError};
use super::mode::{Decision, require_possible, transient};
use crate::facts::{Facts, IMAGE, PathKind, Seal};

/// What the root will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageRoot {
    /// Each object is checked against its digest when it is read.
    pub(crate) verity: bool,
    /// The key file that the commit's signature was verified with.
    pub(crate) signed_by: Option<String>,
}

/// The image that will be the root, if any, and a warning about it.
pub(crate) fn image_root(
    conf: &PrepareRootConf,
    decision: &Decision,
    facts: &Facts,
) -> Result<(Option<ImageRoot>, Option<String>), ComposefsError> {
    require_possible(conf, decision)?;
    let demanded = || decision.source.clone();
    let plain = match (decision.mode, facts.image.found) {
        (ComposefsMode::No, _) => true,
        (ComposefsMode::Maybe, PathKind::Nothing) => true,
        (_, PathKind::Nothing) => {
            let at_boot_menu = match transient(conf) {
                Some(_) => AtBootMenu::Nothing,
                None => at_boot_menu(conf, decision, ComposefsMode::Maybe),
            };
            return Err(ComposefsError::NoImage { demanded: demanded(), at_boot_menu });
        }
        (_, PathKind::File) => false,
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

/// Whether the image has the digest in the signed commit.
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

/// Only a warning, because libostree boots such an image: machines must not stop booting when firstroot replaces it.
fn unsealed(seal: Seal, deployment: &DeploymentPath) -> Option<String> {
    let image = format!("/{deployment}/{IMAGE}");
    match seal {
        Seal::Sha256(_) | Seal::Other(_) => None,
        Seal::Missing => Some(format!(
            "{image} is not sealed with fs-verity, so an attacker can change names and modes in it: set \
             ex-integrity.fsverity=yes in /ostree/repo/config, run `ostree admin post-copy`, and deploy again"
        )),
        Seal::Unsupported(lack) => Some(format!(
            "{image}: fs-verity is required, but {}: no file of this image would be readable",
            lack.describe()
        )),
    }
}
