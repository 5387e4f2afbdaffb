//! Whether one deployment would boot verified. Checks in the order of a boot: keys and signature of the commit, the plan with all
//! its conditions, the image, and the objects that the image needs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_formats::cmdline::{BootTarget, TargetSource};
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::ComposefsMode;
use ostree_formats::repo_config;
use rustix::io::Errno;
use system::{Context, SystemError, dir, image};

use crate::facts::{Caller, Facts, IMAGE, ImageFacts, Lack, PathKind, REPO_CONFIG, Seal, SignatureFacts};
use crate::plan::composefs::Decision;
use crate::plan::{self, Resolved};
use crate::read::commit_signature::{self, VerifyError};
use crate::read::config;
use crate::read::deployment::Deployment;
use crate::read::facts::{REPO_CONFIG_LIMIT, facts};
use crate::read::physical_root::PhysicalRoot;

use super::all_objects::{self, Checked};
use super::content;
use super::demand::Demand;
use super::finding::Finding;
use super::image_objects;
use super::object::{OBJECTS, Rule};

/// Names and modes of a million files take about 200 MB. A sparse file can have any size.
const LARGEST_IMAGE: u64 = 4 << 30;

/// Why the deployment is good, or what is wrong.
pub(crate) fn judge(physical: &PhysicalRoot, path: &DeploymentPath, demand: &Demand) -> Result<String, Finding> {
    let shown = format!("/{path}");
    let of_image = format!("{shown}/{IMAGE}");
    let directory = dir::open_directory(physical, path.to_string()).context("open", &shown)?;
    let mut deployment = Deployment { path: path.clone(), directory, image: None };
    let own = config::load(&deployment.directory);
    let decision = demand.and_of(&own)?;
    if decision.mode == ComposefsMode::No {
        return Err(Finding::NotEnabled);
    }
    let found = deployment.open_image().context("open", &of_image)?;
    if found == PathKind::Nothing && decision.mode == ComposefsMode::Maybe {
        return Err(Finding::NoImage);
    }
    let seal = deployment.seal_of_image().context("measure", &of_image)?;
    let signature = verified(physical, path, &decision, demand.keys())?;
    let by_commit = if signature.is_none() { digest_of_commit(physical, path)? } else { None };

    let image = ImageFacts { found, seal };
    let asked_for = BootTarget { path: shown.clone(), source: TargetSource::Ostree, argument: String::new() };
    let root = (image, signature);
    let facts = facts(physical, Caller::Systemd, &deployment, &own.conf, decision.mode, root, &asked_for)?;
    let facts = as_finalized(facts, &deployment).context("read the attributes of", format_args!("{shown}/usr/etc"))?;
    let resolved = Resolved { asked_for, recovery: None, init: None, warning: None, by_option: false, counting: None };
    plan::plan(&own.conf, decision.clone(), resolved, &facts)?;
    if facts.deployment.hotfix_work != PathKind::Nothing && facts.signature.is_none() {
        return Err(Finding::Hotfix);
    }
    let vouched = vouched(&facts, by_commit.as_deref())?;
    let Some(file) = &deployment.image else { return Err(Finding::NoImage) };

    let size = dir::stat_fd(file).context("read the attributes of", &of_image)?.size;
    if size > LARGEST_IMAGE {
        return Err(Finding::ImageTooLarge(size));
    }
    content::read_from_disk(file, &mut vec![0; content::PIECE], |_| ()).map_err(Finding::ImageContent)?;
    let tree = image::tree(file).map_err(|error| Finding::Image { error, known: vouched.is_certain })?;
    let objects = image_objects::list(&tree, size)?;
    let checked = check_objects(physical, &shown, &objects, decision.verity).map_err(|finding| {
        // A deployment that was removed during the check is not damaged.
        let is_gone = matches!(dir::open_directory(physical, path.to_string()), Err(Errno::NOENT));
        if is_gone { Finding::Gone } else { finding }
    })?;
    if checked.without_verity && decision.verity {
        // The image could be measured, so the kernel has fs-verity and the filesystem of the objects does not.
        let lack = if let Seal::Unsupported(lack) = seal { lack } else { Lack::Filesystem };
        return Err(Finding::NoVerity { objects: checked.objects, lack });
    }
    Ok(format!("{} is met: {}; {}", decision.source, vouched.words, of_objects(checked)))
}

