//! Whether the root is an image: the mode, the image that was found, and its signature.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use system::{Context, SystemError, dir};

use crate::facts::{Caller, IMAGE, ImageFacts, Seal, SignatureFacts};
use crate::failed::cause::Cause;
use crate::plan::PlanError;
use crate::plan::composefs::{self, Decision};
use crate::read::commit_signature::{self, VerifyError};
use crate::read::deployment::Deployment;
use crate::read::physical_root::PhysicalRoot;

/// Decides the mode of composefs.
pub(super) fn decide(
    conf: &PrepareRootConf,
    argument: Option<&str>,
    caller: Caller,
    deployment: &Deployment,
) -> Result<Decision, Cause> {
    let decided = composefs::decide(conf, argument)
        .and_then(|decision| composefs::require_trust(conf, &decision, caller).map(|()| decision));
    decided.map_err(|error| Cause::Plan { deployment: deployment.path.clone(), error: PlanError::from(error) })
}

/// Verifies the signature where one is demanded.
pub(super) fn signature_facts(
    physical: &PhysicalRoot,
    deployment: &Deployment,
    composefs: &Decision,
    key_file: &str,
    caller: Caller,
) -> Result<Option<SignatureFacts>, Cause> {
    if composefs.mode != ComposefsMode::Signed {
        return Ok(None);
    }
    let path = &deployment.path;
    let verified = match caller {
        // As PID 1 only the deployment can have the keys. The plan decides whether this is accepted.
        Caller::Pid1 => commit_signature::verify(physical, path, deployment.directory.as_fd(), key_file),
        Caller::Systemd | Caller::Script => dir::open_root(Path::new("/"))
            .map_err(|reason| VerifyError::KeysUnreadable { path: key_file.to_owned(), reason })
            .and_then(|root| commit_signature::verify(physical, path, root.as_fd(), key_file)),
    };
    verified.map(Some).map_err(|error| Cause::Verify { deployment: path.clone(), error: Box::new(error) })
}

/// Opens the image unless composefs is off, and measures its seal if fs-verity is demanded.
pub(super) fn image_facts(deployment: &mut Deployment, composefs: &Decision) -> Result<ImageFacts, SystemError> {
    if composefs.mode == ComposefsMode::No {
        return Ok(ImageFacts::default());
    }
    let path = format!("/{}/{IMAGE}", deployment.path);
    let found = deployment.open_image().context("open", &path)?;
    let seal = if composefs.verity { deployment.seal_of_image().context("measure", &path)? } else { Seal::Missing };
    Ok(ImageFacts { found, seal })
}
