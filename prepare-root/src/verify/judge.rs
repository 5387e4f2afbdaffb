//! Whether one deployment would boot verified, in the order of a boot: keys and signature of its commit, then the image that the
//! commit vouches for, then the objects that the image demands.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::ComposefsMode;
use ostree_formats::repo_config;
use system::{Context, dir, image};

use crate::composefs::{self, ComposefsError, Decision, IMAGE};
use crate::config;
use crate::facts::{Found, Seal};
use crate::lookup::Deployment;
use crate::physical_root::{PhysicalRoot, REPO_CONFIG_LIMIT};
use crate::signature::{self, VerifyError};

use super::all_objects::{self, Checked};
use super::demand::Demand;
use super::object::Rule;
use super::{Finding, OBJECTS, image_objects};

/// What is right about the deployment, or what is not.
pub(crate) fn judge(
    physical: &PhysicalRoot,
    path: &DeploymentPath,
    demand: &Demand,
    keys: Option<&str>,
) -> Result<String, Finding> {
    let shown = format!("/{path}");
    let directory = dir::open_directory(physical, path.to_string()).context("open", &shown)?;
    let mut deployment = Deployment { path: path.clone(), directory, image: None };
    let (decision, configured_keys) = demand.and_of(config::load(&deployment.directory))?;
    let found = deployment.open_image().context("open", format_args!("{shown}/{IMAGE}"))?;
    let Some(file) = require_image(&deployment, found, &decision)? else { return Err(Finding::NoImage) };
    let seal = deployment.seal_of_image().context("measure", format_args!("{shown}/{IMAGE}"))?;
    let of_image = vouched(physical, path, &decision, seal, keys.unwrap_or(&configured_keys))?;

    let size = dir::stat_fd(file).context("look at", format_args!("{shown}/{IMAGE}"))?.size;
    let tree = image::tree(file).map_err(Finding::Image)?;
    let objects = image_objects::list(&tree, size)?;
    let directory = dir::open_directory(physical, OBJECTS).context("open", format_args!("/{OBJECTS}"))?;
    let config = dir::read(physical, "ostree/repo/config", REPO_CONFIG_LIMIT).unwrap_or_default();
    let rule = Rule { verity: decision.verity, bare: repo_config::is_bare(&config) };
    let tell = |so_far: Checked| {
        log::info!("{shown}: {} of {} objects read, {} MB", so_far.objects, objects.len(), so_far.bytes / 1_000_000);
    };
    let checked = all_objects::check(directory.as_fd(), &objects, rule, tell).map_err(|(object, fault)| {
        let (name, file) = (object.name.object("file"), object.file.display().to_string());
        Finding::Object { object: format!("/{name}"), file, fault }
    })?;
    if checked.without_verity && decision.verity {
        return Err(Finding::NoVerity { objects: checked.objects });
    }
    Ok(summary(&decision, &of_image, checked))
}

/// The image, where one will be the root.
fn require_image<'a>(
    deployment: &'a Deployment,
    found: Found,
    decision: &Decision,
) -> Result<Option<&'a std::os::fd::OwnedFd>, Finding> {
    match (found, decision.mode) {
        (_, ComposefsMode::No) => Err(Finding::NotEnabled),
        (Found::Nothing, ComposefsMode::Maybe) => Ok(None),
        (Found::Nothing, _) => Err(ComposefsError::NoImage { demanded: decision.source.clone() }.into()),
        (Found::File, _) => Ok(deployment.image.as_ref()),
        (found, _) => Err(ComposefsError::NotAFile { found: found.describe() }.into()),
    }
}

/// Who vouches for the image, in words.
fn vouched(
    physical: &PhysicalRoot,
    path: &DeploymentPath,
    decision: &Decision,
    seal: Seal,
    keys: &str,
) -> Result<String, Finding> {
    if decision.mode == ComposefsMode::Signed {
        let root = dir::open_root(Path::new("/"))
            .map_err(|reason| VerifyError::KeysUnreadable { path: keys.to_owned(), reason })?;
        let signature = signature::verify(physical, path, root.as_fd(), keys)?;
        composefs::require_signed(seal, &signature.digest, || decision.source.clone())?;
        return Ok(format!("the image is sealed and is the one that was signed, by a key of {keys}"));
    }
    let wanted = signature::commit(physical, &path.id.commit)?.composefs_digest;
    match (seal, wanted) {
        (Seal::Sha256(found), Some(wanted)) if found == *wanted => {
            Ok("the image is sealed and is that of its commit".to_owned())
        }
        (Seal::Sha256(found), Some(wanted)) => Err(Finding::OtherImage { found, wanted }),
        (Seal::Sha256(_), None) => Ok("the image is sealed, and its commit says of none which it is".to_owned()),
        _ => Ok("the image is not sealed: nobody vouches for the names and modes in it".to_owned()),
    }
}

fn summary(decision: &Decision, of_image: &str, checked: Checked) -> String {
    let Checked { objects, sealed, bytes, .. } = checked;
    let unsealed = objects - sealed;
    let of_objects = match (sealed, unsealed) {
        (_, 0) => format!("its {objects} objects are sealed and unchanged"),
        (0, _) => format!("its {objects} objects are not sealed, and have the content that they are named after"),
        _ => format!(
            "of its objects {sealed} are sealed and unchanged, {unsealed} are not sealed and have the content that they are named after"
        ),
    };
    format!("{} is met: {of_image}; {of_objects} ({} MB)", decision.source, bytes / 1_000_000)
}
