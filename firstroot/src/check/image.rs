//! A unified kernel image that the ESP has in place of kernel and initramfs: the initramfs in it is the one that counts there.

use std::fs::File;

use esp_projection::read::ReadError;
use esp_projection::read::images::Images;
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::deployment as tree;
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

use super::deployment::{Demanded, demanded};
use super::initrds::read;
use super::model::Finding;
use crate::initramfs::{self, Contents};
use crate::place::{Place, as_root};

/// What the image of a deployment demands, and what is wrong with it. `None`: the ESP has kernel and initramfs.
pub(super) fn findings(
    place: &Place,
    images: &mut Images,
    path: &DeploymentPath,
    directory: &str,
) -> (Option<Demanded>, Vec<Finding>) {
    let image = match images.chosen(&place.roots, path, directory) {
        Ok(Some(image)) => image,
        Ok(None) => return (None, Vec::new()),
        Err(ReadError::System(error)) => {
            return (None, vec![Finding::unknown(&format!("/{path}"), error.to_string(), as_root())]);
        }
        Err(error) => {
            let text = format!("the ESP cannot have this deployment: {error}");
            let cure = "leave one image in the tree, or write [esp] uki=ignore into /etc/ostree/esp.conf".to_owned();
            return (None, vec![Finding::bad(&format!("/{path}/{directory}"), text, cure)]);
        }
    };
    let shown = format!("/{path}/{}", image.path);
    let mut contents = Contents::default();
    let opened = match open(place, path, &image.path) {
        Ok(file) => initramfs::of_kernel(file).context("read", shown.as_str()),
        Err(error) => Err(error),
    };
    match opened {
        Ok(Some(initramfs)) => {
            if let Err(finding) = read(initramfs, &mut contents, &shown) {
                return (None, vec![finding]);
            }
            let (demanded, mut found) = demanded(&contents, &shown);
            if image.unified.has_command_line {
                let text =
                    "it has kernel arguments of its own: with Secure Boot it would boot no deployment".to_owned();
                found.push(Finding::note(&shown, text, "build it without a command line (.cmdline)".to_owned()));
            }
            (Some(demanded), found)
        }
        Ok(None) => (None, Vec::new()),
        Err(error) => (None, vec![Finding::unknown(&shown, error.to_string(), as_root())]),
    }
}

fn open(place: &Place, path: &DeploymentPath, image: &str) -> Result<File, SystemError> {
    let opened = dir::open(tree::open(&place.roots, path)?, image, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY);
    opened.map(File::from).context("open", format_args!("/{path}/{image}"))
}