/// Verifies the signature if one is demanded.
fn verified(
    physical: &PhysicalRoot,
    path: &DeploymentPath,
    decision: &Decision,
    keys: &str,
) -> Result<Option<SignatureFacts>, Finding> {
    if decision.mode != ComposefsMode::Signed {
        return Ok(None);
    }
    let root = dir::open_root(Path::new("/"))
        .map_err(|reason| VerifyError::KeysUnreadable { path: keys.to_owned(), reason })?;
    Ok(Some(commit_signature::verify(physical, path, root.as_fd(), keys)?))
}

/// The digest of the image in the commit. A boot without a demanded signature does not read the commit, so it may be absent.
fn digest_of_commit(physical: &PhysicalRoot, path: &DeploymentPath) -> Result<Option<Vec<u8>>, Finding> {
    match commit_signature::commit(physical, &path.id.commit) {
        Ok(commit) => Ok(commit.composefs_digest),
        Err(VerifyError::CommitUnreadable { reason: Errno::NOENT | Errno::FBIG, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A staged deployment may have no `/etc` yet: finalization makes it from `usr/etc`.
pub(crate) fn as_finalized(facts: Facts, deployment: &Deployment) -> Result<Facts, Errno> {
    let mut facts = facts;
    if facts.deployment.etc == PathKind::Nothing
        && dir::if_there(dir::open_directory(&deployment.directory, "usr/etc"))?.is_some()
    {
        facts.deployment.etc = PathKind::Directory;
    }
    Ok(facts)
}

/// What is known about the image.
struct Vouched {
    words: String,
    /// The digest of the image is the right one.
    is_certain: bool,
}

fn vouched(facts: &Facts, by_commit: Option<&[u8]>) -> Result<Vouched, Finding> {
    let certainly = |words: String| Ok(Vouched { words, is_certain: true });
    // The plan has compared the digests.
    if let Some(SignatureFacts { key_file, .. }) = &facts.signature {
        return certainly(format!("the image is sealed and is the one signed by a key of {key_file}"));
    }
    let unknown = |words: &str| Ok(Vouched { words: words.to_owned(), is_certain: false });
    match (facts.image.seal, by_commit) {
        (Seal::Sha256(found), Some(wanted)) if found == *wanted => {
            certainly("the image is sealed and matches its commit".to_owned())
        }
        (Seal::Sha256(found), Some(wanted)) => Err(Finding::OtherImage { found, wanted: wanted.to_vec() }),
        (Seal::Sha256(_) | Seal::Other(_), _) => {
            unknown("the image is sealed, but its commit has no image digest to compare with")
        }
        (Seal::Missing | Seal::Unsupported(_), _) => {
            unknown("the image is not sealed, so names and modes in it are not verified")
        }
    }
}

fn check_objects(
    physical: &PhysicalRoot,
    shown: &str,
    objects: &[image_objects::ImageObject],
    verity: bool,
) -> Result<Checked, Finding> {
    let directory = open_objects(physical)?;
    let config = dir::if_there(dir::read(physical, REPO_CONFIG, REPO_CONFIG_LIMIT));
    let config = config.context("read", format_args!("/{REPO_CONFIG}"))?;
    let bare = match config.map(|bytes| repo_config::is_bare(&bytes)).transpose() {
        Ok(bare) => bare.unwrap_or(false),
        Err(error) => {
            log::warn!("/{REPO_CONFIG}: {error}");
            false
        }
    };
    let rule = Rule { verity, bare };
    let tell = |so_far: Checked| {
        log::info!("{shown}: {} of {} objects read, {} MB", so_far.objects, objects.len(), so_far.bytes / 1_000_000);
    };
    all_objects::check(directory.as_fd(), objects, rule, tell).map_err(|(object, fault)| {
        let (name, file) = (object.name.object("file"), object.file.display().to_string());
        Finding::Object { object: format!("/{name}"), file, fault }
    })
}

fn open_objects(physical: &PhysicalRoot) -> Result<OwnedFd, SystemError> {
    dir::open_directory(physical, OBJECTS).context("open", format_args!("/{OBJECTS}"))
}

fn of_objects(checked: Checked) -> String {
    let Checked { objects, sealed, bytes, .. } = checked;
    let megabytes = bytes / 1_000_000;
    match (sealed, objects - sealed) {
        (0, 0) => "it has no objects".to_owned(),
        (_, 0) => format!("its {objects} objects are sealed and unchanged ({megabytes} MB)"),
        (0, _) => {
            format!("its {objects} objects are not sealed, but their content matches their names ({megabytes} MB)")
        }
        (_, unsealed) => format!(
            "{sealed} of its objects are sealed and unchanged; {unsealed} are not sealed, but their content matches their names \
             ({megabytes} MB)"
        ),
    }
}
